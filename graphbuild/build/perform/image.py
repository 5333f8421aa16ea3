"""Performing `Image`: the result is cached as any other; what is written out is checked each time and written when stale.

A layer's tar lists no implicit directory. Engines that unpack each layer into a folder of its own (all that use overlayfs)
make such a directory 0755 root, and it covers what is below: a copy into /tmp would break /tmp. So where a directory has
other attributes in the stack, one more small layer on top says them again.
"""

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from blake3 import blake3

from graphbuild.build.exports import size_on_disk
from graphbuild.build.keys import Field
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.world import World
from graphbuild.image.reference import Reference
from graphbuild.image.write import (
    ImageContent,
    ImageLayer,
    manifest_of,
    parse_tags,
    write_docker_archive,
    write_layout,
    write_oci_archive,
)
from graphbuild.rules.actions import Image, ImageExport
from graphbuild.rules.refs import Ref
from graphbuild.store.actions import LayerOutput, Outputs
from graphbuild.store.images import StoredImage, StoredLayer
from graphbuild.values.config import Past
from graphbuild.values.digest import Digest
from graphbuild.values.entry import Entry, Kind, encode_index, tree_digest

_WORTH_THREADS = 4 << 20  # bytes of content: with less, threads wait for each other more than they do
_RESTORED = "attributes of directories that the layers below only pass through"


def prepare_image(action: Image, world: World) -> Prepared:
    config = world.image_config(action.config)
    codec = action.compression or world.settings.compression
    wanted = codec if _needs_compression(action) else "none"
    layers = world.outputs(action.layers)
    history = world.history(action.layers, action.config)
    fields = (
        Field("action", "image"),
        Field("config", msgspec.json.encode(config).decode()),
        Field(
            "layers",
            [[layer.tree.hex, str(layer.diff_id or "")] for layer in layers],
            tuple(past.created_by for past in history if not past.empty),
        ),
        Field("history", [msgspec.to_builtins(past) for past in history]),
        Field("compression", codec),
        Field("epoch", world.settings.epoch),
    )
    plain = msgspec.msgpack.encode([[field.name, field.value] for field in fields])

    def content(task: Task) -> ImageContent:
        restored = _restored(action, world)
        return ImageContent(
            config=config,
            layers=_image_layers([*layers, *restored], wanted, world, task),
            history=(*history, *(Past(_RESTORED) for _ in restored)),
            annotations=action.annotations,
            created=world.settings.epoch,
            tags=action.tags,
        )

    def stamp(export: ImageExport) -> bytes:
        return blake3(msgspec.msgpack.encode([plain, export.format, action.annotations, action.tags])).digest()

    def perform(task: Task) -> Outputs:
        made = content(task)
        image_id = world.store.put_blob(manifest_of(made, "none")[0])
        return Outputs(tuple(layers), config=config, blob=image_id, size=sum(layer.size for layer in made.layers))

    def current(outputs: Outputs) -> str:
        reasons = [world.exports.outdated(world.place(export.path), stamp(export)) for export in action.exports]
        reasons += [f"{tag.familiar} is another image" for tag in _other_tags(action, outputs, world)]
        return "; ".join(reason for reason in reasons if reason)

    def deliver(outputs: Outputs, task: Task) -> None:
        stale = [export for export in action.exports if world.exports.outdated(world.place(export.path), stamp(export))]
        others = _other_tags(action, outputs, world)
        if not stale and not others:
            return
        made = content(task)
        if others:
            makers = [ref for _, ref in world.made(action.layers)]
            _name(others, outputs, _stored_layers(made, [*layers, *_restored(action, world)], makers, world), world)
        for export in stale:
            destination = world.destination(export.path)
            digest = _write_image(made, export.format, codec, destination)
            world.exports.written(destination, stamp(export))
            task.exported(export.path, export.format, size_on_disk(destination), str(digest))

    return Prepared(fields, perform, current, deliver)


def _other_tags(action: Image, outputs: Outputs, world: World) -> list[Reference]:
    """The tags that do not name this image in the store yet."""
    images = world.store.images
    tags = parse_tags(action.tags)
    return [tag for tag in tags if (named := images.named(tag.full)) is None or named.id != outputs.blob]


def _stored_layers(made: ImageContent, outputs: list[LayerOutput], makers: list[Ref], world: World) -> list[StoredLayer]:
    """The image's layers with who made each; nobody's is the one that gives directories their attributes back."""
    stored = []
    for layer, output, maker in itertools.zip_longest(made.layers, outputs, makers):
        size = sum(entry.size for entry in world.store.index(output.tree))
        stored.append(
            StoredLayer(layer.diff_id, output.tree, size, str(maker.label) if maker else "", world.origin(maker) if maker else "")
        )
    return stored


def _name(tags: list[Reference], outputs: Outputs, layers: list[StoredLayer], world: World) -> None:
    """Keep the image in the store under its tags, for `graphbuild image` and `graphbuild container`."""
    assert outputs.blob is not None, "an image has an id"
    world.store.images.put(StoredImage(outputs.blob, tuple(layers), built=True), [tag.full for tag in tags])


def _needs_compression(action: Image) -> bool:
    return any(export.format != "docker" for export in action.exports)


def _write_image(content: ImageContent, format_: str, codec: str, destination: Path) -> Digest:
    writers = {"oci": write_layout, "oci-archive": write_oci_archive}
    return writers[format_](content, codec, destination) if format_ in writers else write_docker_archive(content, destination)


def _restored(action: Image, world: World) -> list[LayerOutput]:
    """The layer that gives implicit directories their attributes back; none where they are what every engine makes of them."""
    stack = world.stack(action.layers)
    found = (stack.lookup(path) for path in stack.implicit())
    entries = [entry for entry in found if entry is not None and entry != Entry(entry.path, Kind.DIRECTORY, 0o755)]
    if not entries:
        return []
    encoded = encode_index(entries, world.settings.epoch)
    tree = tree_digest(encoded)
    world.forms.write_blob(tree, entries, _no_content)
    return [LayerOutput(world.store.put_layer(encoded, folder=None))]


def _no_content(entry: Entry) -> int:
    raise AssertionError(f"a directory has no content: {entry.path!r}")


def _image_layers(layers: list[LayerOutput], codec: str, world: World, task: Task) -> tuple[ImageLayer, ...]:
    """The layers as blobs, large ones compressed side by side: the libraries leave the interpreter free while they work."""

    def one(layer: LayerOutput) -> ImageLayer:
        diff_id, size, path = world.forms.blob(layer)
        compressed = world.forms.compressed(diff_id, path, codec) if codec != "none" else None
        return ImageLayer(diff_id, size, path, compressed)

    task.progress(0, len(layers), "layers")
    if sum(entry.size for layer in layers for entry in world.layer(layer).entries) < _WORTH_THREADS:
        return tuple(map(one, layers))
    with ThreadPoolExecutor(min(len(layers), world.settings.jobs, os.cpu_count() or 1)) as pool:
        return tuple(pool.map(one, layers))
