"""What a monitor writes: frames to its clients, and records of the same content to the log.

A frame is a kind, a length and that many bytes. A record has the time (nanoseconds of the epoch) before that. The log is appended to by
one monitor at a time; a record that a crash cut off is the last, and is not read.
"""

import struct
from collections.abc import Iterator
from typing import BinaryIO

STDIN, STDOUT, STDERR, EXIT, EOF, SIZE = range(6)
_FRAME = struct.Struct("<BI")
_RECORD = struct.Struct("<QBI")
_LARGEST = 1 << 20


class Frames:
    """Frames out of a stream that comes in pieces. ValueError for what is no frame."""

    def __init__(self) -> None:
        self._data = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        self._data += data
        at = 0
        while len(self._data) - at >= _FRAME.size:
            kind, length = _FRAME.unpack_from(self._data, at)
            if length > _LARGEST:
                raise ValueError("a frame is too long")
            if len(self._data) - at - _FRAME.size < length:
                break
            at += _FRAME.size + length
            yield kind, self._data[at - length : at]
        self._data = self._data[at:]


def frame(kind: int, data: bytes = b"") -> bytes:
    return _FRAME.pack(kind, len(data)) + data


def size(rows: int, columns: int) -> bytes:
    """A frame that says how large the client's terminal is."""
    return frame(SIZE, struct.pack("<HH", rows, columns))


def parse_size(data: bytes) -> tuple[int, int]:
    rows, columns = struct.unpack("<HH", data)
    return rows, columns


def record(time: int, kind: int, data: bytes) -> bytes:
    return _RECORD.pack(time, kind, len(data)) + data


def records(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Time, kind and data of each record from where the file stands; it then stands after the last whole one."""
    while True:
        at = file.tell()
        head = file.read(_RECORD.size)
        if len(head) == _RECORD.size:
            time, kind, length = _RECORD.unpack(head)
            data = file.read(length)
            if len(data) == length:
                yield time, kind, data
                continue
        file.seek(at)
        return
