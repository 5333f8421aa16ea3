"""Performing `ImportTar` and `ImportImage`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from graphbuild.build.keys import Field, Fields
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.world import World
from graphbuild.layers.cancel import Cancellable
from graphbuild.layers.compression import open_stream
from graphbuild.layers.tar_read import unpack
from graphbuild.rules.actions import ImportImage, ImportTar
from graphbuild.rules.refs import Ref, WorkspaceFile
from graphbuild.store.actions import LayerOutput, Outputs
from graphbuild.values.digest import Digest
from graphbuild.values.entry import Kind, encode_index
from graphbuild.values.errors import mistake

if TYPE_CHECKING:
    from graphbuild.image.read import SourceImage


def prepare_import(action: ImportTar | ImportImage, world: World) -> Prepared:
    match action:
        case ImportTar():
            path, content = content_of(action.source, world)
            return Prepared(_tar_fields(content, world), lambda _task: _import_tar(path, name_of(action.source), world))
        case ImportImage():
            return _prepare_image(action, world)


def content_of(source: WorkspaceFile | Ref, world: World) -> tuple[Path, bytes]:
    """A file to import, and a digest of its content."""
    if isinstance(source, Ref):
        digest = world.results[source].blob
        path = world.store.blob(digest) if digest else None
        if digest is None or path is None:
            raise mistake(f"what {source} fetched is gone from the store", hint="run again: it is fetched anew")
        return path, bytes.fromhex(digest.hex)
    return world.inputs.root / source.path, world.inputs.file(source.path).digest


def name_of(source: WorkspaceFile | Ref) -> str:
    return source.path if isinstance(source, WorkspaceFile) else str(source)


def _tar_fields(content: bytes, world: World) -> Fields:
    return (Field("action", "import-tar"), Field("content", content), Field("epoch", world.settings.epoch))


def _import_tar(path: Path, name: str, world: World) -> Outputs:
    settings = world.settings
    with world.store.scratch() as scratch, path.open("rb") as file:
        folder = scratch / "folder"
        folder.mkdir(mode=0o755)
        entries = unpack(
            Cancellable(open_stream(file), world.cancelled), folder, epoch=settings.epoch, whiteouts=False, ids=settings.ids, source=name
        )
        if not entries:
            return Outputs(())
        tree = world.store.put_layer(encode_index(entries, settings.epoch), folder=folder)
    return Outputs((LayerOutput(tree, None),), size=sum(entry.size for entry in entries))


def _prepare_image(action: ImportImage, world: World) -> Prepared:
    """An image is named by its manifest: the config's digest and the layers' are all that a key needs."""
    from graphbuild.image.read import open_image

    if isinstance(action.source, WorkspaceFile) and world.inputs.kind(action.source.path) is Kind.DIRECTORY:
        path = world.inputs.root / action.source.path
        world.inputs.look(path / "index.json")
    else:
        path = content_of(action.source, world)[0]
    image = open_image(path, reference=action.reference, platform=action.platform, source=name_of(action.source))
    fields = (
        Field("action", "import-image"),
        Field("config", repr(image.config)),
        Field("layers", [str(layer.diff_id) for layer in image.layers]),
        Field("history", [msgspec.to_builtins(past) for past in image.history]),
        Field("epoch", world.settings.epoch),
    )
    return Prepared(fields, lambda task: _import_image(image, name_of(action.source), world, task))


def _import_image(image: "SourceImage", name: str, world: World, task: Task) -> Outputs:
    layers: list[LayerOutput] = []
    trees: list[Digest | None] = []
    for number, layer in enumerate(image.layers):
        task.progress(number, len(image.layers), "layers")
        tree = world.forms.adopt(partial(image.open_layer, number), layer.diff_id, f"{name} layer {number}")
        trees.append(tree)
        if tree is not None:
            layers.append(LayerOutput(tree, layer.diff_id))
    above = iter(trees)
    history = tuple((None if past.empty else next(above), past) for past in image.history)
    return Outputs(tuple(layers), config=image.config, size=sum(layer.size for layer in image.layers), history=history)
