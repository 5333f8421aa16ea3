"""What is on disk as entries: the one reader of folders, for capture and for verification.

Paths are bytes. The folder must be at rest: nobody else writes to it meanwhile. Symlinks are never followed.
"""

import errno
import os
import stat
from collections.abc import Iterator
from typing import Protocol

import msgspec

from graphbuild.layers.cancel import Cancel, check
from graphbuild.layers.tar_intake import Limits
from graphbuild.layers.xattrs import IMPLICIT, MARK, OPAQUE, read_xattrs
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import mistake

_READ = 1 << 20
_ZEROS = bytes(_READ)
_MAPPED = 64 << 20  # from here on blake3 maps a file and uses several threads
_LIMITS = Limits()
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}
_SPECIAL = {kind.value.encode(): kind for kind in (Kind.CHARACTER, Kind.BLOCK)}


class Found(msgspec.Struct, gc=False):
    """One path of a folder. `entry` is None for a socket; `inode` tells the names of one file, where `links` says there are several."""

    path: bytes
    place: bytes  # the absolute path
    entry: Entry | None
    inode: tuple[int, int] = (0, 0)
    links: int = 1
    implicit: bool = False


def read_tree(root: bytes, cancelled: Cancel) -> Iterator[Found]:
    """Everything below `root`; a directory comes before what is in it, otherwise in no order. A directory is listed after it was yielded."""
    folders = [b""]
    while folders:
        folder = folders.pop()
        place = root + b"/" + folder if folder else root
        check(cancelled)
        try:
            children = list(os.scandir(place))
        except OSError as error:
            raise mistake(f"cannot list /{os.fsdecode(folder)}: {error.strerror}") from None
        for child in children:
            path = folder + b"/" + child.name if folder else child.name
            if len(path) > _LIMITS.path or len(child.path) > _LIMITS.path:
                raise mistake(f"/{os.fsdecode(path[:100])}… has too long a path for a layer")
            try:
                found = _inspect(path, child.path, child.stat(follow_symlinks=False), cancelled)
            except OSError as error:
                raise mistake(f"cannot read /{os.fsdecode(path)}: {error.strerror}") from None
            yield found
            if found.entry is not None and found.entry.kind is Kind.DIRECTORY:
                folders.append(path)


def _inspect(path: bytes, place: bytes, status: os.stat_result, cancelled: Cancel) -> Found:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return Found(path, place, None)
    device = (os.major(status.st_rdev), os.minor(status.st_rdev)) if kind in (Kind.CHARACTER, Kind.BLOCK) else (0, 0)
    if kind is Kind.CHARACTER and device == (0, 0):
        return Found(path, place, Entry(path, Kind.WHITEOUT))
    size, digest, target = 0, b"", b""
    xattrs, ours = read_xattrs(place)
    mark = ours.get(MARK, b"")
    if kind is Kind.FILE and mark:
        kind, device = _placeholder(path, mark)
    elif kind is Kind.FILE:
        size = status.st_size
        digest = hash_file(path, place, status, cancelled)
    elif kind is Kind.SYMLINK:
        target = os.readlink(place)
    mode = 0o777 if kind is Kind.SYMLINK else stat.S_IMODE(status.st_mode)
    opaque = kind is Kind.DIRECTORY and ours.get(OPAQUE) == b"y"
    entry = Entry(path, kind, mode, status.st_uid, status.st_gid, size, digest, target, device, xattrs, opaque)
    return Found(path, place, entry, (status.st_dev, status.st_ino), status.st_nlink, mark == IMPLICIT)


def _placeholder(path: bytes, mark: bytes) -> tuple[Kind, tuple[int, int]]:
    kind, _, numbers = mark.partition(b" ")
    major, _, minor = numbers.partition(b" ")
    if kind not in _SPECIAL or not major.isdigit() or not minor.isdigit():
        raise mistake(f"/{os.fsdecode(path)} has a damaged mark")
    return _SPECIAL[kind], (int(major), int(minor))


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> object: ...


def hash_file(path: bytes, place: bytes, status: os.stat_result, cancelled: Cancel) -> bytes:
    """blake3 of a file's content, holes included."""
    from blake3 import blake3

    size = status.st_size
    if size > _LIMITS.size:
        raise mistake(f"/{os.fsdecode(path)} is larger than a layer may hold: {size} bytes")
    if not size:
        return blake3().digest()
    fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if size < _READ:
            data = os.read(fd, size + 1)
            if len(data) != size:
                raise mistake(f"/{os.fsdecode(path)} changed while it was read")
            return blake3(data).digest()
        sparse = status.st_blocks * 512 < size
        if size >= _MAPPED and not sparse:
            return blake3(max_threads=blake3.AUTO).update_mmap(f"/proc/self/fd/{fd}").digest()
        hasher = blake3()
        _hash_large(fd, size, hasher, cancelled)
        return hasher.digest()
    finally:
        os.close(fd)


def _hash_large(fd: int, size: int, hasher: _Hasher, cancelled: Cancel) -> None:
    """Hash data where there is some, and zeros where there is a hole."""
    at = 0
    while at < size:
        try:
            data = min(os.lseek(fd, at, os.SEEK_DATA), size)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = size  # nothing but a hole from here on
        while at < data:
            check(cancelled)
            hasher.update(_ZEROS[: data - at])
            at += min(_READ, data - at)
        if at == size:
            return
        end = min(os.lseek(fd, at, os.SEEK_HOLE), size)
        while at < end:
            check(cancelled)
            block = os.pread(fd, min(_READ, end - at), at)
            if not block:
                raise OSError(errno.EIO, "it became shorter while it was read")
            hasher.update(block)
            at += len(block)
