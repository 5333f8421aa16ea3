"""Performing `Put`: the items looked up, put in place by `layers.place`, and the layer's tar written straight from them.

As with `Copy`, the layer is known before a byte is copied: its key is its tree digest.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from graphbuild.build.folder_tree import FolderTree
from graphbuild.build.perform.copy import layer_of
from graphbuild.build.perform.imports import content_of, import_archive
from graphbuild.build.perform.prepared import Prepared
from graphbuild.build.world import World
from graphbuild.layers.compression import DamagedStream, open_stream
from graphbuild.layers.place import Asked, Placing, Tree, chosen
from graphbuild.layers.stack import Stack, open_below, resolve
from graphbuild.layers.tar_read import is_tar
from graphbuild.rules.actions import BlobItem, Folder, Pick, Put, StackTree, TextItem
from graphbuild.sandbox.users import resolve_owner
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import mistake
from graphbuild.values.mode import Mode, parse_mode
from graphbuild.values.patterns import Patterns, is_wild


class _Text(msgspec.Struct, frozen=True):
    """A tree of one file, whose content is at hand: written out, or a blob of the store."""

    entry: Entry
    content: bytes | Path

    def lookup(self, path: bytes) -> Entry | None:
        return self.entry if path == self.entry.path else None

    def names(self, folder: bytes) -> Sequence[bytes]:
        return () if folder else (self.entry.path,)

    def below(self, folder: bytes) -> Sequence[Entry]:
        return () if folder else (self.entry,)


def prepare_put(action: Put, world: World) -> Prepared:
    base = world.stack(action.base) if action.base else None
    placing = Placing(base, Asked(_owner(action.owner, base), _mode(action), exclude=_patterns(action.exclude)))
    if not action.items:
        placing.folder(placing.resolve(os.fsencode(action.to)))
    for item in action.items:
        _put(item, os.fsencode(action.to), placing, world)
    entries = _hashed(placing)
    return layer_of(entries, _opener(placing), world)


def _owner(owner: str, base: Stack | None) -> tuple[int, int] | None:
    if not owner:
        return None
    passwd = (base.read(b"etc/passwd") if base else None) or b""
    return resolve_owner(owner, passwd, (base.read(b"etc/group") if base else None) or b"")


def _mode(action: Put) -> Mode | None:
    try:
        return parse_mode(action.mode) if action.mode else None
    except ValueError as error:
        raise mistake(str(error), hint="octal, such as 0755, or symbolic, such as u=rwX,go=rX") from None


def _patterns(texts: Sequence[str]) -> Patterns | None:
    try:
        return Patterns(texts) if texts else None
    except ValueError as error:
        raise mistake(str(error)) from None


def _put(item: Pick | TextItem | BlobItem, to: bytes, placing: Placing, world: World) -> None:
    match item:
        case Pick():
            _pick(item, to, placing, world)
        case TextItem():
            from blake3 import blake3

            name = os.fsencode(item.name)
            entry = Entry(name, Kind.FILE, item.mode, size=len(item.content), digest=blake3(item.content).digest())
            placing.put(_Text(entry, item.content), name, to)
        case BlobItem():
            path, _ = content_of(item.blob, world)
            name = os.fsencode(item.name)
            archive = _archive(path, item.name, world) if item.unpack else None
            if archive is not None:
                placing.unpack(archive, to)
            else:
                entry = Entry(name, Kind.FILE, item.mode, size=path.stat().st_size, digest=_digest_of(path, world))
                placing.put(_Text(entry, path), name, to)


def _digest_of(path: Path, world: World) -> bytes:
    from graphbuild.build.hashing import hash_file

    return hash_file(os.fsencode(path), path.stat().st_size, world.cancelled)


def _pick(item: Pick, to: bytes, placing: Placing, world: World) -> None:
    tree = tree_of(item.tree, world)
    if item.plain:
        placing.put(tree, os.fsencode(item.path), to)
        return
    if item.include:
        placing.put(tree, os.fsencode(item.path), to, include=_patterns(item.include))
        return
    found = False
    for path in chosen(tree, item.path):
        found = True
        archive = _unpacked(tree, path, world) if item.unpack else None
        if archive is not None:
            placing.unpack(archive, to)
        else:
            placing.put(tree, path, to)
    if not found and not is_wild(item.path):
        raise mistake(f'"/{item.path}": not found')


def tree_of(tree: Folder | StackTree, world: World) -> Tree:
    """The tree that a source names; a folder of the workspace is one for the whole build, looked at once."""
    if isinstance(tree, StackTree):
        return world.stack(tree.layers)
    return world.folder_tree(tree, lambda: _folder_tree(tree, world))


def _folder_tree(tree: Folder, world: World) -> FolderTree:
    root = os.fsencode(os.path.normpath(world.inputs.root / tree.path))
    if world.inputs.watch(root) is None:
        raise mistake(f"no such folder: {tree.path}")
    return FolderTree(world.inputs, root, _patterns(tree.ignore) or Patterns(()))


def _unpacked(tree: Tree, path: bytes, world: World) -> Tree | None:
    """What a picked file holds, where it is a tar."""
    real = resolve(tree.lookup, path)
    entry = tree.lookup(real)
    if entry is None or entry.kind is not Kind.FILE:
        return None
    place = _place_on_disk(tree, real)
    return _archive(place, os.fsdecode(path), world, entry.digest or _digests(tree, [real])[real])


def _archive(path: Path, name: str, world: World, digest: bytes = b"") -> Tree | None:
    """A tar's content as a tree; None for what is no tar."""
    with path.open("rb") as file:
        try:
            if not is_tar(open_stream(file)):
                return None
        except DamagedStream:
            return None
    layer = import_archive(path, digest or _digest_of(path, world), name, world)
    return Stack([world.layer(layer)] if layer else [])


def _place_on_disk(tree: Tree, path: bytes) -> Path:
    if isinstance(tree, FolderTree):
        return Path(os.fsdecode(tree.place(path)))
    assert isinstance(tree, Stack)
    found = tree.find(path)
    assert found is not None
    return found[1].folder() / os.fsdecode(path)


def _digests(tree: Tree, paths: list[bytes]) -> Mapping[bytes, bytes]:
    return tree.digests(paths) if isinstance(tree, FolderTree) else {}


def _hashed(placing: Placing) -> list[Entry]:
    """The entries, sorted, the content of each FILE hashed; a tree's files all at once."""
    unknown: dict[int, list[bytes]] = defaultdict(list)
    trees = {}
    for path, origin in placing.origins.items():
        entry = placing.entries.get(path)
        if entry is not None and entry.kind is Kind.FILE and not entry.digest:
            unknown[id(origin.tree)].append(origin.path)
            trees[id(origin.tree)] = origin.tree
    known = {number: _digests(trees[number], paths) for number, paths in unknown.items()}

    def finished() -> Iterator[Entry]:
        for path in sorted(placing.entries):
            entry = placing.entries[path]
            if entry.kind is Kind.FILE and not entry.digest:
                origin = placing.origins[path]
                entry = msgspec.structs.replace(entry, digest=known[id(origin.tree)][origin.path])
            yield entry

    return _firsts_first(list(finished()))


def _firsts_first(entries: list[Entry]) -> list[Entry]:
    """Hard links point at the name that sorts first, as a layer's index wants it."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for number, entry in enumerate(entries):
        if entry.kind is Kind.HARDLINK:
            groups[entry.target].append(number)
    if not groups:
        return entries
    at = {entry.path: number for number, entry in enumerate(entries)}
    for target, others in groups.items():
        first = at.get(target)
        if first is None or first < others[0]:
            continue
        file, name = entries[first], entries[others[0]].path
        entries[others[0]] = msgspec.structs.replace(file, path=name)
        for number in (first, *others[1:]):
            entries[number] = Entry(entries[number].path, Kind.HARDLINK, file.mode, file.uid, file.gid, target=name, xattrs=file.xattrs)
    return entries


def _opener(placing: Placing) -> Callable[[Entry], int]:
    def open_file(entry: Entry) -> int:
        origin = placing.origins[entry.path]
        tree = origin.tree
        if isinstance(tree, FolderTree):
            return tree.open(origin.path)
        if isinstance(tree, _Text):
            return _open_text(tree.content)
        assert isinstance(tree, Stack)
        found = tree.find(origin.path)
        assert found is not None
        return open_below(found[1].folder(), origin.path)

    return open_file


def _open_text(content: bytes | Path) -> int:
    if isinstance(content, Path):
        return os.open(content, os.O_RDONLY | os.O_CLOEXEC)
    descriptor = os.memfd_create("text")
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
