"""Performing `ImageIndex`: its images are built by then; what is written out is checked each time and written when stale."""

import msgspec
from blake3 import blake3

from graphbuild.build.exports import size_on_disk
from graphbuild.build.keys import Field
from graphbuild.build.perform.content import Progress, Wanted, image_content
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.world import World
from graphbuild.image.write import ImageContent, IndexContent, write_index
from graphbuild.rules.actions import Image, ImageExport, ImageIndex
from graphbuild.store.actions import Outputs


def prepare_index(action: ImageIndex, world: World) -> Prepared:
    if not world.settings.delivers:
        action = msgspec.structs.replace(action, exports=())
    codec = action.compression or world.settings.compression
    fields = (
        Field("action", "index"),
        Field("images", [[platform, str(world.results[image].blob)] for platform, image in action.images]),
        Field("compression", codec),
    )
    plain = msgspec.msgpack.encode([[field.name, field.value] for field in fields])

    def stamp(export: ImageExport) -> bytes:
        return blake3(msgspec.msgpack.encode([plain, export.format, action.annotations, action.tags])).digest()

    def perform(_task: Task) -> Outputs:
        listed = [[platform, str(world.results[image].blob)] for platform, image in action.images]
        return Outputs((), blob=world.store.put_blob(msgspec.json.encode(listed)))

    def outdated(export: ImageExport) -> str:
        return world.exports.outdated(world.place(export.path), stamp(export))

    def current(_outputs: Outputs) -> str:
        return "; ".join(filter(None, map(outdated, action.exports)))

    def deliver(_outputs: Outputs, task: Task) -> None:
        stale = list(filter(outdated, action.exports))
        if not stale:
            return
        content = index_content(action, world, task.progress)
        for export in stale:
            destination = world.destination(export.path)
            digest = write_index(content, export.format, codec, destination)
            world.exports.written(destination, stamp(export))
            task.exported(export.path, export.format, size_on_disk(destination), str(digest))

    return Prepared(fields, perform, current, deliver)


def index_content(action: ImageIndex, world: World, progress: Progress) -> IndexContent:
    """An index whose images are built, with their blobs in the store."""
    codec = action.compression or world.settings.compression
    images: list[ImageContent] = []
    for _, ref in action.images:
        image = world.action(ref)
        assert isinstance(image, Image), "an index is of images"
        plain = msgspec.structs.replace(image, tags=(), annotations=(), compression=codec)
        images.append(image_content(plain, world, Wanted(tars=codec == "none", codec=codec), progress))
    return IndexContent(tuple(images), action.annotations, action.tags, world.settings.epoch)
