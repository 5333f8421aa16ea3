"""Performing `ExportFiles`: files of a stack as a folder or a tar outside the store, written again when they are stale."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from blake3 import blake3

from graphbuild.build.keys import Field
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.perform.select import Selected, select
from graphbuild.build.world import World
from graphbuild.image.place import place_file, place_folder, writing
from graphbuild.layers.tar_read import unpack
from graphbuild.layers.tar_write import write_layer_tar
from graphbuild.rules.actions import ExportFiles
from graphbuild.store.actions import Outputs
from graphbuild.values.entry import Entry, Kind, encode_index
from graphbuild.values.errors import mistake


def prepare_files(action: ExportFiles, world: World) -> Prepared:
    chosen = select(action.source, world)
    entries = [_stripped(item, action.strip) for item in chosen]
    openers = {entry.path: item.open for entry, item in zip(entries, chosen, strict=True)}
    entries = [entry for entry in entries if entry.path]
    digest = blake3(encode_index(entries, world.settings.epoch)).digest()
    fields = (Field("action", "files"), Field("files", digest), Field("format", action.format))
    stamp = blake3(digest + action.format.encode()).digest()
    size = sum(entry.size for entry in entries)

    def current(_outputs: Outputs) -> str:
        return world.exports.outdated(world.place(action.to), stamp)

    def deliver(_outputs: Outputs, task: Task) -> None:
        if not current(_outputs):
            return
        destination = world.destination(action.to)
        write = _write_tar if action.format == "tar" else _write_folder
        with writing(destination):
            write(entries, openers, destination, world)
        world.exports.written(destination, stamp)
        task.exported(action.to, action.format, size, "")

    return Prepared(fields, lambda _task: Outputs((), size=size), current, deliver)


def _stripped(item: Selected, strip: str) -> Entry:
    prefix = os.fsencode(strip.strip("/"))

    def cut(path: bytes) -> bytes:
        if prefix and path.startswith(prefix + b"/"):
            return path[len(prefix) + 1 :]
        return b"" if path == prefix else path

    entry = item.entry
    target = cut(entry.target) if entry.kind is Kind.HARDLINK else entry.target
    return msgspec.structs.replace(entry, path=cut(entry.path), target=target)


def _write_tar(entries: list[Entry], openers: Mapping[bytes, Callable[[], int]], destination: Path, world: World) -> None:
    with place_file(destination) as descriptor:
        write_layer_tar(entries, lambda entry: openers[entry.path](), descriptor, epoch=world.settings.epoch, cancelled=world.cancelled)


def _write_folder(entries: list[Entry], openers: Mapping[bytes, Callable[[], int]], destination: Path, world: World) -> None:
    """Replace the folder as a whole; one that no build of ours wrote, and that holds something, is left alone.

    The files belong to whoever builds: their owners in the image mean nothing outside it.
    """
    if destination.is_dir() and os.listdir(destination) and not world.exports.known(destination):
        raise mistake(f"{destination} holds files that no build wrote", hint="remove it, or write to another folder")
    with world.store.scratch() as scratch, (scratch / "files.tar").open("w+b") as tar:
        epoch = world.settings.epoch
        write_layer_tar(entries, lambda entry: openers[entry.path](), tar.fileno(), epoch=epoch, cancelled=world.cancelled)
        tar.seek(0)
        with place_folder(destination) as folder:
            unpack(tar, folder, epoch=epoch, whiteouts=False, ids="single", source=str(destination))
