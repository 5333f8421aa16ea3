"""An image's layers as the blobs that are written out or sent: tars, and their compressed forms, each made once.

A layer's tar lists no implicit directory. Engines that unpack each layer into a folder of its own (all that use overlayfs)
make such a directory 0755 root, and it covers what is below: a copy into /tmp would break /tmp. So where a directory has
other attributes in the stack, one more small layer on top says them again.

A layer that came from a registry goes out as it came, whatever the image's compression: the registry has it, and need not be sent it.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from graphbuild.build.world import World
from graphbuild.image.write import ImageContent, ImageLayer
from graphbuild.layers.compression import codec_version, compress
from graphbuild.rules.actions import Image
from graphbuild.store.actions import LayerOutput
from graphbuild.values.digest import Digest
from graphbuild.values.entry import Entry, Kind, encode_index, tree_digest

_WORTH_THREADS = 4 << 20  # bytes of content: with less, threads wait for each other more than they do
_RESTORED = "attributes of directories that the layers below only pass through"

Progress = Callable[[int, int, str], None]


class Forms(msgspec.Struct, frozen=True):
    """What is wanted of an image's layers: their tars, and their compressed forms by `codec` ("none": the tars alone)."""

    tars: bool
    codec: str


def codec_of(action: Image, world: World) -> str:
    """The codec of an image's layers: what it says, else what the workspace says."""
    return action.compression or world.settings.compression


def image_content(action: Image, world: World, forms: Forms, progress: Progress) -> ImageContent:
    """An image whose layers are built, with its blobs in the store."""
    outputs, history = world.outputs(action.layers), world.history(action.layers)
    layers = [*zip(outputs, history, strict=True), *_restored(action, world)]
    return ImageContent(
        config=world.image_config(action.config),
        layers=_image_layers(layers, forms, world, progress),
        annotations=action.annotations,
        created=world.settings.epoch,
        tags=action.tags,
    )


def _restored(action: Image, world: World) -> list[tuple[LayerOutput, str]]:
    """The layer that gives implicit directories their attributes back; none where they are what every engine makes of them."""
    stack = world.stack(action.layers)
    found = (stack.lookup(path) for path in stack.implicit())
    entries = [entry for entry in found if entry is not None and entry != Entry(entry.path, Kind.DIRECTORY, 0o755)]
    if not entries:
        return []
    encoded = encode_index(entries, world.settings.epoch)
    tree = tree_digest(encoded)
    world.write_blob(tree, entries, _no_content)
    return [(LayerOutput(world.store.put_layer(encoded, folder=None)), _RESTORED)]


def _no_content(entry: Entry) -> int:
    raise AssertionError(f"a directory has no content: {entry.path!r}")


def _image_layers(layers: list[tuple[LayerOutput, str]], forms: Forms, world: World, progress: Progress) -> tuple[ImageLayer, ...]:
    """The layers as blobs, large ones compressed side by side: the libraries leave the interpreter free while they work."""

    def one(pair: tuple[LayerOutput, str]) -> ImageLayer:
        layer, created_by = pair
        packed = world.store.blob(layer.packed) if layer.packed and (forms.codec != "none" or not forms.tars) else None
        if layer.packed and layer.diff_id and packed:
            whole = world.blob(layer) if forms.tars else (layer.diff_id, 0, None)
            return ImageLayer(whole[0], whole[1], whole[2], (layer.packed, packed.stat().st_size, packed), created_by, layer.codec)
        diff_id, size, path = world.blob(layer)
        compressed = _compressed(diff_id, path, forms.codec, world) if forms.codec != "none" else None
        return ImageLayer(diff_id, size, path, compressed, created_by)

    progress(0, len(layers), "layers")
    if sum(entry.size for layer, _ in layers for entry in world.layer(layer).entries) < _WORTH_THREADS:
        return tuple(map(one, layers))
    with ThreadPoolExecutor(min(len(layers), world.settings.jobs, os.cpu_count() or 1)) as pool:
        return tuple(pool.map(one, layers))


def _compressed(diff_id: Digest, path: Path, codec: str, world: World) -> tuple[Digest, int, Path]:
    """A layer's compressed blob: made once a codec, its library's version and the machine's kind, remembered by diff_id."""
    version = codec_version(codec)
    known = world.store.compressed(diff_id, version)
    if known is not None and (blob := world.store.blob(known[0])) is not None:
        return *known, blob
    with world.store.blob_writer() as writer, path.open("rb") as source:
        digest, size = compress(source.fileno(), writer.fd, codec, cancelled=world.cancelled)
        blob = writer.commit(digest, size)
    world.store.set_compressed(diff_id, version, digest, size)
    return digest, size, blob
