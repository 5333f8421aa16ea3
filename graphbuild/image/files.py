"""The files of an image source, by name: a folder, or a tar archive (compressed ones are unpacked to a nameless file).

Invariants: nothing outside the folder or archive is ever opened, whatever names, symlinks or links say; only regular
files are; an archive's decompressed size is bounded. Knows nothing of images.
"""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import msgspec

from graphbuild.image.tar_index import Member, index_tar, is_tar
from graphbuild.values.errors import is_full, mistake

_LINKS = 40  # as many symlinks in a row as Linux follows
_CHUNK = 1 << 20
_SMALLEST_BOUND = 1 << 30
_RATIO = 200  # archives of root file systems compress to 1/2 … 1/20; a bomb to 1/1000 and less


class Span(msgspec.Struct, frozen=True):
    """`size` bytes of an open file from `start` on. Whoever gets one closes `fd`."""

    fd: int
    start: int
    size: int


class Files(Protocol):
    """What an image is read from. `in_store`: what is opened is a blob of the store from then on."""

    in_store: bool

    def open(self, name: str) -> Span | None:
        """The file of that name; None when there is none. GraphbuildError for one that must not or cannot be opened."""
        ...

    def names(self) -> Iterator[str]:
        """The names of all regular files, sorted."""
        ...

    def close(self) -> None: ...


class Folder:
    """A folder as a source."""

    in_store = False

    def __init__(self, path: Path, source: str) -> None:
        self._root = os.path.realpath(path)
        self._source = source

    def open(self, name: str) -> Span | None:
        try:
            # O_NONBLOCK: opening a FIFO must not wait for its writer.
            fd = os.open(f"{self._root}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            raise mistake(f"{self._source}: cannot open {name}: {getattr(error, 'strerror', None) or error}") from None
        try:
            return self._checked(fd, name)
        except BaseException:
            os.close(fd)
            raise

    def _checked(self, fd: int, name: str) -> Span:
        # The kernel says where the opened file is: nothing can be swapped between this check and the reading.
        if not os.readlink(f"/proc/self/fd/{fd}").startswith(f"{self._root.rstrip('/')}/"):
            raise mistake(f"{self._source}: {name} is a symlink that leaves the folder")
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise mistake(f"{self._source}: {name} is not a regular file")
        return Span(fd, 0, status.st_size)

    def names(self) -> Iterator[str]:
        found = []
        for folder, _, files in os.walk(self._root):
            below = os.path.relpath(folder, self._root)
            found += [name if below == "." else f"{below}/{name}" for name in files]
        yield from sorted(found)

    def close(self) -> None:
        """Nothing is held open."""


class Archive:
    """A tar archive as a source. Links inside it are followed inside it (Docker before 25 links equal layers)."""

    in_store = False

    def __init__(self, fd: int, members: dict[str, Member], source: str) -> None:
        self._fd = fd
        self._members = members
        self._source = source

    def open(self, name: str) -> Span | None:
        path: str | None = _join("", name)
        for _ in range(_LINKS):
            if path is None:
                raise mistake(f"{self._source}: {name} leaves the archive")
            member = self._members.get(path)
            if member is None:
                return None
            if member.kind == "0":
                return Span(os.dup(self._fd), member.start, member.size)
            if member.kind not in "12":
                raise mistake(f"{self._source}: {name} is not a regular file")
            path = _join("" if member.kind == "1" else path.rpartition("/")[0], member.link)
        raise mistake(f"{self._source}: {name} is a circle of links")

    def names(self) -> Iterator[str]:
        yield from sorted(name for name, member in self._members.items() if member.kind == "0")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _join(folder: str, name: str) -> str | None:
    """`name` seen from `folder`, without dots; None where it leaves the root."""
    if name.startswith("/"):
        return None
    parts = folder.split("/") if folder else []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def open_files(path: Path, source: str, scratch: Path | None = None) -> Files:
    """The files at `path`. `scratch` is where a compressed archive is unpacked to. GraphbuildError for what is neither folder nor tar."""
    if path.is_dir():
        return Folder(path, source)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise mistake(f"{source}: cannot read {path}: {error.strerror}") from None
    try:
        return _archive(fd, path, source, scratch)
    except (ValueError, OSError) as error:  # OSError: damaged compression, a full disk
        os.close(fd)
        if isinstance(error, OSError) and is_full(error):
            raise
        raise mistake(f"{source}: {error}") from None
    except BaseException:
        os.close(fd)
        raise


def _archive(fd: int, path: Path, source: str, scratch: Path | None) -> Archive:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise ValueError(f"{path} is neither a folder nor a file")
    if not is_tar(os.pread(fd, 512, 0)):
        _decompress(fd, source, scratch)
    return Archive(fd, index_tar(fd), source)


def _decompress(fd: int, source: str, scratch: Path | None) -> None:
    """Put a nameless file with the decompressed content in the place of `fd`. ValueError where that is no tar."""
    from graphbuild.layers.compression import DamagedStream, open_stream  # its codecs are loaded only where an archive is compressed

    bound = max(_SMALLEST_BOUND, os.fstat(fd).st_size * _RATIO)
    with tempfile.TemporaryFile(dir=scratch) as unpacked, os.fdopen(os.dup(fd), "rb") as packed:
        try:
            _unpack(open_stream(packed), unpacked, bound, source)
        except DamagedStream as error:
            raise ValueError(str(error)) from None
        unpacked.flush()
        os.dup2(unpacked.fileno(), fd, inheritable=False)


def _unpack(stream: BinaryIO, unpacked: BinaryIO, bound: int, source: str) -> None:
    total = _copy_head(stream, unpacked)
    while chunk := stream.read(_CHUNK):
        total += len(chunk)
        if total > bound:
            raise mistake(f"{source}: the archive unpacks to more than {bound} bytes, {_RATIO} times its size", hint="unpack it yourself")
        unpacked.write(chunk)


def _copy_head(stream: BinaryIO, unpacked: BinaryIO) -> int:
    head = b""
    while len(head) < 512 and (piece := stream.read(512 - len(head))):
        head += piece
    if not is_tar(head):
        raise ValueError("not an image: neither a folder nor a tar archive, compressed or not")
    return unpacked.write(head)
