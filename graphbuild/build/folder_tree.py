"""A folder of the workspace as a tree that files are taken from: looked at where somebody asks, hashed when something is taken.

What it shows are modes, hard links and extended attributes of users as they are on disk, all owned by 0:0, without what its ignore
patterns leave out, and without sockets. Symlinks are shown, never followed: who follows one stays inside the tree.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping

from graphbuild.build.inputs import Inputs, Signature, signature
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
        self._stats: dict[bytes, os.stat_result | None] = {}
        self._listed: dict[bytes, list[bytes]] = {}

    def lookup(self, path: bytes) -> Entry | None:
        status = self._stat(path)
        return self._entry(path, status) if status is not None and self._visible(path, status) else None

    def names(self, folder: bytes) -> list[bytes]:
        status = self._stat(folder) if folder else None
        if folder and (status is None or not stat.S_ISDIR(status.st_mode)):
            return []
        prefix = folder + b"/" if folder else b""
        return [name for name in self._list(folder) if self._seen(prefix + name)]

    def below(self, folder: bytes) -> Iterator[Entry]:
        firsts: dict[tuple[int, int], bytes] = {}
        stack = [folder]
        while stack:
            each = stack.pop()
            prefix = each + b"/" if each else b""
            folders = []
            for name in self.names(each):
                path = prefix + name
                status = self._stat(path)
                if status is None:
                    continue
                entry = self._entry(path, status)
                if entry.kind is Kind.DIRECTORY:
                    folders.append(path)
                elif entry.kind is Kind.FILE and status.st_nlink > 1:
                    first = firsts.setdefault((status.st_dev, status.st_ino), path)
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
        status = self._stat(path)
        if status is None:
            raise mistake(f"no such file: {os.fsdecode(path)}")
        return signature(status)

    def _stat(self, path: bytes) -> os.stat_result | None:
        try:
            return self._stats[path]
        except KeyError:
            folder = path.rpartition(b"/")[0]
            above = self._stat(folder) if folder else None
            known = None
            if not folder or (above is not None and stat.S_ISDIR(above.st_mode)):
                known = self._inputs.look(self._root + b"/" + path)
            return self._stats.setdefault(path, known)

    def _list(self, folder: bytes) -> list[bytes]:
        known = self._listed.get(folder)
        if known is None:
            prefix = folder + b"/" if folder else b""
            found = self._inputs.listing(self._root + b"/" + folder if folder else self._root)
            for name, status in found:
                self._stats.setdefault(prefix + name, status)
            known = self._listed.setdefault(folder, sorted(name for name, _ in found))
        return known

    def _seen(self, path: bytes) -> bool:
        status = self._stat(path)
        return status is not None and self._visible(path, status)

    def _visible(self, path: bytes, status: os.stat_result) -> bool:
        """Whether the ignore patterns leave it in; a folder also where something below it is brought back."""
        if stat.S_ISSOCK(status.st_mode):
            return False
        if not self._ignore or not self._ignore.matches(path):
            return True
        if not stat.S_ISDIR(status.st_mode) or not self._ignore.may_except(path):
            return False
        return any(self._seen(path + b"/" + name) for name in self._list(path))

    def _entry(self, path: bytes, status: os.stat_result) -> Entry:
        kind = _KINDS[stat.S_IFMT(status.st_mode)]
        place = self._root + b"/" + path
        xattrs = tuple(pair for pair in read_xattrs(place)[0] if pair[0].startswith(b"user."))
        if kind is Kind.SYMLINK:
            return Entry(path, kind, _EXECUTABLE_LINK, target=os.readlink(place), xattrs=xattrs)
        mode = stat.S_IMODE(status.st_mode)
        device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in (Kind.CHARACTER, Kind.BLOCK) else (0, 0)
        return Entry(path, kind, mode, size=status.st_size if kind is Kind.FILE else 0, device=device, xattrs=xattrs)
