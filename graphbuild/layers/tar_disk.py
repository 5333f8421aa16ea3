"""A layer's folder form, written: the sink of `tar_read` that makes files.

Folder form: what overlayfs mounts as a lower directory (with `userxattr`). Whiteouts are character devices 0:0, opaque directories
carry OPAQUE, implicit ones MARK; every mtime is the epoch. Where this process may not make a device node, an empty file
with MARK stands for it; where it may not change owners (`ids="single"`), all belongs to it. Every path is opened one component
after the other from the folder's own descriptor and no symlink is followed, so whoever calls with whatever path stays inside.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from graphbuild.layers.tar_tree import Chunk, Ids
from graphbuild.layers.xattrs import IMPLICIT, MARK, OPAQUE, set_private, write_xattrs
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import lacking

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_HOLE = 1 << 16  # zeros of at least this length are not written
_ZEROS = bytes(_HOLE)
_MOST_OPEN = 32
_TYPES = {Kind.CHARACTER: stat.S_IFCHR, Kind.BLOCK: stat.S_IFBLK, Kind.FIFO: stat.S_IFIFO}


class Folder:
    """Writes into an empty folder. A context manager: it holds descriptors. Without `marks` nothing is said that only overlayfs reads."""

    def __init__(self, folder: Path, *, epoch: int, ids: Ids, marks: bool = True) -> None:
        self._root = os.open(folder, _DIRECTORY)
        self._open: dict[bytes, int] = {}
        self._times = (epoch * 10**9, epoch * 10**9)
        self._own = ids == "full"
        self._marks = marks
        self._self = (os.geteuid(), os.getegid())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for fd in (*self._open.values(), self._root):
            os.close(fd)

    def directory(self, path: bytes) -> None:
        parent, name = self._parent(path)
        os.mkdir(name, 0o700, dir_fd=parent)

    def file(self, entry: Entry, chunks: Iterator[Chunk]) -> None:
        parent, name = self._parent(entry.path)
        fd = os.open(name, _CREATE, 0o600, dir_fd=parent)
        try:
            hole = False
            for chunk in chunks:
                hole = _write(fd, chunk)
            if hole:
                os.ftruncate(fd, entry.size)
            self._settle(fd, entry)
        finally:
            os.close(fd)

    def node(self, entry: Entry) -> None:
        parent, name = self._parent(entry.path)
        if entry.kind is Kind.SYMLINK:
            os.symlink(entry.target, name, dir_fd=parent)
        else:
            try:
                os.mknod(name, _TYPES[entry.kind] | 0o600, os.makedev(*entry.device), dir_fd=parent)
            except PermissionError:
                if not self._marks:
                    raise
                self._placeholder(parent, name, entry)
                return
        self._settle_node(parent, name, entry)

    def link(self, first: bytes, path: bytes) -> None:
        source, source_name = self._parent(first)
        parent, name = self._parent(path, keep=source)
        os.link(source_name, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)

    def remove(self, path: bytes, *, directory: bool) -> None:
        parent, name = self._parent(path)
        if directory:
            if (fd := self._open.pop(path, None)) is not None:
                os.close(fd)
            os.rmdir(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)

    def finish(self, entries: list[Entry], implicit: list[bytes]) -> None:
        directories = [Entry(path, Kind.DIRECTORY, 0o755) for path in implicit]
        hidden = set(implicit)
        for entry in entries:
            if entry.kind is Kind.WHITEOUT:
                self._whiteout(entry.path)
            elif entry.kind is Kind.DIRECTORY:
                directories.append(entry)
        # Children first: afterwards a parent may be closed to us, and its mtime is not touched again.
        for entry in sorted(directories, key=lambda entry: entry.path, reverse=True):
            fd = self._directory(entry.path)
            if entry.path in hidden and self._marks:
                set_private(fd, MARK, IMPLICIT)
            if entry.opaque and self._marks:
                set_private(fd, OPAQUE, b"y")
            self._settle(fd, entry)
        os.fchmod(self._root, 0o755)
        os.utime(self._root, ns=self._times)

    def _whiteout(self, path: bytes) -> None:
        parent, name = self._parent(path)
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent)
        except PermissionError:
            raise lacking("this machine does not let a user make overlay whiteouts", "use Linux 5.8 or newer, or run as root") from None
        os.utime(name, ns=self._times, dir_fd=parent, follow_symlinks=False)

    def _placeholder(self, parent: int, name: bytes, entry: Entry) -> None:
        fd = os.open(name, _CREATE, 0o600, dir_fd=parent)
        try:
            set_private(fd, MARK, b"%s %d %d" % (entry.kind.value.encode(), *entry.device))
            self._settle(fd, entry)
        finally:
            os.close(fd)

    def _settle(self, fd: int, entry: Entry) -> None:
        """Owner, then mode (a change of owner clears setuid) and attributes (it clears capabilities), then the mtime."""
        if self._own and (entry.uid, entry.gid) != self._self:
            _chown(fd, entry, None)
        os.fchmod(fd, entry.mode)
        if entry.xattrs:
            write_xattrs(fd, entry.xattrs)
        os.utime(fd, ns=self._times)

    def _settle_node(self, parent: int, name: bytes, entry: Entry) -> None:
        if self._own and (entry.uid, entry.gid) != self._self:
            _chown(name, entry, parent)
        if entry.kind is not Kind.SYMLINK:
            os.chmod(name, entry.mode, dir_fd=parent)
        if entry.xattrs:
            write_xattrs(b"/proc/self/fd/%d/%s" % (parent, name), entry.xattrs)
        os.utime(name, ns=self._times, dir_fd=parent, follow_symlinks=False)

    def _parent(self, path: bytes, keep: int = -1) -> tuple[int, bytes]:
        folder, _, name = path.rpartition(b"/")
        return self._directory(folder, keep), name

    def _directory(self, path: bytes, keep: int = -1) -> int:
        """A descriptor of a directory, kept open for its next use; that of `keep` stays open as well."""
        if not path:
            return self._root
        fd = self._open.get(path)
        if fd is not None:
            return fd
        at = path.rfind(b"/")
        while at > 0 and path[:at] not in self._open:
            at = path.rfind(b"/", 0, at)
        fd = os.dup(self._open[path[:at]] if at > 0 else self._root)
        for part in path[at + 1 :].split(b"/"):
            above = fd
            try:
                fd = os.open(part, _DIRECTORY, dir_fd=above)
            finally:
                os.close(above)
        if len(self._open) >= _MOST_OPEN:
            oldest = next(each for each, old in self._open.items() if old != keep)
            os.close(self._open.pop(oldest))
        self._open[path] = fd
        return fd


def _write(fd: int, chunk: Chunk) -> bool:
    """Write a chunk, leaving out long runs of zeros. True if its end was left out."""
    if isinstance(chunk, int):
        os.lseek(fd, chunk, os.SEEK_CUR)
        return True
    if len(chunk) < _HOLE:
        _write_all(fd, chunk)
        return False
    hole = False
    start = 0
    for at in range(0, len(chunk), _HOLE):
        hole = not chunk[at] and chunk[at : at + _HOLE] == _ZEROS
        if hole:
            _write_all(fd, chunk[start:at])
            os.lseek(fd, _HOLE, os.SEEK_CUR)
            start = at + _HOLE
    _write_all(fd, chunk[start:])
    return hole


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _chown(place: int | bytes, entry: Entry, parent: int | None) -> None:
    try:
        os.chown(place, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=isinstance(place, int))
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EINVAL):
            raise
        raise lacking(
            f"this user may not give {os.fsdecode(entry.path)} to {entry.uid}:{entry.gid}",
            "give the user a larger range in /etc/subuid and /etc/subgid, or run as root",
        ) from None
