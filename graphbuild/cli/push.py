"""`graphbuild push`: builds images, and when all are built gives them to the registries that their tags name."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from graphbuild.build.perform.content import Wanted, codec_of, image_content
from graphbuild.build.perform.index import index_content
from graphbuild.build.world import World
from graphbuild.cli import build
from graphbuild.cli.session import Session
from graphbuild.cli.transfers import Transfers
from graphbuild.graph.analyze import Graph
from graphbuild.image.model import OCI_INDEX, OCI_MANIFEST
from graphbuild.image.push import Blob, Outgoing, Push, Totals
from graphbuild.image.reference import Reference, parse_reference
from graphbuild.image.registry import repository_of
from graphbuild.image.write import index_of, manifest_of, parse_tags, stored
from graphbuild.network.registry import Document, Repository
from graphbuild.rules.actions import Image, ImageIndex, Pull
from graphbuild.rules.api import ImageProvider, IndexProvider
from graphbuild.rules.refs import Ref
from graphbuild.ui.text import duration, size
from graphbuild.values.digest import Digest
from graphbuild.values.errors import EXIT_OK, mistake
from graphbuild.values.label import Label


def push(options: Any) -> int:
    """Build and push. Returns the exit code."""
    tags = tuple(options.tag or ())

    def choose(opened: Session, labels: Sequence[Label]) -> Sequence[Label]:
        return tagged(opened.graph(labels, locked=options.locked), labels, tags)

    def then(opened: Session, graph: Graph, world: World, labels: Sequence[Label]) -> int:
        return _push(opened, graph, world, labels, tags, options.progress)

    return build.run(options, choose=choose, then=then)


def tagged(graph: Graph, labels: Sequence[Label], tags: tuple[str, ...]) -> Sequence[Label]:
    """Those of the targets that are images and have names, `tags` or their own. GraphbuildError where there is none."""
    images = _pushable(graph, labels)
    if tags and len(images) > 1:
        raise mistake(f"--tag names one image, and {len(images)} are to be pushed", hint="name one target")
    chosen = [label for label, action in images.items() if tags or action.tags]
    if not chosen:
        what = ", ".join(map(str, images)) or "what was named"
        cause = "has no tags" if images else "is no image"
        raise mistake(f"nothing to push: {what} {cause}", hint="a tag says where to: `tags: [registry.example/web:1.0]`, or --tag")
    return chosen


def images_of(graph: Graph, labels: Sequence[Label], platform: str = "") -> dict[Label, Image]:
    """The images that targets make; of an index all of them, each by the label of its platform, or the one for `platform`."""
    found = {}
    for label in labels:
        target = graph.targets[label]
        image, index = target.get(ImageProvider), target.get(IndexProvider)
        refs = [ref for one, ref in index.images if platform in ("", one)] if index else [image.image] if image else []
        for ref in refs:
            action = graph.nodes[ref].action
            if isinstance(action, Image):
                found[ref.label] = action
    return found


def _pushable(graph: Graph, labels: Sequence[Label]) -> dict[Label, Image | ImageIndex]:
    """The images and indexes that targets make."""
    found: dict[Label, Image | ImageIndex] = {}
    for label in labels:
        index = graph.targets[label].get(IndexProvider)
        action = graph.nodes[index.index].action if index else None
        found |= {label: action} if isinstance(action, ImageIndex) else images_of(graph, [label])
    return found


def _push(opened: Session, graph: Graph, world: World, labels: Sequence[Label], tags: tuple[str, ...], mode: Any) -> int:
    begun = time.monotonic()
    transfers = Transfers(mode, "sent")
    going = Push(opened.registries(), transfers, world.cancelled)

    def work() -> list[str]:
        images = [_outgoing(action, world, graph, parse_tags(tags or action.tags)) for action in _pushable(graph, labels).values()]
        done = going.run(images)
        return [f"{one.reference.full}  {one.digest}{'' if one.new else '  (was there)'}\n" for one in done]

    lines = transfers.run(work)
    sys.stdout.writelines(lines)
    sys.stdout.flush()
    if mode != "quiet":
        sys.stderr.write(_summary(going.totals, len(labels), time.monotonic() - begun))
    return EXIT_OK


def _summary(totals: Totals, images: int, seconds: float) -> str:
    moved = f"{totals.sent} blob{'' if totals.sent == 1 else 's'} sent ({size(totals.sent_bytes)}), {totals.mounted} mounted"
    return f"pushed {images} image{'' if images == 1 else 's'} in {duration(seconds)}: {moved}, {totals.there} there already\n"


def _outgoing(action: Image | ImageIndex, world: World, graph: Graph, references: Sequence[Reference]) -> Outgoing:
    if isinstance(action, Image):
        return outgoing(action, world, graph, references)
    codec = action.compression or world.settings.compression
    blobs: dict[Digest, Blob] = {}
    parts = []
    for _, ref in action.images:
        image = graph.nodes[ref].action
        assert isinstance(image, Image), "an index is of images"
        one = outgoing(msgspec.structs.replace(image, annotations=(), compression=codec), world, graph, ())
        blobs |= {blob.digest: blob for blob in one.blobs}
        parts.append(one.manifest)
    index, _ = index_of(index_content(action, world, lambda *_said: None), codec)
    return Outgoing(Document(OCI_INDEX, index), tuple(blobs.values()), tuple(references), tuple(parts))


def outgoing(action: Image, world: World, graph: Graph, references: Sequence[Reference]) -> Outgoing:
    """A built image with all of its bytes."""
    codec = codec_of(action, world)
    content = image_content(action, world, Wanted(tars=codec == "none", codec=codec), lambda *_said: None)
    config, manifest, config_digest, _ = manifest_of(content, codec)
    sources = _sources(action.layers, world, graph)
    blobs = {
        digest: Blob(digest, length, path, sources.get(digest, ()))
        for digest, length, path in (stored(layer, codec) for layer in content.layers)
    }
    return Outgoing(Document(OCI_MANIFEST, manifest), (*blobs.values(), Blob(config_digest, len(config), config)), tuple(references))


def _sources(layers: tuple[Ref, ...], world: World, graph: Graph) -> dict[Digest, tuple[Repository, ...]]:
    """Where the layers that were pulled came from: a registry that has them need not be sent them."""
    found: dict[Digest, tuple[Repository, ...]] = {}
    for output, ref in world.made(layers):
        action = graph.nodes[ref].action
        if output.packed is not None and isinstance(action, Pull):
            found[output.packed] = (repository_of(parse_reference(action.reference)),)
    return found
