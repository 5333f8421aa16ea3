"""blake3 of the content of files; of many by several processes, since threads that read small files wait for each other.

The other processes are this module, run as a program: what is to be hashed waits in a pipe, from which whoever has time takes the next
piece, and answers go into a file in memory. They are fresh ones: a fork of a process with threads may hang. Should one fail, what it had
taken is hashed, and whatever went wrong is met again, and reported, here.
"""

import os
import struct
import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from blake3 import blake3

from graphbuild.layers.cancel import Cancel, check, never

_BLOCK = 1 << 20
_LARGE = 16 << 20  # from this size blake3 uses all cores
_LARGE_BLOCK = 8 << 20
_MEANWHILE = 7_000  # files that are hashed in the time that a process takes to start
_HELPERS = 3  # and no more of them
_PIECE = 256  # files that one process takes at once
_TAKEN = struct.Struct("<QQQ")  # a piece: where its names are, how many bytes they are, the number of its first file
_DIGEST = 32
_NONE = bytes(_DIGEST)
_NAMES = 3  # the helpers' descriptor of the names

Sized = tuple[bytes, int]  # a path, and the file's size as far as it is known


def hash_file(path: bytes, size: int, cancelled: Cancel = never) -> bytes:
    """blake3 of a file's content, 32 bytes. It is read, not mapped: the user may truncate it meanwhile, and a map then kills us (SIGBUS)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # what became a fifo must not block
    try:
        if size < _BLOCK:
            check(cancelled)
            data = os.read(descriptor, size + 1)
            if len(data) <= size:  # a regular file's read is short at its end alone
                return blake3(data).digest()
            os.lseek(descriptor, 0, os.SEEK_SET)
        return _hash_large(descriptor, size, cancelled)
    finally:
        os.close(descriptor)


def _hash_large(descriptor: int, size: int, cancelled: Cancel) -> bytes:
    large = size >= _LARGE
    hasher = blake3(max_threads=blake3.AUTO) if large else blake3()
    block = memoryview(bytearray(_LARGE_BLOCK if large else _BLOCK))
    while count := os.readv(descriptor, [block]):
        check(cancelled)
        hasher.update(block[:count])
        if count < len(block):
            break
    return hasher.digest()


def _hash_all(folder: bytes, files: Iterable[Sized], cancelled: Cancel) -> list[bytes]:
    prefix = folder + b"/"
    return [hash_file(prefix + path, size, cancelled) for path, size in files]


class Hashing:
    """Hashes the files of a folder while more of them are found. A context manager: what it started does not outlive the block."""

    def __init__(self, folder: bytes, cancelled: Cancel = never) -> None:
        self._folder = folder
        self._cancelled = cancelled
        self._files: list[Sized] = []
        self._shared = 0  # how many of the files are in pieces
        self._helpers: _Helpers | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._helpers is not None:
            self._helpers.end()

    def add(self, files: Sequence[Sized]) -> None:
        """Files to hash, by their paths from the folder."""
        self._files += files
        wanted = min(len(self._files) // _MEANWHILE, len(os.sched_getaffinity(0)) - 1, _HELPERS)
        if wanted < 1:
            return
        if self._helpers is None:
            self._helpers = _Helpers(self._folder)
        self._helpers.start(wanted)
        while len(self._files) - self._shared >= _PIECE:
            self._share(self._helpers)

    def digests(self) -> list[bytes]:
        """`hash_file` of all files, in the order in which they were added."""
        if self._helpers is None:
            return _hash_all(self._folder, self._files, self._cancelled)
        while self._shared < len(self._files):
            self._share(self._helpers)
        digests = self._helpers.digests(len(self._files), self._cancelled)
        for number, digest in enumerate(digests):
            if digest == _NONE:
                digests[number] = _hash_all(self._folder, (self._files[number],), self._cancelled)[0]
        return digests

    def _share(self, helpers: "_Helpers") -> None:
        helpers.put(self._shared, self._files[self._shared : self._shared + _PIECE])
        self._shared += _PIECE


class _Helpers:
    """Pieces of work, and processes that share it with us."""

    def __init__(self, folder: bytes) -> None:
        self._folder = folder
        self._processes: list[int] = []
        self._names = os.memfd_create("names")
        self._answers = os.memfd_create("digests")
        self._pieces, self._put = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._put, False)
        self._ours: list[bytes] = []  # pieces that the pipe had no room for
        self._size = 0  # of the names

    def start(self, wanted: int) -> None:
        """Have that many processes, if they can be had."""
        while len(self._processes) < wanted:
            streams = [
                (os.POSIX_SPAWN_DUP2, self._pieces, 0),
                (os.POSIX_SPAWN_DUP2, self._answers, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, self._names, _NAMES),
            ]
            command: list[str | bytes] = [sys.executable, "-P", "-m", __name__, str(os.getpid()), self._folder]
            try:
                self._processes.append(os.posix_spawn(sys.executable, command, os.environ, file_actions=streams))
            except OSError:
                return  # then we are alone

    def put(self, first: int, files: Iterable[Sized]) -> None:
        """A piece: files, of which the first has that number."""
        names = b"\0".join(b"%d %s" % (size, path) for path, size in files)
        os.pwrite(self._names, names, self._size)
        piece = _TAKEN.pack(self._size, len(names), first)
        self._size += len(names)
        try:
            os.write(self._put, piece)
        except BlockingIOError:
            self._ours.append(piece)

    def digests(self, count: int, cancelled: Cancel) -> list[bytes]:
        """The digests of so many files; zeros for those that a process had which failed."""
        os.ftruncate(self._answers, count * _DIGEST)
        os.close(self._put)
        self._put = -1
        for piece in self._ours:
            _hash_piece(self._folder, piece, (self._names, self._answers), cancelled)
        _hash_pieces(self._folder, (self._pieces, self._names, self._answers), cancelled)
        while self._processes:
            os.waitpid(self._processes[-1], 0)
            self._processes.pop()
        data = os.pread(self._answers, count * _DIGEST, 0)
        return [data[at : at + _DIGEST] for at in range(0, len(data), _DIGEST)]

    def end(self) -> None:
        for process in self._processes:
            os.kill(process, 9)
            os.waitpid(process, 0)
        for descriptor in (self._names, self._answers, self._pieces, self._put):
            if descriptor >= 0:
                os.close(descriptor)


def _hash_pieces(folder: bytes, descriptors: tuple[int, int, int], cancelled: Cancel) -> None:
    """Take pieces until there are no more. Each is written, and read, at once: a pipe gives no process a half of one."""
    pieces, *others = descriptors
    while piece := os.read(pieces, _TAKEN.size):
        _hash_piece(folder, piece, (others[0], others[1]), cancelled)


def _hash_piece(folder: bytes, piece: bytes, descriptors: tuple[int, int], cancelled: Cancel) -> None:
    names, answers = descriptors
    start, length, first = _TAKEN.unpack(piece)
    files = (file.partition(b" ") for file in os.pread(names, length, start).split(b"\0"))
    digests = _hash_all(folder, ((path, int(size)) for size, _, path in files), cancelled)
    os.pwrite(answers, b"".join(digests), first * _DIGEST)


def _serve(starter: str, folder: str) -> None:
    """A helper's own work. It gives up when whoever started it is gone."""
    _hash_pieces(os.fsencode(folder), (0, _NAMES, 1), lambda: os.getppid() != int(starter))


if __name__ == "__main__":
    _serve(*sys.argv[1:])
