"""A folder of the workspace as a tree that files are taken from: looked at where somebody asks, hashed when something is taken.

What it shows are modes, hard links and extended attributes of users as they are on disk, all owned by 0:0, without what its ignore
patterns leave out, and without sockets. Symlinks are shown, never followed: who follows one stays inside the tree.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping

from graphbuild.build.inputs import Inputs, Seen, Signature
from graphbuild.layers.xattrs import read_xattrs
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import mistake
from graphbuild.values.patterns import Patterns

_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}
_EXECUTABLE_LINK = 0o777


class FolderTree:
    """`root` is the folder's absolute path. Several threads may use it: what it remembers is only ever added to."""

    def __init__(self, inputs: Inputs, root: bytes, ignore: Patterns) -> None:
        self._inputs = inputs
        self._root = root
        self._ignore = ignore
        self._found: dict[bytes, Seen | None] = {}
        self._listed: dict[bytes, list[bytes]] = {}

    def lookup(self, path: bytes) -> Entry | None:
        seen = self._see(path)
        return self._entry(path, seen) if seen is not None and self._visible(path, seen) else None

    def names(self, folder: bytes) -> list[bytes]:
        seen = self._see(folder) if folder else None
        if folder and (seen is None or not stat.S_ISDIR(seen.mode)):
            return []
        prefix = folder + b"/" if folder else b""
        return [name for name in self._list(folder) if self._shows(prefix + name)]

    def below(self, folder: bytes) -> Iterator[Entry]:
        firsts: dict[tuple[int, int], bytes] = {}
        stack = [folder]
        while stack:
            each = stack.pop()
            prefix = each + b"/" if each else b""
            folders = []
            for name in self.names(each):
                path = prefix + name
                seen = self._see(path)
                if seen is None:
                    continue
                entry = self._entry(path, seen)
                if entry.kind is Kind.DIRECTORY:
                    folders.append(path)
                elif entry.kind is Kind.FILE and seen.links > 1:
                    first = firsts.setdefault((seen.device, seen.signature[3]), path)
                    if first != path:  # with all that the file has: its first name may not be taken
                        yield Entry(path, Kind.HARDLINK, entry.mode, size=entry.size, target=first, xattrs=entry.xattrs)
                        continue
                yield entry
            stack.extend(reversed(folders))

    def digests(self, paths: Iterable[bytes]) -> Mapping[bytes, bytes]:
        """blake3 of the content of files."""
        return self._inputs.digests(self._root, {path: self._signature(path) for path in paths})

    def place(self, path: bytes) -> bytes:
        """Where a path is on disk."""
        return self._root + b"/" + path

    def open(self, path: bytes) -> int:
        """A descriptor to read a file; GraphbuildError when it changed since it was looked at."""
        return self._inputs.open(self.place(path), self._signature(path))

    def _signature(self, path: bytes) -> Signature:
        seen = self._see(path)
        if seen is None:
            raise mistake(f"no such file: {os.fsdecode(path)}")
        return seen.signature

    def _see(self, path: bytes) -> Seen | None:
        try:
            return self._found[path]
        except KeyError:
            folder = path.rpartition(b"/")[0]
            above = self._see(folder) if folder else None
            known = None
            if not folder or (above is not None and stat.S_ISDIR(above.mode)):
                known = self._inputs.seen(self._root + b"/" + path)
            return self._found.setdefault(path, known)

    def _list(self, folder: bytes) -> list[bytes]:
        known = self._listed.get(folder)
        if known is None:
            prefix = folder + b"/" if folder else b""
            found = self._inputs.listing(self._root + b"/" + folder if folder else self._root)
            for name, seen in found:
                self._found.setdefault(prefix + name, seen)
            known = self._listed.setdefault(folder, sorted(name for name, _ in found))
        return known

    def _shows(self, path: bytes) -> bool:
        seen = self._see(path)
        return seen is not None and self._visible(path, seen)

    def _visible(self, path: bytes, seen: Seen) -> bool:
        """Whether the ignore patterns leave it in; a folder also where something below it is brought back."""
        if stat.S_ISSOCK(seen.mode):
            return False
        if not self._ignore or not self._ignore.matches(path):
            return True
        if not stat.S_ISDIR(seen.mode) or not self._ignore.may_except(path):
            return False
        return any(self._shows(path + b"/" + name) for name in self._list(path))

    def _entry(self, path: bytes, seen: Seen) -> Entry:
        kind = _KINDS[stat.S_IFMT(seen.mode)]
        place = self._root + b"/" + path
        xattrs = tuple(pair for pair in read_xattrs(place)[0] if pair[0].startswith(b"user."))
        if kind is Kind.SYMLINK:
            return Entry(path, kind, _EXECUTABLE_LINK, target=os.readlink(place), xattrs=xattrs)
        mode = stat.S_IMODE(seen.mode)
        device = (os.major(seen.node), os.minor(seen.node)) if kind in (Kind.CHARACTER, Kind.BLOCK) else (0, 0)
        return Entry(path, kind, mode, size=seen.signature[0] if kind is Kind.FILE else 0, device=device, xattrs=xattrs)
