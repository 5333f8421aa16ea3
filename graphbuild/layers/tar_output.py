"""The bytes of a tar on their way to a descriptor: hashed, counted, and padded; contents are read straight into the buffer.

It knows blocks and contents, not headers. A content must be as long as its entry says, to the byte.
"""

import os

from graphbuild.layers.cancel import Cancel, check
from graphbuild.layers.side_hash import SideHash
from graphbuild.layers.writeback import start_writing_out
from graphbuild.values.digest import Digest, sha256
from graphbuild.values.entry import Entry
from graphbuild.values.errors import GraphbuildError, is_full, mistake

_BUFFER = 1 << 20
_BLOCK = 512
_SMALL = _BUFFER // 2  # a content up to here is read in one call, after room for it was made
_WRITTEN_OUT = 8 << 20  # bytes after which the disk is given something to do
_PADDING = bytes(_BLOCK)


class Output:
    """A buffer before a descriptor. Everything that leaves it is hashed and counted: while one buffer is hashed, the other is filled."""

    __slots__ = ("_cancelled", "_fd", "_hasher", "_other", "_size", "_used", "_view")

    def __init__(self, fd: int, hasher: SideHash, cancelled: Cancel) -> None:
        self._fd = fd
        self._hasher = hasher
        self._cancelled = cancelled
        self._view = memoryview(bytearray(_BUFFER))
        self._other = memoryview(b"")
        self._used = 0
        self._size = 0

    def put(self, data: bytes) -> None:
        """Add a few blocks."""
        used = self._used
        end = used + len(data)
        if end > _BUFFER:
            self._flush()
            if len(data) > _BUFFER:
                self._write(memoryview(data))
                return
            used, end = 0, len(data)
        self._view[used:end] = data
        self._used = end

    def content(self, entry: Entry, fd: int) -> None:
        """Add a file's content and its padding; closes `fd`."""
        try:
            if entry.size <= _SMALL:
                self._small(entry, fd)
            else:
                self._large(entry, fd)
        except OSError as error:
            if is_full(error):  # the buffer was written out meanwhile
                raise
            raise mistake(f"cannot read {os.fsdecode(entry.path)}: {error.strerror}") from None
        finally:
            os.close(fd)
        if rest := -entry.size % _BLOCK:
            self.put(_PADDING[:rest])

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

    def _small(self, entry: Entry, fd: int) -> None:
        # One byte more than expected is asked for: a short answer then proves the end without another call.
        size = entry.size
        if self._used + size >= _BUFFER:
            self._flush()
        used = self._used
        got = os.readv(fd, [self._view[used : used + size + 1]])
        while 0 < got < size:
            more = os.readv(fd, [self._view[used + got : used + size + 1]])
            if not more:
                break
            got += more
        if got != size:
            raise _changed(entry)
        self._used = used + size

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
        self._write(self._view[: self._used])
        self._view, self._other = self._other or memoryview(bytearray(_BUFFER)), self._view
        self._used = 0

    def _write(self, data: memoryview) -> None:
        check(self._cancelled)
        self._hasher.update(data)
        before, self._size = self._size, self._size + len(data)
        while data:
            data = data[os.write(self._fd, data) :]
        if before // _WRITTEN_OUT != self._size // _WRITTEN_OUT:
            start_writing_out(self._fd)

    def finish(self) -> tuple[Digest, int]:
        data = self._view[: self._used]
        self._write(data)
        return sha256(self._hasher.hexdigest()), self._size


def _changed(entry: Entry) -> GraphbuildError:
    return mistake(f"{os.fsdecode(entry.path)} changed while it was read", hint="run again when nothing writes to it")
