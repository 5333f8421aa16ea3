"""Performing `Image`: the result is cached as any other; what is written out is checked each time and written when stale.

A layer's tar lists no implicit directory. Engines that unpack each layer into a folder of its own (all that use overlayfs)
make such a directory 0755 root, and it covers what is below: a copy into /tmp would break /tmp. So where a directory has
other attributes in the stack, one more small layer on top says them again.
"""

import os
from pathlib import Path

import msgspec
from blake3 import blake3

from graphbuild.build.exports import size_on_disk
from graphbuild.build.keys import Field
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.world import World
from graphbuild.image.write import ImageContent, ImageLayer, manifest_of, write_docker_archive, write_layout, write_oci_archive
from graphbuild.layers.compression import codec_version, compress
from graphbuild.rules.actions import Image, ImageExport
from graphbuild.store.actions import LayerOutput, Outputs
from graphbuild.values.digest import Digest
from graphbuild.values.entry import Entry, Kind, encode_index, tree_digest

_WORTH_THREADS = 4 << 20  # bytes of content: with less, threads wait for each other more than they do
_RESTORED = "attributes of directories that the layers below only pass through"


def prepare_image(action: Image, world: World) -> Prepared:
    config = world.image_config(action.config)
    codec = action.compression or world.settings.compression
    wanted = codec if _needs_compression(action) else "none"
    layers = world.outputs(action.layers)
    history = world.history(action.layers)
    fields = (
        Field("action", "image"),
        Field("config", msgspec.json.encode(config).decode()),
        Field("layers", [[layer.tree.hex, str(layer.diff_id or "")] for layer in layers], history),
        Field("history", list(history)),
        Field("compression", codec),
        Field("epoch", world.settings.epoch),
    )
    plain = msgspec.msgpack.encode([[field.name, field.value] for field in fields])

    def content(task: Task) -> ImageContent:
        return ImageContent(
            config=config,
            layers=_image_layers([*zip(layers, history, strict=True), *_restored(action, world)], wanted, world, task),
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

    def current(_outputs: Outputs) -> str:
        reasons = (world.exports.outdated(world.place(export.path), stamp(export)) for export in action.exports)
        return "; ".join(reason for reason in reasons if reason)

    def deliver(_outputs: Outputs, task: Task) -> None:
        stale = [export for export in action.exports if world.exports.outdated(world.place(export.path), stamp(export))]
        if not stale:
            return
        made = content(task)
        for export in stale:
            destination = world.destination(export.path)
            digest = _write_image(made, export.format, codec, destination)
            world.exports.written(destination, stamp(export))
            task.exported(export.path, export.format, size_on_disk(destination), str(digest))

    return Prepared(fields, perform, current, deliver)


def _needs_compression(action: Image) -> bool:
    return any(export.format != "docker" for export in action.exports)


def _write_image(content: ImageContent, format_: str, codec: str, destination: Path) -> Digest:
    writers = {"oci": write_layout, "oci-archive": write_oci_archive}
    return writers[format_](content, codec, destination) if format_ in writers else write_docker_archive(content, destination)


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


def _image_layers(layers: list[tuple[LayerOutput, str]], codec: str, world: World, task: Task) -> tuple[ImageLayer, ...]:
    """The layers as blobs, large ones compressed side by side: the libraries leave the interpreter free while they work."""

    def one(pair: tuple[LayerOutput, str]) -> ImageLayer:
        layer, created_by = pair
        diff_id, size, path = world.blob(layer)
        compressed = _compressed(diff_id, path, codec, world) if codec != "none" else None
        return ImageLayer(diff_id, size, path, compressed, created_by)

    task.progress(0, len(layers), "layers")
    if sum(entry.size for layer, _ in layers for entry in world.layer(layer).entries) < _WORTH_THREADS:
        return tuple(map(one, layers))
    from concurrent.futures import ThreadPoolExecutor

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
