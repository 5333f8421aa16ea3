"""A stretch of a tar that is being written at many places at once: entries that follow each other, headers, contents and padding.

What it takes to write one, and no more: whoever does it may be a process that was started for nothing else.
"""

import os

from graphbuild.layers.ustar import BLOCK, Shared

_PADDING = bytes(BLOCK)
_SMALL = 1 << 19  # a content below this is read into the buffer
_BUFFER = 1 << 20

Lead = tuple[bytes, bytes, Shared | None]  # what comes before a content: headers, and one that is still to be made, of a name and the rest
NOTHING: Lead = (b"", b"", None)


class Stretch:
    """Writes one after the other to a descriptor, through a buffer. `whole` says whether all of the last one is there: a full disk loses it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._view = memoryview(bytearray(_BUFFER + _SMALL + BLOCK))
        self._used = 0
        self._start = 0  # of the buffer, in the file
        self._content = 0  # where the last content began that did not go through it
        self.whole = False

    def begin(self, offset: int) -> None:
        """The next entries belong here."""
        self._start = offset
        self.whole = True

    def room(self, headers: bytes, size: int) -> memoryview | None:
        """Where to read a content of that size to, behind its headers: a byte more than it needs. None: it is too long for that."""
        if len(headers) + size >= _SMALL:
            return None
        if self._used + len(headers) + size >= _BUFFER:
            self._flush()
        at = self._used + len(headers)
        self._view[self._used : at] = headers
        return self._view[at : at + size + 1]

    def keep(self, headers: bytes, size: int) -> None:
        """What was read there is the content."""
        end = self._used + len(headers) + size
        self._used = end + -size % BLOCK
        self._view[end : self._used] = _PADDING[: self._used - end]

    def open(self, headers: bytes) -> None:
        """The headers of a content for which there is no room."""
        self._flush()
        self._write(headers)
        self._content = self._start

    def put(self, data: memoryview) -> None:
        """A part of that content."""
        self._write(data)

    def end(self, size: int) -> None:
        """It should have been of that size."""
        if self._start != self._content + size:
            self.whole = False
        self._start = self._content + size
        self._write(_PADDING[: -size % BLOCK])

    def finish(self) -> None:
        """All of it is handed in."""
        self._flush()

    def _flush(self) -> None:
        used, self._used = self._used, 0
        self._write(self._view[:used])

    def _write(self, data: memoryview | bytes) -> None:
        try:
            if self.whole and os.pwrite(self._fd, data, self._start) != len(data):
                self.whole = False
        except OSError:
            self.whole = False
        self._start += len(data)
