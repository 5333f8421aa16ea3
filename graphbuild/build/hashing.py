"""blake3 of the content of files; of many by several processes, since threads that read small files wait for each other.

The other processes are this module, run as a program: what is to be hashed waits in a pipe, from which whoever has time takes the next
piece, and answers go into a file in memory. They are fresh ones: a fork of a process with threads may hang. Should one fail, what it had
taken is hashed, and whatever went wrong is met again, and reported, here. If the files go into a tar, they are written there, too, by
whoever hashes them.
"""

import fcntl
import os
import struct
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from blake3 import blake3

from graphbuild.layers.cancel import Cancel, check, never
from graphbuild.layers.stretch import NOTHING, Lead, Stretch
from graphbuild.layers.ustar import PACKED, Shared, block, packed, unpacked

if TYPE_CHECKING:
    from graphbuild.build.drafting import Drafting  # which another process does not need

_BLOCK = 1 << 20
_LARGE = 16 << 20  # from this size blake3 uses all cores
_LARGE_BLOCK = 8 << 20
_MEANWHILE = 7_000  # files that are hashed in the time that a process takes to start
_HELPERS = 3  # and no more of them
_PIECE = 256  # files that one process takes at once
# A piece: where its text is, how long its names and its blocks are, the number of its first file, its place in the tar or -1.
_TAKEN = struct.Struct("<QQQQq")
_DIGEST = 32
_ANSWER = _DIGEST + 1  # and whether the file is in the tar:
_WRITTEN, _MISSING = b"\1", b"\0"
_NONE = bytes(_DIGEST)
_TEXT, _TAR = 3, 4  # the helpers' descriptors
_OWN = 10  # ours are above those
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # what became a fifo must not block

Sized = tuple[bytes, int]  # a path, and the file's size as far as it is known


def hash_file(path: bytes, size: int, cancelled: Cancel = never, also: Callable[[memoryview], object] | None = None) -> bytes:
    """blake3 of a file's content, 32 bytes. It is read, not mapped: the user may truncate it meanwhile, and a map then kills us (SIGBUS).

    `also` gets the content, piece by piece.
    """
    descriptor = os.open(path, _FLAGS)
    try:
        if size < _BLOCK and also is None:
            check(cancelled)
            data = os.read(descriptor, size + 1)
            if len(data) <= size:  # a regular file's read is short at its end alone
                return blake3(data).digest()
            os.lseek(descriptor, 0, os.SEEK_SET)
        return _hash_large(descriptor, size, cancelled, also)
    finally:
        os.close(descriptor)


def _hash_large(descriptor: int, size: int, cancelled: Cancel, also: Callable[[memoryview], object] | None) -> bytes:
    large = size >= _LARGE
    hasher = blake3(max_threads=blake3.AUTO) if large else blake3()
    block = memoryview(bytearray(_LARGE_BLOCK if large else _BLOCK))
    while count := os.readv(descriptor, [block]):
        check(cancelled)
        hasher.update(block[:count])
        if also is not None:
            also(block[:count])
        if count < len(block):
            break
    return hasher.digest()


class Hashing:
    """Hashes the files of a folder while more of them are found. A context manager: what it started does not outlive the block.

    `drafting`: of a tar that has the files in this order, which is written if they are many.
    """

    def __init__(self, folder: bytes, cancelled: Cancel = never, drafting: "Drafting | None" = None) -> None:
        self._folder = folder
        self._cancelled = cancelled
        self._drafting = drafting
        self._files: list[Sized] = []
        self._shared = 0  # so many of them are in pieces
        self._pieces: list[tuple[int, int]] = []  # that are not known to be done: the last file's number, where they end in the tar
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
            self._helpers = _Helpers(self._folder, self._drafting.fd if self._drafting else -1)
        self._helpers.start(wanted)
        while len(self._files) - self._shared >= _PIECE:
            self._share(self._helpers)

    def digests(self) -> list[bytes]:
        """`hash_file` of all files, in the order in which they were added."""
        if self._helpers is None:
            return [self._hash(number) for number in range(len(self._files))]
        while self._shared < len(self._files):
            self._share(self._helpers)
        if self._drafting is not None:
            self._drafting.finish()
        digests = self._helpers.answers(len(self._files), self._cancelled, self._follow)
        self._follow()
        if self._pieces and self._drafting is not None:
            self._drafting.lose()
        for number, digest in enumerate(digests):
            if digest == _NONE:
                digests[number] = self._hash(number)
        return digests

    def _hash(self, number: int) -> bytes:
        path, size = self._files[number]
        return hash_file(self._folder + b"/" + path, size, self._cancelled)

    def _share(self, helpers: "_Helpers") -> None:
        files, drafting = self._files[self._shared : self._shared + _PIECE], self._drafting
        place = drafting.size if drafting else -1
        leads = drafting.leads(len(files)) if drafting else [NOTHING] * len(files)
        helpers.put(self._shared, files, leads, place)
        self._shared += len(files)
        if drafting is not None:
            self._pieces.append((self._shared - 1, drafting.size))
            self._follow()

    def _follow(self) -> None:
        """Say how much of the tar is there without a gap."""
        end = -1
        while self._pieces and self._helpers and self._helpers.written(self._pieces[0][0]):
            _, end = self._pieces.pop(0)
        if end >= 0 and self._drafting is not None:
            self._drafting.written(end)


class _Helpers:
    """Pieces of work, and processes that share it with us."""

    def __init__(self, folder: bytes, tar: int) -> None:
        self._folder = folder
        self._processes: list[int] = []
        self._text = os.memfd_create("names")
        self._answers = os.memfd_create("digests")
        self._tar = fcntl.fcntl(tar, fcntl.F_DUPFD_CLOEXEC, _OWN) if tar >= 0 else -1
        self._pieces, self._put = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._put, False)
        self._ours: list[bytes] = []  # pieces that the pipe had no room for
        self._size = 0  # of the text
        self._numbers: dict[Shared, int] = {}

    def start(self, wanted: int) -> None:
        """Have that many processes, if they can be had."""
        while len(self._processes) < wanted:
            streams = [
                (os.POSIX_SPAWN_DUP2, self._pieces, 0),
                (os.POSIX_SPAWN_DUP2, self._answers, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, self._text, _TEXT),
            ]
            if self._tar >= 0:
                streams.append((os.POSIX_SPAWN_DUP2, self._tar, _TAR))
            command: list[str | bytes] = [sys.executable, "-P", "-m", __name__, str(os.getpid()), self._folder]
            try:
                self._processes.append(os.posix_spawn(sys.executable, command, os.environ, file_actions=streams))
            except OSError:
                return  # then we are alone

    def put(self, first: int, files: Sequence[Sized], leads: Sequence[Lead], place: int) -> None:
        """A piece: files, of which the first has that number, what comes before their contents in the tar, and where it begins there."""
        number = self._number
        names = b"\0".join(
            b"%d %d %d %s\0%s" % (size, len(before), number(rest) if rest else 0, path, name)
            for (before, name, rest), (path, size) in zip(leads, files, strict=True)
        )
        blocks = b"".join(before for before, _, _ in leads)
        os.pwrite(self._text, names + blocks, self._size)
        piece = _TAKEN.pack(self._size, len(names), len(blocks), first, place)
        self._size += len(names) + len(blocks)
        try:
            os.write(self._put, piece)
        except BlockingIOError:
            self._ours.append(piece)

    def _number(self, rest: Shared) -> int:
        """Where in the text what many headers share begins."""
        number = self._numbers.get(rest)
        if number is None:
            number = self._numbers[rest] = self._size
            self._size += os.pwrite(self._text, packed(rest), number)
        return number

    def written(self, number: int) -> bool:
        """Whether the piece whose last file has that number is in the tar."""
        return os.pread(self._answers, 1, number * _ANSWER + _DIGEST) == _WRITTEN

    def answers(self, count: int, cancelled: Cancel, after: Callable[[], object]) -> list[bytes]:
        """The digests of so many files; zeros for those that a process had which failed. `after` is called after each piece."""
        os.ftruncate(self._answers, count * _ANSWER)
        os.close(self._put)
        self._put = -1
        worker = _Worker(self._folder, self._text, self._answers, self._tar, cancelled)
        for piece in self._ours:
            worker.hash(piece)
            after()
        worker.hash_all(self._pieces, after)
        while self._processes:
            os.waitpid(self._processes[-1], 0)
            self._processes.pop()
        data = os.pread(self._answers, count * _ANSWER, 0)
        return [data[at : at + _DIGEST] for at in range(0, len(data), _ANSWER)]

    def end(self) -> None:
        for process in self._processes:
            os.kill(process, 9)
            os.waitpid(process, 0)
        for descriptor in (self._text, self._answers, self._tar, self._pieces, self._put):
            if descriptor >= 0:
                os.close(descriptor)


class _Worker:
    """What each of the processes does: takes pieces, hashes their files, writes them into the tar."""

    def __init__(self, folder: bytes, text: int, answers: int, tar: int, cancelled: Cancel) -> None:
        self._folder = folder + b"/"
        self._text = text
        self._answers = answers
        self._stretch = Stretch(tar)
        self._known: dict[bytes, Shared] = {}
        self._cancelled = cancelled

    def hash_all(self, pieces: int, after: Callable[[], object] = lambda: None) -> None:
        """Take pieces until there are no more. Each is written, and read, at once: a pipe gives no process a half of one."""
        while piece := os.read(pieces, _TAKEN.size):
            self.hash(piece)
            after()

    def hash(self, piece: bytes) -> None:
        start, length, blocks, first, place = _TAKEN.unpack(piece)
        text = os.pread(self._text, length + blocks, start)
        fields = text[:length].split(b"\0")
        files = [(*record.split(b" ", 3), name) for record, name in zip(fields[::2], fields[1::2], strict=True)]
        if place < 0:
            answers = [hash_file(self._folder + path, int(size), self._cancelled) for size, _, _, path, _ in files]
            os.pwrite(self._answers, b"".join(answer + _MISSING for answer in answers), first * _ANSWER)
            return
        stretch, at = self._stretch, length
        stretch.begin(place)
        answers = []
        for size_, before, number, path, name in files:
            size, end = int(size_), at + int(before)
            headers = text[at:end]
            if name:
                headers += block(name, size, self._shared(number))
            answers.append(self._hash(self._folder + path, size, headers))
            at = end
        stretch.finish()
        os.pwrite(self._answers, b"".join(answer + (_WRITTEN if stretch.whole else _MISSING) for answer in answers), first * _ANSWER)

    def _shared(self, number: bytes) -> Shared:
        known = self._known.get(number)
        if known is None:
            known = self._known[number] = unpacked(os.pread(self._text, PACKED, int(number)))
        return known

    def _hash(self, path: bytes, size: int, headers: bytes) -> bytes:
        """`hash_file`; the stretch is not whole if the content is not as long as its place."""
        stretch = self._stretch
        memory = stretch.room(headers, size)
        if memory is None:
            stretch.open(headers)
            digest = hash_file(path, size, self._cancelled, stretch.put)
            stretch.end(size)
            return digest
        check(self._cancelled)
        descriptor = os.open(path, _FLAGS)
        try:
            count = os.readv(descriptor, [memory])
        finally:
            os.close(descriptor)
        if count == size:
            stretch.keep(headers, size)
            return blake3(memory[:size]).digest()
        stretch.whole = False
        return hash_file(path, size, self._cancelled)


def _serve(starter: str, folder: str) -> None:
    """A helper's own work. It gives up when whoever started it is gone."""
    _Worker(os.fsencode(folder), _TEXT, 1, _TAR, lambda: os.getppid() != int(starter)).hash_all(0)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
