"""blake3 of the content of files; of many by two processes, since threads that read small files wait for each other.

The second process is this module, run as a program: names come in by its standard input, digests go out by its standard output.
It is a fresh one: a fork of a process with threads may hang. Should it fail, whatever went wrong is met again, and reported, here.
"""

import os
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
_DIGEST = 32

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


def hash_files(folder: bytes, files: Sequence[Sized], cancelled: Cancel = never) -> list[bytes]:
    """`hash_file` of files by their paths from `folder`."""
    if len(files) < _MEANWHILE or (os.cpu_count() or 1) < 2:
        return _hash_all(folder, files, cancelled)
    half = (len(files) + _MEANWHILE) // 2
    with _Helper(folder, files[half:]) as helper:
        digests = _hash_all(folder, files[:half], cancelled)
        rest = helper.digests()
    return digests + (_hash_all(folder, files[half:], cancelled) if rest is None else rest)


def _hash_all(folder: bytes, files: Iterable[Sized], cancelled: Cancel) -> list[bytes]:
    prefix = folder + b"/"
    return [hash_file(prefix + path, size, cancelled) for path, size in files]


class _Helper:
    """The second process, from its start to its end: it does not outlive the block."""

    def __init__(self, folder: bytes, files: Sequence[Sized]) -> None:
        self._count = len(files)
        self._process = 0
        self._answers = os.memfd_create("digests")
        questions = os.memfd_create("files")
        try:
            lines = [folder, b"%d" % os.getpid(), *(b"%d %s" % (size, path) for path, size in files)]
            with open(questions, "wb", closefd=False) as file:
                file.write(b"\0".join(lines))
            os.lseek(questions, 0, os.SEEK_SET)
            streams = [
                (os.POSIX_SPAWN_DUP2, questions, 0),
                (os.POSIX_SPAWN_DUP2, self._answers, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ]
            command = [sys.executable, "-P", "-m", __name__]
            self._process = os.posix_spawn(sys.executable, command, os.environ, file_actions=streams)
        except OSError:
            pass  # then we are alone
        finally:
            os.close(questions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process:
            os.kill(self._process, 9)
            os.waitpid(self._process, 0)
        os.close(self._answers)

    def digests(self) -> list[bytes] | None:
        """What it found, in order, when it is done; None where it failed."""
        if not self._process:
            return None
        _, status = os.waitpid(self._process, 0)
        self._process = 0
        size = self._count * _DIGEST
        data = os.pread(self._answers, size + 1, 0)
        if status or len(data) != size:
            return None
        return [data[at : at + _DIGEST] for at in range(0, size, _DIGEST)]


def _serve() -> None:
    """The helper's own work. It gives up when whoever started it is gone."""
    folder, parent, *files = sys.stdin.buffer.read().split(b"\0")
    sized = [(path, int(size)) for size, _, path in (file.partition(b" ") for file in files)]
    starter = int(parent)
    sys.stdout.buffer.write(b"".join(_hash_all(folder, sized, lambda: os.getppid() != starter)))


if __name__ == "__main__":
    _serve()
