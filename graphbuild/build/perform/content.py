"""An image's layers as the blobs that are written out or sent: tars, and their compressed forms, each made once.

A layer's tar lists no implicit directory. Engines that unpack each layer into a folder of its own (all that use overlayfs)
make such a directory 0755 root, and it covers what is below: a copy into /tmp would break /tmp. So where a directory has
other attributes in the stack, one more small layer on top says them again.

A layer that came from a registry goes out as it came, whatever the image's compression: the registry has it, and need not be sent it.
"""

import os
from collections.abc import Callable

import msgspec

from graphbuild.build.world import World
from graphbuild.image.write import ImageContent, ImageLayer
from graphbuild.rules.actions import Image
from graphbuild.store.actions import LayerOutput
from graphbuild.values.config import Past
from graphbuild.values.entry import Entry, Kind, encode_index, tree_digest

_WORTH_THREADS = 4 << 20  # bytes of content: with less, threads wait for each other more than they do
_RESTORED = "attributes of directories that the layers below only pass through"

Progress = Callable[[int, int, str], None]


class Wanted(msgspec.Struct, frozen=True):
    """What is wanted of an image's layers: their tars, and their compressed forms by `codec` ("none": the tars alone)."""

    tars: bool
    codec: str


def codec_of(action: Image, world: World) -> str:
    """The codec of an image's layers: what it says, else what the workspace says."""
    return action.compression or world.settings.compression


def image_content(action: Image, world: World, wanted: Wanted, progress: Progress) -> ImageContent:
    """An image whose layers are built, with its blobs in the store."""
    layers, history = layers_of(action, world), world.history(action.layers, action.config)
    restored = len(layers) - sum(not past.empty for past in history)
    return ImageContent(
        config=world.image_config(action.config, action.platform),
        layers=_image_layers(layers, wanted, world, progress),
        annotations=action.annotations,
        created=world.settings.epoch,
        tags=action.tags,
        history=(*history, *(Past(_RESTORED),) * restored),
    )


def layers_of(action: Image, world: World) -> list[LayerOutput]:
    """An image's layers, lowest first: those that were built, and one that gives directories their attributes back where that takes one."""
    return [*world.outputs(action.layers), *_restored(action, world)]


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


def _image_layers(layers: list[LayerOutput], wanted: Wanted, world: World, progress: Progress) -> tuple[ImageLayer, ...]:
    """The layers as blobs, large ones compressed side by side: the libraries leave the interpreter free while they work."""

    def one(layer: LayerOutput) -> ImageLayer:
        packed = world.store.blob(layer.packed) if layer.packed and (wanted.codec != "none" or not wanted.tars) else None
        if layer.packed and layer.diff_id and packed:
            whole = world.forms.blob(layer) if wanted.tars else (layer.diff_id, 0, None)
            return ImageLayer(whole[0], whole[1], whole[2], (layer.packed, packed.stat().st_size, packed), layer.codec)
        diff_id, size, path = world.forms.blob(layer)
        compressed = world.forms.compressed(diff_id, path, wanted.codec) if wanted.codec != "none" else None
        return ImageLayer(diff_id, size, path, compressed)

    progress(0, len(layers), "layers")
    if sum(entry.size for layer in layers for entry in world.layer(layer).entries) < _WORTH_THREADS:
        return tuple(map(one, layers))
    from concurrent.futures import ThreadPoolExecutor  # with logging: 5 ms

    with ThreadPoolExecutor(min(len(layers), world.settings.jobs, os.cpu_count() or 1)) as pool:
        return tuple(pool.map(one, layers))
