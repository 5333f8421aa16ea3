"""Performing `Image`: the result is cached as any other; what is written out is checked each time and written when stale."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
from blake3 import blake3

from graphbuild.build.exports import size_on_disk
from graphbuild.build.keys import Field
from graphbuild.build.perform.content import Wanted, codec_of, image_content, layers_of
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.world import World
from graphbuild.image.reference import Reference
from graphbuild.image.write import ImageContent, config_of, parse_tags, write_docker_archive, write_layout, write_oci_archive
from graphbuild.rules.actions import Image, ImageExport
from graphbuild.store.actions import LayerOutput, Outputs
from graphbuild.store.images import StoredImage, StoredLayer
from graphbuild.values.digest import Digest


def prepare_image(action: Image, world: World) -> Prepared:
    if not world.settings.delivers:
        action = msgspec.structs.replace(action, exports=(), tags=(), engines=())
    config = world.image_config(action.config, action.platform)
    codec = codec_of(action, world)
    layers = world.outputs(action.layers)
    history = world.history(action.layers, action.config)
    fields = (
        Field("action", "image"),
        Field("config", msgspec.json.encode(config).decode()),
        Field("layers", [_named(layer) for layer in layers], tuple(past.created_by for past in history if not past.empty)),
        Field("history", [msgspec.to_builtins(past) for past in history]),
        Field("compression", codec),
        Field("epoch", world.settings.epoch),
    )
    plain = msgspec.msgpack.encode([[field.name, field.value] for field in fields])

    def stamp(export: ImageExport) -> bytes:
        return blake3(msgspec.msgpack.encode([plain, export.format, action.annotations, action.tags])).digest()

    def perform(task: Task) -> Outputs:
        made = image_content(action, world, Wanted(tars=False, codec=_codec_for(action.exports, codec)), task.progress)
        image_id = world.store.put_blob(config_of(made))
        size = sum(layer.size or (layer.compressed[1] if layer.compressed else 0) for layer in made.layers)
        return Outputs(tuple(layers), config=config, blob=image_id, size=size)

    def current(outputs: Outputs) -> str:
        reasons = [world.exports.outdated(world.place(export.path), stamp(export)) for export in action.exports]
        reasons += [f"{tag.familiar} names another image" for tag in _other_tags(action, outputs, world)]
        reasons += [reason for _, reason in _lacking(action, outputs, world)]
        return "; ".join(reason for reason in reasons if reason)

    def deliver(outputs: Outputs, task: Task) -> None:
        _load(action, outputs, world, task)
        stale = [export for export in action.exports if world.exports.outdated(world.place(export.path), stamp(export))]
        others = _other_tags(action, outputs, world)
        if not stale and not others:
            return
        tars = codec == "none" or any(export.format == "docker" for export in stale)
        made = image_content(action, world, Wanted(tars, _codec_for(action.exports, codec)), task.progress)
        if others:  # for `graphbuild image` and `graphbuild container`
            assert outputs.blob is not None, "an image has an id"
            world.store.images.put(stored_image(outputs.blob, made, action, world), [tag.full for tag in others])
        for export in stale:
            destination = world.destination(export.path)
            digest = _write_image(made, export.format, codec, destination)
            world.exports.written(destination, stamp(export))
            task.exported(export.path, export.format, size_on_disk(destination), str(digest))

    return Prepared(fields, perform, current, deliver)


def _lacking(action: Image, outputs: Outputs, world: World) -> Iterator[tuple[str, str]]:
    """The engines that have not got the image, and why."""
    if action.engines:
        from graphbuild.build.perform.engines import engine_for, missing

        assert outputs.blob is not None
        for kind in action.engines:
            if reason := missing(engine_for(kind), action, outputs.blob, world):
                yield kind, reason


def _load(action: Image, outputs: Outputs, world: World, task: Task) -> None:
    for kind, _ in list(_lacking(action, outputs, world)):
        from graphbuild.build.perform.engines import engine_for, load

        done = load(engine_for(kind), action, world, lambda so_far, total: task.progress(so_far, total, "bytes"))
        names = ", ".join(name.familiar for name in parse_tags(action.tags))
        task.exported(f"{kind}: {names}".removesuffix(": "), kind, done.size, str(outputs.blob))


def _other_tags(action: Image, outputs: Outputs, world: World) -> list[Reference]:
    """The tags that do not name this image in the store yet."""
    images = world.store.images
    tags = parse_tags(action.tags)
    return [tag for tag in tags if (named := images.named(tag.full)) is None or named.id != outputs.blob]


def stored_image(image: Digest, made: ImageContent, action: Image, world: World) -> StoredImage:
    """An image as the store keeps it: its layers with who made each; nobody's is the one that gives directories their attributes back."""
    makers = [ref for _, ref in world.made(action.layers)]
    layers = []
    for layer, output, maker in itertools.zip_longest(made.layers, layers_of(action, world), makers):
        size = sum(entry.size for entry in world.store.index(output.tree))
        target, place = (str(maker.label), world.origin(maker)) if maker else ("", "")
        layers.append(StoredLayer(layer.diff_id, output.tree, size, target, place, output.packed, output.codec))
    return StoredImage(image, tuple(layers), built=True)


def _named(layer: LayerOutput) -> list[str]:
    """A layer as a key names it: by what its blobs are made of."""
    return [layer.tree.hex, str(layer.diff_id or ""), *([str(layer.packed)] if layer.packed else [])]


def _codec_for(exports: tuple[ImageExport, ...], codec: str) -> str:
    """An archive for `docker load` holds tars: what is written as nothing else need not be compressed."""
    return codec if any(export.format != "docker" for export in exports) else "none"


def _write_image(content: ImageContent, format_: str, codec: str, destination: Path) -> Digest:
    writers = {"oci": write_layout, "oci-archive": write_oci_archive}
    return writers[format_](content, codec, destination) if format_ in writers else write_docker_archive(content, destination)
