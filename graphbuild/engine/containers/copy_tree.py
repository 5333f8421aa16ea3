"""Copying a tree on disk, with all that overlayfs keeps in it, while somebody else may go on writing to the original.

Not by hard links, for a file that is written in place would change in both; where the file system shares blocks (btrfs, xfs), the kernel
does so. Nothing outside of the source is ever read: no symlink is followed, also where one appears meanwhile. What vanishes meanwhile is
left out. Sockets are no part of a copy. Copies are exact to the times, as far as this user may.
"""

import contextlib
import errno
import os
import stat
import sys

from graphbuild.values.errors import is_full

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BLOCK = 1 << 30
_REFUSED = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL, errno.ENODATA)
_NO_RANGE = (errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP)
_DEEPEST = 3000  # levels; a path has 4096 bytes


def copy_tree(source: bytes, target: bytes) -> None:
    """Copy what is in a folder, and its own attributes, into another, which is empty."""
    raise_limits()
    come, to = os.open(source, _FOLDER), os.open(target, _FOLDER)
    try:
        _Copy(to).folder(come, to, b"")
    finally:
        os.close(come)
        os.close(to)


def raise_limits() -> None:
    """Two descriptors and a few frames a level: deep trees are somebody's right."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 4 * _DEEPEST))


class _Copy:
    """One copy: `root` is the target's, `links` says where files of several names are by now."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._links: dict[tuple[int, int], bytes] = {}

    def folder(self, come: int, to: int, prefix: bytes) -> None:
        for name in sorted(map(os.fsencode, os.listdir(come))):
            with contextlib.suppress(FileNotFoundError):
                self._one(name, come, to, prefix + name)
        _copy_attributes(come, to, os.fstat(come))

    def _one(self, name: bytes, come: int, to: int, path: bytes) -> None:
        status = os.lstat(name, dir_fd=come)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFDIR:
            self._into(name, come, to, path)
            return
        linked = self._links.setdefault((status.st_dev, status.st_ino), path) if status.st_nlink > 1 else path
        if linked != path:
            os.link(linked, name, src_dir_fd=self._root, dst_dir_fd=to, follow_symlinks=False)
        elif kind == stat.S_IFREG:
            _copy_file(name, come, to)
        elif kind != stat.S_IFSOCK:
            _copy_node(name, come, to, status)

    def _into(self, name: bytes, come: int, to: int, path: bytes) -> None:
        inner = os.open(name, _FOLDER, dir_fd=come)
        try:
            os.mkdir(name, 0o700, dir_fd=to)
            made = os.open(name, _FOLDER, dir_fd=to)
            try:
                self.folder(inner, made, path + b"/")
            finally:
                os.close(made)
        finally:
            os.close(inner)


def _copy_node(name: bytes, come: int, to: int, status: os.stat_result) -> None:
    link = stat.S_ISLNK(status.st_mode)
    if link:
        os.symlink(os.readlink(name, dir_fd=come), name, dir_fd=to)
    else:
        os.mknod(name, status.st_mode, status.st_rdev, dir_fd=to)
    place = b"/proc/self/fd/%d/" % to + name
    _owned(place, status)
    _copy_xattrs(b"/proc/self/fd/%d/" % come + name, place)
    if not link:
        os.chmod(place, stat.S_IMODE(status.st_mode))
    os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=to, follow_symlinks=False)


def _copy_file(name: bytes, come: int, to: int) -> None:
    read = os.open(name, _READ, dir_fd=come)
    try:
        written = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=to)
        try:
            status = os.fstat(read)
            if stat.S_ISREG(status.st_mode):
                _copy_data(read, written, status.st_size)
            _copy_attributes(read, written, status)
        finally:
            os.close(written)
    finally:
        os.close(read)


def _copy_data(read: int, written: int, size: int) -> None:
    """The data, not the holes between."""
    at = 0
    while at < size:
        try:
            start = os.lseek(read, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                break
            start = at
        try:
            end = os.lseek(read, start, os.SEEK_HOLE)
        except OSError:
            end = size
        at = _copy_range(read, written, start, end)
        if at == start:  # it became shorter
            break
    os.ftruncate(written, size)


def _copy_range(read: int, written: int, start: int, end: int) -> int:
    at = start
    while at < end:
        try:
            count = os.copy_file_range(read, written, min(end - at, _BLOCK), at, at)
        except OSError as error:
            if is_full(error) or error.errno not in _NO_RANGE:
                raise
            count = os.pwrite(written, os.pread(read, 1 << 20, at)[: end - at], at)
        if not count:
            break
        at += count
    return at


def _copy_attributes(come: int, to: int, status: os.stat_result) -> None:
    """Owner first, for it clears the bits of the mode and the capabilities; times last."""
    _owned(to, status)
    os.fchmod(to, stat.S_IMODE(status.st_mode))
    _copy_xattrs(come, to)
    os.utime(to, ns=(status.st_atime_ns, status.st_mtime_ns))


def _owned(place: int | bytes, status: os.stat_result) -> None:
    with contextlib.suppress(PermissionError):
        os.chown(place, status.st_uid, status.st_gid, follow_symlinks=isinstance(place, int))


def _copy_xattrs(come: int | bytes, to: int | bytes) -> None:
    follow = isinstance(come, int)
    try:
        names = os.listxattr(come, follow_symlinks=follow)
    except OSError:
        return
    for name in names:
        try:
            os.setxattr(to, name, os.getxattr(come, name, follow_symlinks=follow), follow_symlinks=follow)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
