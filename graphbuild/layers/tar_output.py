"""The bytes of a tar on their way to a descriptor: hashed, counted, and padded; contents are read straight into the buffer.

It knows blocks and contents, not headers. A content must be as long as its entry says, to the byte.
"""

import os
from mmap import mmap
from types import TracebackType
from typing import Self

from graphbuild.layers.aside import Aside
from graphbuild.layers.cancel import Cancel, check
from graphbuild.layers.writeback import start_writing_out
from graphbuild.values.digest import Digest, sha256
from graphbuild.values.entry import Entry
from graphbuild.values.errors import GraphbuildError, is_full, mistake

_BUFFER = 1 << 20
_BLOCK = 512
_SMALL = _BUFFER // 2  # a file below this is read in one call, after room for it was made
_WRITTEN_OUT = 8 << 20  # bytes after which the disk is given something to do
_PADDING = bytes(_BLOCK)


class Output:
    """A buffer before a descriptor. All that leaves it is hashed and written on the side, while another one is filled.

    Used as a context manager, within which it waits for what it handed over.
    """

    __slots__ = ("_cancelled", "_fd", "_hash", "_hashing", "_other", "_size", "_used", "_view", "_writing")

    def __init__(self, fd: int, cancelled: Cancel) -> None:
        import hashlib

        self._fd = fd
        self._cancelled = cancelled
        self._hash = hashlib.sha256()
        self._hashing = Aside(self._hash.update)
        self._writing = Aside(self._write)
        self._view = _buffer()
        self._other = memoryview(b"")
        self._used = 0
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._hashing.__exit__(kind, error, trace)
        self._writing.__exit__(kind, error, trace)

    def put(self, data: bytes) -> None:
        """Add a few blocks."""
        used = self._used
        end = used + len(data)
        if end > _BUFFER:
            self._flush()
            if len(data) > _BUFFER:
                self._hand_over(memoryview(data))
                return
            used, end = 0, len(data)
        self._view[used:end] = data
        self._used = end

    def content(self, header: bytes, entry: Entry, fd: int) -> None:
        """Add a file: its header blocks, its content and the padding; closes `fd`."""
        size = entry.size
        try:
            if len(header) + size < _SMALL:
                self._small(header, entry, fd)
            else:
                self.put(header)
                self._large(entry, fd)
                self.put(_PADDING[: -size % _BLOCK])
        except OSError as error:
            if is_full(error):  # the buffer was written out meanwhile
                raise
            raise mistake(f"cannot read {os.fsdecode(entry.path)}: {error.strerror}") from None
        finally:
            os.close(fd)

    def span(self, fd: int, offset: int, left: int) -> None:
        """Add bytes of another tar of the store."""
        while left:
            if self._used == _BUFFER:
                self._flush()
            got = os.preadv(fd, [self._view[self._used : min(_BUFFER, self._used + left)]], offset)
            if not got:
                raise mistake("a layer's tar in the store is shorter than it was", hint="run `graphbuild cache verify --repair`")
            self._used += got
            offset += got
            left -= got

    def _small(self, header: bytes, entry: Entry, fd: int) -> None:
        size = entry.size
        if self._used + len(header) + size + _BLOCK > _BUFFER:
            self._flush()
        view, used = self._view, self._used
        start = used + len(header)
        end = start + size
        view[used:start] = header
        # One byte more than expected is asked for: a short answer then proves the end without another call.
        got = os.readv(fd, [view[start : end + 1]])
        while 0 < got < size:
            more = os.readv(fd, [view[start + got : end + 1]])
            if not more:
                break
            got += more
        if got != size:
            raise _changed(entry)
        self._used = end + -size % _BLOCK
        view[end : self._used] = _PADDING[: -size % _BLOCK]

    def _large(self, entry: Entry, fd: int) -> None:
        left = entry.size
        while left:
            if self._used == _BUFFER:
                self._flush()
            got = os.readv(fd, [self._view[self._used : min(_BUFFER, self._used + left)]])
            if not got:
                raise _changed(entry)
            self._used += got
            left -= got
        if os.read(fd, 1):
            raise _changed(entry)

    def _flush(self) -> None:
        self._hand_over(self._view[: self._used])
        self._view, self._other = self._other or _buffer(), self._view
        self._used = 0

    def _hand_over(self, data: memoryview) -> None:
        """Both have done with the buffer before when this returns."""
        check(self._cancelled)
        self._hashing.do(data)
        self._writing.do(data)

    def _write(self, data: memoryview) -> None:
        before, self._size = self._size, self._size + len(data)
        while data:
            data = data[os.write(self._fd, data) :]
        if before // _WRITTEN_OUT != self._size // _WRITTEN_OUT:
            start_writing_out(self._fd)

    def finish(self) -> tuple[Digest, int]:
        """The digest and the size of all that was written."""
        self._hand_over(self._view[: self._used])
        self._hashing.wait()
        self._writing.wait()
        return sha256(self._hash.hexdigest()), self._size


def _buffer() -> memoryview:
    """Memory that takes time only where it is used: most layers are small."""
    return memoryview(mmap(-1, _BUFFER))


def _changed(entry: Entry) -> GraphbuildError:
    return mistake(f"{os.fsdecode(entry.path)} changed while it was read", hint="run again when nothing writes to it")
