"""Workspace files as layers: what a `bind` mounts, and the part that `copy` shares with it."""

import msgspec

from graphbuild.build.glob import escape
from graphbuild.build.source import SourceFile
from graphbuild.build.world import World
from graphbuild.rules.refs import Sources, WorkspaceFile
from graphbuild.values.digest import Digest
from graphbuild.values.entry import Entry, Kind, encode_index, tree_digest


class SourceLayer(msgspec.Struct, frozen=True):
    """A file or folder of the workspace as a layer that holds it under `name`. A step sees this, not the workspace."""

    tree: Digest
    name: str


def source_layer(source: WorkspaceFile, world: World) -> SourceLayer:
    """The layer of a bound file or folder; what it names, its content made on demand by `keep_sources`."""
    folder, _, name = source.path.rpartition("/")
    sources = Sources(folder, (escape(name) or "**",))
    world.inputs.kind(source.path)
    entries = [entry_of(file, file.path) for file in world.inputs.scan(sources)]
    encoded = encode_index(entries, world.settings.epoch)
    tree = tree_digest(encoded)
    if not world.store.has_layer(tree):
        keep_sources(encoded, {entry.path: file for entry, file in zip(entries, world.inputs.scan(sources), strict=True)}, sources, world)
    return SourceLayer(tree, name)


def entry_of(source: SourceFile, path: bytes, uid: int = 0, gid: int = 0, mode: int | None = None) -> Entry:
    """A workspace file as a layer's entry at `path`."""
    permissions = source.mode if mode is None or source.kind is Kind.SYMLINK else mode
    return Entry(path, source.kind, permissions, uid, gid, source.size, source.digest, source.target)


def keep_sources(encoded: bytes, files: dict[bytes, SourceFile], sources: Sources, world: World) -> Digest:
    """Put a layer of workspace files into the store, its tar written straight from the files. Returns its tree digest."""
    from graphbuild.values.entry import decode_index

    open_source = world.inputs.opener(sources)
    tree = tree_digest(encoded)
    world.forms.write_blob(tree, decode_index(encoded), lambda entry: open_source(files[entry.path]))
    return world.store.put_layer(encoded, folder=None)
