"""A tree on disk seen as a container sees it: symlinks lead nowhere but into it. Whoever made it is not trusted.

It has the part of a `Stack` that looking up users and commands takes. Nothing else may write to the tree meanwhile, or it is the root of
the process that looks.
"""

import os
import stat

from graphbuild.layers.stack import resolve
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import mistake

_KINDS = {stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK, stat.S_IFREG: Kind.FILE, stat.S_IFIFO: Kind.FIFO}
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LARGEST = 1 << 20


class DiskTree:
    """`root` is an absolute path. Paths in it are relative, without a leading slash."""

    layers = ()

    def __init__(self, root: bytes) -> None:
        self.root = root.rstrip(b"/") + b"/"

    def lookup(self, path: bytes) -> Entry | None:
        """What is at a path whose parents are no symlinks."""
        name = self.root + path
        try:
            status = os.lstat(name)
        except OSError:
            return None
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), Kind.CHARACTER)
        target = os.readlink(name) if kind is Kind.SYMLINK else b""
        return Entry(path, kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_size, target=target)

    def resolve(self, path: bytes) -> bytes:
        return resolve(self.lookup, path)

    def implicit(self) -> list[bytes]:
        return []

    def read(self, path: bytes) -> bytes | None:
        """The content of a small file, symlinks followed; None where there is none."""
        real = self.resolve(path)
        entry = self.lookup(real)
        if entry is None or entry.kind is not Kind.FILE or entry.size > _LARGEST:
            return None
        descriptor = self.open(real, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(_LARGEST)

    def open(self, path: bytes, flags: int) -> int:
        """Open a resolved path, no symlink followed on the way."""
        folder = os.open(self.root, _FOLDER)
        try:
            *parents, name = path.split(b"/")
            for part in parents:
                folder, above = os.open(part, _FOLDER, dir_fd=folder), folder
                os.close(above)
            return os.open(name or b".", flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)

    def make(self, path: bytes, *, folder: bool) -> bytes:
        """A path, its symlinks followed, that is there afterwards: what lacks is made as Docker does. Returns where it is.

        GraphbuildError where something of another kind is in the way.
        """
        real = self.resolve(path)
        parts = real.split(b"/") if real else []
        for count in range(1, len(parts) + 1):
            place = b"/".join(parts[:count])
            wanted = folder or count < len(parts)
            entry = self.lookup(place)
            if entry is None:
                self._make(place, folder=wanted)
            elif (entry.kind is Kind.DIRECTORY) != wanted:
                is_, there = ("a folder", "a file") if wanted else ("a file", "a folder")
                raise mistake(f"cannot use /{os.fsdecode(real)} as {is_}: /{os.fsdecode(place)} is {there} in the container")
        return real

    def _make(self, path: bytes, *, folder: bool) -> None:
        parent, _, name = path.rpartition(b"/")
        place = self.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if folder:
                os.mkdir(name, 0o755, dir_fd=place)
            else:
                os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=place))
        finally:
            os.close(place)
