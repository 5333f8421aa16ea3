"""Where items go that are put into a tree, by the rules of a Dockerfile's COPY and ADD. Pure: trees in, entries out.

Nothing is written: what would be written follows from what is in the source and from what is at the destination. The rules are
BuildKit's (solver/llbsolver/file and fsutil/copy): a folder stands for what is in it, a file goes into an existing folder, folders on
the way are made, symlinks are followed in the destination and never out of it.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

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
    """Where a placed FILE's content comes from: a path of a tree, or of other files that are at hand."""

    tree: Any
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
        if self._base is None or (self._covered and any(above in self._covered for above in _above(path))):
            return None
        return self._base.lookup(path)

    def resolve(self, path: bytes) -> bytes:
        return resolve(self.lookup, path)

    def folder(self, path: bytes, *, plain: bool = False, plain_mode: bool = False) -> None:
        """Make a folder and those above it, where there is none. GraphbuildError where something else is in the way.

        They have the owner and mode that were asked for; not if they are to be `plain`, not the mode if that is to be.
        """
        missing = []
        while path:
            found = self.lookup(path)
            if found is not None:
                if found.kind is not Kind.DIRECTORY:
                    raise mistake(f"/{os.fsdecode(path)} is not a folder")
                break
            missing.append(path)
            path = path.rpartition(b"/")[0]
        uid, gid = (not plain and self._asked.owner) or (0, 0)
        mode = None if plain or plain_mode else self._asked.mode
        bits = mode.bits & _FOLDER_MODE if mode is not None and mode.bits is not None else _FOLDER_MODE
        for each in reversed(missing):
            above = self.lookup(each.rpartition(b"/")[0])
            inherited = above.mode & 0o2000 if above is not None and mode is None else 0  # the kernel's mkdir passes it on
            self._set(Entry(each, Kind.DIRECTORY, bits | inherited, uid, gid))

    def put(self, tree: Tree, source: bytes, to: bytes, *, include: Patterns | None = None, itself: bool = False) -> None:
        """Put what `source` names in a tree at `to`, absolute as it was written; of a folder only what `include` chooses. `itself`: a
        folder that is made for what is in a folder becomes like that one.

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
            if there is not None and there.kind is Kind.DIRECTORY:
                place = place + b"/" + name if place else name
            self.folder(place.rpartition(b"/")[0])
            self._file(tree, found, place, {})
            return
        if there is None:
            self.folder(place)
            if itself:
                self.replace(msgspec.structs.replace(found, path=place))
        elif there.kind is not Kind.DIRECTORY:
            raise mistake(f"cannot copy a folder to /{os.fsdecode(place)}, which is none")
        self._contents(tree, real, place, include)

    def replace(self, entry: Entry, origin: "Origin | None" = None) -> None:
        """An entry in the place of whatever is there; a folder only takes over the attributes of a folder that is there."""
        uid, gid = self._asked.owner or (entry.uid, entry.gid)
        self._set(msgspec.structs.replace(entry, uid=uid, gid=gid), origin)

    def link(self, place: bytes, target: bytes) -> bool:
        """Another name for a file of the tree; whether there was one. A file of the base becomes a part of the layer."""
        found = self.lookup(target)
        if found is None or found.kind is Kind.DIRECTORY:
            return False
        if target not in self.entries:
            assert self._base is not None
            self._set(found, Origin(self._base, target))
        first = self.entries[target]
        if first.kind is Kind.SYMLINK:
            self._set(msgspec.structs.replace(first, path=place))
        else:
            name = first.target if first.kind is Kind.HARDLINK else target
            link = Entry(place, Kind.HARDLINK, first.mode, first.uid, first.gid, target=name, xattrs=first.xattrs)
            self._set(link, self.origins.get(name))
        return True

    def _contents(self, tree: Tree, folder: bytes, place: bytes, include: Patterns | None) -> None:
        """Put what is in a folder into the folder `place`."""
        exclude = self._asked.exclude
        skip = len(folder) + 1 if folder else 0
        firsts: dict[bytes, bytes] = {}
        passed: dict[bytes, Entry] = {}  # folders that are made only when something in them is
        for entry in tree.below(folder):
            inner = entry.path[skip:]
            if (include is not None and not include.matches(inner)) or (exclude is not None and exclude.matches(inner)):
                if entry.kind is Kind.DIRECTORY:
                    passed[entry.path] = entry
                continue
            for above in _above(entry.path) if passed else ():
                if (way := passed.pop(above, None)) is not None:
                    self._put_folder(way, _joined(place, above[skip:]))
            target = _joined(place, inner)
            if entry.kind is Kind.DIRECTORY:
                self._put_folder(entry, target)
            else:
                self._file(tree, entry, target, firsts)

    def _put_folder(self, entry: Entry, place: bytes) -> None:
        there = self.lookup(place)
        if there is not None and there.kind is not Kind.DIRECTORY:
            raise mistake(f"cannot copy to non-directory: /{os.fsdecode(place)}", hint="it is no folder in the image, or a symlink")
        made = self._attributes(entry, place)
        if made != there:
            self._set(made)

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
        elif self._base is not None and (below := self._base.lookup(path)) is not None:
            if below.kind is not Kind.DIRECTORY:
                self._covered.add(path)
            elif path in self._covered:
                entry = msgspec.structs.replace(entry, opaque=True)  # a folder again, after it was something else
        self.entries[path] = entry
        if origin is not None:
            self.origins[path] = origin


def chosen(tree: Tree, path: str) -> Iterator[bytes]:
    """The paths that a pattern of filepath.Match names in a tree, in order: itself where it has no wildcard.

    GraphbuildError where the folder before the first wildcard is not there, ValueError for a malformed pattern.
    """
    start, wild = split_wild(path)
    literal = os.fsencode(start)
    if not wild:
        yield literal
        return
    expression = go_match("/".join(wild))
    folder = resolve(tree.lookup, literal)
    found = tree.lookup(folder) if folder else None
    if folder and (found is None or found.kind is not Kind.DIRECTORY):
        raise mistake(f"lstat /{start}: no such file or directory", hint="the part before the first wildcard must be there")
    parts = [go_match(part) for part in wild[:-1]] if "[^" not in path else None  # a negated class may be a slash
    yield from _matching(tree, folder, folder, expression, parts)


def _matching(tree: Tree, root: bytes, folder: bytes, expression: re.Pattern[str], parts: list[re.Pattern[str]] | None) -> Iterator[bytes]:
    """What matches below `folder`; `parts` are the patterns of the folders on the way to what can match, None for any."""
    for name in tree.names(folder):
        path = _joined(folder, name)
        if expression.match(os.fsdecode(path[len(root) + 1 :] if root else path)):
            yield path
        elif parts is None or (parts and parts[0].match(os.fsdecode(name))):
            yield from _matching(tree, root, path, expression, parts[1:] if parts else parts)


def _above(path: bytes) -> Iterator[bytes]:
    """The folders that a path is in, outermost first."""
    at = path.find(b"/")
    while at >= 0:
        yield path[:at]
        at = path.find(b"/", at + 1)


def _joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name
