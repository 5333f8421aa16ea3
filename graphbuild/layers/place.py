"""Where items go that are put into a tree, by the rules of a Dockerfile's COPY and ADD. Pure: trees in, entries out.

Nothing is written: what would be written follows from what is in the source and from what is at the destination. The rules are
BuildKit's (solver/llbsolver/file and fsutil/copy): a folder stands for what is in it, a file goes into an existing folder, folders on
the way are made, symlinks are followed in the destination and never out of it.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import msgspec

from graphbuild.layers.stack import Stack, resolve
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import mistake
from graphbuild.values.mode import Mode
from graphbuild.values.patterns import Patterns, go_match, split_wild

_FOLDER_MODE = 0o755


class Tree(Protocol):
    """Files to take from. Paths are relative to its root, b"" is the root itself."""

    def lookup(self, path: bytes) -> Entry | None:
        """What is at a path, symlinks not followed; a FILE's digest may be left out."""
        ...

    def names(self, folder: bytes) -> Sequence[bytes]:
        """The names in a folder, sorted; none for what is no folder."""
        ...

    def below(self, folder: bytes) -> Iterable[Entry]:
        """Everything below a folder, a folder before what is in it; further names of a file are HARDLINKs to its first."""
        ...


class Origin(msgspec.Struct, frozen=True):
    """Where a placed FILE's content comes from."""

    tree: Tree
    path: bytes


class Asked(msgspec.Struct, frozen=True):
    """What the one who copies wants of owners and modes; None keeps what the items have."""

    owner: tuple[int, int] | None = None
    mode: Mode | None = None
    exclude: Patterns | None = None


class Placing:
    """A tree that is being put into. `entries` is the layer so far, `origins` where its FILEs come from."""

    def __init__(self, base: Stack | None, asked: Asked) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.origins: dict[bytes, Origin] = {}
        self._base = base
        self._asked = asked
        self._covered: set[bytes] = set()  # paths of the base that something else than a folder covers now

    def lookup(self, path: bytes) -> Entry | None:
        """What is at a path of the destination, symlinks not followed."""
        found = self.entries.get(path)
        if found is not None:
            return found
        if self._base is None or (self._covered and any(path.startswith(covered + b"/") for covered in self._covered)):
            return None
        return self._base.lookup(path)

    def resolve(self, path: bytes) -> bytes:
        return resolve(self.lookup, path)

    def folder(self, path: bytes) -> None:
        """Make a folder and those above it, where there is none. GraphbuildError where something else is in the way."""
        missing = []
        while path:
            found = self.lookup(path)
            if found is not None:
                if found.kind is not Kind.DIRECTORY:
                    raise mistake(f"/{os.fsdecode(path)} is not a folder")
                break
            missing.append(path)
            path = path.rpartition(b"/")[0]
        for each in reversed(missing):
            uid, gid = self._asked.owner or (0, 0)
            mode = self._asked.mode
            bits = mode.bits if mode is not None and mode.bits is not None else _FOLDER_MODE
            self._set(Entry(each, Kind.DIRECTORY, bits, uid, gid))

    def put(self, tree: Tree, source: bytes, to: bytes, *, include: Patterns | None = None) -> None:
        """Put what `source` names in a tree at `to`, absolute as it was written; of a folder only what `include` chooses.

        GraphbuildError for what cannot be.
        """
        inside = to.endswith((b"/", b"/."))
        self.folder(self.resolve(to if inside else to.rpartition(b"/")[0]))
        place = self.resolve(to)
        real = resolve(tree.lookup, source)
        found = tree.lookup(real) if real else Entry(b"", Kind.DIRECTORY, _FOLDER_MODE)
        if found is None:
            raise mistake(f'"/{os.fsdecode(source)}": not found')
        there = self.lookup(place) if place else Entry(b"", Kind.DIRECTORY, _FOLDER_MODE)
        if found.kind is not Kind.DIRECTORY:
            name = source.rpartition(b"/")[2]
            if self._asked.exclude is not None and self._asked.exclude.matches(name):
                return
            if there is not None and there.kind is Kind.DIRECTORY:
                place = place + b"/" + name if place else name
            self.folder(place.rpartition(b"/")[0])
            self._file(tree, found, place, {})
            return
        if there is None:
            self.folder(place)
        elif there.kind is not Kind.DIRECTORY:
            raise mistake(f"cannot copy a folder to /{os.fsdecode(place)}, which is none")
        self._contents(tree, real, place, include)

    def unpack(self, archive: Tree, to: bytes) -> None:
        """Put what an archive holds into the folder `to`, as tar does: what it lists replaces what is there."""
        root = self.resolve(to)
        self.folder(root)
        firsts: dict[bytes, bytes] = {}
        for entry in archive.below(b""):
            parent, _, name = entry.path.rpartition(b"/")
            above = self.resolve(root + b"/" + parent)
            self.folder(above)
            place = above + b"/" + name if above else name
            if entry.kind is Kind.DIRECTORY:
                self._replaced(place, entry, archive, keep=None)
            else:
                self._set(self._linked(archive, entry, place, firsts), Origin(archive, entry.path))

    def _contents(self, tree: Tree, folder: bytes, place: bytes, include: Patterns | None) -> None:
        """Put what is in a folder into the folder `place`."""
        exclude = self._asked.exclude
        skip = len(folder) + 1 if folder else 0
        firsts: dict[bytes, bytes] = {}
        waiting: list[Entry] = []  # folders that are made only when something in them is
        for entry in tree.below(folder):
            inner = entry.path[skip:]
            while waiting and not entry.path.startswith(waiting[-1].path + b"/"):
                waiting.pop()
            if (include is not None and not include.matches(inner)) or (exclude is not None and exclude.matches(inner)):
                if entry.kind is Kind.DIRECTORY:
                    waiting.append(entry)
                continue
            for above in waiting:
                self._put_folder(tree, above, _joined(place, above.path[skip:]))
            waiting.clear()
            target = _joined(place, inner)
            if entry.kind is Kind.DIRECTORY:
                self._put_folder(tree, entry, target)
            else:
                self._file(tree, entry, target, firsts)

    def _put_folder(self, tree: Tree, entry: Entry, place: bytes) -> None:
        there = self.lookup(place)
        if there is not None and there.kind is not Kind.DIRECTORY:
            raise mistake(f"cannot copy to non-directory: /{os.fsdecode(place)}", hint="it is no folder in the image, or a symlink")
        self._replaced(place, entry, tree, keep=there)

    def _replaced(self, place: bytes, entry: Entry, tree: Tree, keep: Entry | None) -> None:
        """A folder with the attributes of the source's, in place of whatever is there."""
        made = self._attributes(entry, place)
        if made != keep:
            self._set(made, Origin(tree, entry.path))

    def _file(self, tree: Tree, entry: Entry, place: bytes, firsts: dict[bytes, bytes]) -> None:
        there = self.lookup(place)
        if there is not None and there.kind is Kind.DIRECTORY:
            raise mistake(f"cannot replace to directory /{os.fsdecode(place)} with file")
        self._set(self._linked(tree, entry, place, firsts), Origin(tree, entry.path))

    def _linked(self, tree: Tree, entry: Entry, place: bytes, firsts: dict[bytes, bytes]) -> Entry:
        """The entry at its place; a further name of a file that was placed before is a link to it."""
        if entry.kind is Kind.HARDLINK:
            first = firsts.get(entry.target)
            if first is not None:
                known = self.entries[first]
                return Entry(place, Kind.HARDLINK, known.mode, known.uid, known.gid, target=first, xattrs=known.xattrs)
            firsts[entry.target] = place
            entry = tree.lookup(entry.path) or entry
        else:
            firsts[entry.path] = place
        return self._attributes(entry, place)

    def _attributes(self, entry: Entry, place: bytes) -> Entry:
        uid, gid = self._asked.owner or (entry.uid, entry.gid)
        mode = entry.mode
        if self._asked.mode is not None and entry.kind is not Kind.SYMLINK:
            mode = self._asked.mode.apply(mode, folder=entry.kind is Kind.DIRECTORY)
        kind = Kind.FILE if entry.kind is Kind.HARDLINK else entry.kind
        target = entry.target if entry.kind is Kind.SYMLINK else b""
        return Entry(place, kind, mode, uid, gid, entry.size, entry.digest, target, entry.device, entry.xattrs)

    def _set(self, entry: Entry, origin: Origin | None = None) -> None:
        path = entry.path
        if entry.kind is not Kind.DIRECTORY:
            before = self.entries.get(path)
            if before is not None and before.kind is Kind.DIRECTORY:
                for each in [each for each in self.entries if each.startswith(path + b"/")]:
                    del self.entries[each]
            self._covered.add(path)
        elif self._base is not None and path not in self.entries:
            below = self._base.lookup(path)
            if below is not None and below.kind is not Kind.DIRECTORY:
                self._covered.add(path)
        self.entries[path] = entry
        if origin is not None:
            self.origins[path] = origin


def chosen(tree: Tree, path: str) -> Iterator[bytes]:
    """The paths that a pattern of filepath.Match names in a tree, in order: itself where it has no wildcard."""
    start, wild = split_wild(path)
    literal = os.fsencode(start)
    if not wild:
        yield literal
        return
    expressions = [go_match(part) for part in wild]
    if None in expressions:
        return
    yield from _matching(tree, resolve(tree.lookup, literal), [each.match for each in expressions if each is not None])


def _matching(tree: Tree, folder: bytes, tests: Sequence[Callable[[bytes], object]]) -> Iterator[bytes]:
    for name in tree.names(folder):
        if tests[0](name):
            path = _joined(folder, name)
            if len(tests) == 1:
                yield path
            else:
                yield from _matching(tree, path, tests[1:])


def _joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name
