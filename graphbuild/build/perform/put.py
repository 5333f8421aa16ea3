"""Performing `Put`: the items looked up, put in place by `layers.place`, and the layer's tar written straight from them.

As with `Copy`, the layer is known before a byte is copied: its key is its tree digest. Archives that are unpacked are the exception:
what they make of what is there is known when it is done.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from graphbuild.build.folder_tree import FolderTree
from graphbuild.build.keys import Field, Fields, digest_of_entries
from graphbuild.build.perform.copy import layer_of
from graphbuild.build.perform.imports import content_of
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.perform.run import layer_names
from graphbuild.build.world import World
from graphbuild.layers.cancel import Cancellable
from graphbuild.layers.compression import DamagedStream, open_stream
from graphbuild.layers.place import Asked, Placing, Tree, chosen
from graphbuild.layers.stack import Stack, open_below, resolve
from graphbuild.layers.tar_read import is_tar
from graphbuild.layers.untar import LooseFiles, Untar
from graphbuild.rules.actions import BlobItem, Folder, Item, Pick, Put, StackTree, TextItem
from graphbuild.sandbox.users import lenient_owner
from graphbuild.store.actions import Outputs
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


class _Archive(msgspec.Struct, frozen=True):
    """An item that is a tar and stands for what is in it. `place`: where it is on disk; `digest` of its bytes."""

    name: str
    place: Path
    digest: bytes


class _Putting:
    """An action's items, looked up: where each comes from, and which of them are archives."""

    def __init__(self, action: Put, world: World) -> None:
        self._action = action
        self._world = world
        self._to = os.fsencode(action.to)
        self._base = world.stack(action.base) if action.base else None
        self._asked = Asked(_owner(action.owner, self._base), _mode(action), exclude=_patterns(action.exclude))
        self._parts = [part for item in action.items for part in _parts(item, world)]
        self.archives = [part for part in self._parts if isinstance(part, _Archive)]

    def placed(self, folder: Path | None = None) -> Placing:
        """Everything in its place; archives are unpacked into `folder`, or left out where there is none."""
        placing = Placing(self._base, self._asked)
        if not self._action.items:
            placing.folder(placing.resolve(self._to))
        untar = Untar(placing, folder) if folder else None
        for part in self._parts:
            if isinstance(part, _Archive):
                if untar is not None:
                    with part.place.open("rb") as file:
                        untar.add(Cancellable(open_stream(file), self._world.cancelled), self._to, part.name)
            else:
                placing.put(part.tree, part.path, self._to, include=part.include, itself=part.itself)
        return placing

    def fields(self) -> Fields:
        """The key of an action with archives: it depends on all of its base, for anything in there may be in their way."""
        action, world = self._action, self._world
        below = world.made(action.base)
        archives = [[number, part.digest] for number, part in enumerate(self._parts) if isinstance(part, _Archive)]
        return (
            Field("action", "put"),
            Field("to", self._to),
            Field("files", digest_of_entries(_hashed(self.placed()))),
            Field("archives", archives, tuple(part.name for part in self.archives)),
            Field("owner", action.owner),
            Field("mode", action.mode),
            Field("layers", [output.tree.hex for output, _ in below], layer_names(below)),
            Field("epoch", world.settings.epoch),
        )


def prepare_put(action: Put, world: World) -> Prepared:
    putting = _Putting(action, world)
    if not putting.archives:
        placing = putting.placed()
        return layer_of(_hashed(placing), _opener(placing), world)

    def perform(task: Task) -> Outputs:
        with world.store.scratch() as folder:
            placing = putting.placed(folder)
            return layer_of(_hashed(placing), _opener(placing), world).perform(task)

    return Prepared(putting.fields(), perform)


class _Source(msgspec.Struct, frozen=True):
    """What a path names in a tree."""

    tree: Tree
    path: bytes
    include: Patterns | None = None
    itself: bool = False


def _parts(item: Item, world: World) -> Iterator[_Source | _Archive]:
    """What an item stands for."""
    match item:
        case Pick():
            yield from _picked(item, world)
        case TextItem():
            from blake3 import blake3

            name = os.fsencode(item.name)
            entry = Entry(name, Kind.FILE, item.mode, size=len(item.content), digest=blake3(item.content).digest())
            yield _Source(_Text(entry, item.content), name)
        case BlobItem():
            path, _ = content_of(item.blob, world)
            name, digest = os.fsencode(item.name), _digest_of(path, world)
            if item.unpack and _is_archive(path):
                yield _Archive(item.name, path, digest)
            else:
                yield _Source(_Text(Entry(name, Kind.FILE, item.mode, size=path.stat().st_size, digest=digest), path), name)


def _owner(owner: str, base: Stack | None) -> tuple[int, int] | None:
    if not owner:
        return None
    return lenient_owner(owner, base.read(b"etc/passwd") if base else None, base.read(b"etc/group") if base else None)


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


def _digest_of(path: Path, world: World) -> bytes:
    from graphbuild.build.hashing import hash_file

    return hash_file(os.fsencode(path), path.stat().st_size, world.cancelled)


def _picked(item: Pick, world: World) -> Iterator[_Source | _Archive]:
    tree = tree_of(item.tree, world)
    if item.plain:
        yield _Source(tree, os.fsencode(item.path))
        return
    if item.include:
        yield from _included(item, tree)
        return
    if isinstance(item.tree, Folder) and "\\" in item.path and not is_wild(item.path):
        raise mistake(f'"/{item.path}": not found', hint="a backslash escapes what follows it: such a name cannot be written here")
    try:
        paths = list(chosen(tree, item.path))
    except ValueError as error:
        raise mistake(f"{item.path}: {error}") from None
    for path in paths:
        archive = _unpacked(tree, path) if item.unpack else None
        yield archive or _Source(tree, path)


def _included(item: Pick, tree: Tree) -> Iterator[_Source]:
    """What the patterns of a pick choose in each folder that its path names; what has no wildcard must be there."""
    include = _patterns(item.include)
    for folder in chosen(tree, item.path):
        for literal in (os.fsencode(pattern) for pattern in item.include if not is_wild(pattern)):
            path = folder + b"/" + literal if folder else literal
            if not is_wild(item.path) and tree.lookup(resolve(tree.lookup, path, follow_last=False)) is None:
                raise mistake(f'"/{os.fsdecode(path)}": not found')
        yield _Source(tree, folder, include)


def tree_of(tree: Folder | StackTree, world: World) -> Tree:
    """The tree that a source names; a folder of the workspace is one for the whole build, looked at once."""
    if isinstance(tree, StackTree):
        return world.stack(tree.layers)
    return world.folder_tree(tree, lambda: _folder_tree(tree, world))


def _folder_tree(tree: Folder, world: World) -> FolderTree:
    root = os.fsencode(os.path.normpath(world.inputs.root / tree.path))
    if world.inputs.look(root) is None:
        raise mistake(f"no such folder: {tree.path}")
    return FolderTree(world.inputs, root, _patterns(tree.ignore) or Patterns(()))


def _unpacked(tree: Tree, path: bytes) -> _Archive | None:
    """A picked file as an archive, where it is one."""
    real = resolve(tree.lookup, path)
    entry = tree.lookup(real) if real else None
    if entry is None or entry.kind is not Kind.FILE:
        return None
    place = _place_on_disk(tree, real)
    if not _is_archive(place):
        return None
    return _Archive(os.fsdecode(path), place, entry.digest or _digests(tree, [real])[real])


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            return is_tar(open_stream(file))
        except DamagedStream:
            return False


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
        if isinstance(tree, LooseFiles):
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
