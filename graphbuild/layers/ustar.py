"""One header block of a tar, as POSIX ustar has it: 512 bytes. What many of them share is formatted, and summed for the checksum, once."""

import struct
from zlib import adler32

OCTAL_7 = 0o7777777  # the largest uid, gid, device number
OCTAL_11 = 0o77777777777  # the largest size, mtime
NAME = 100  # bytes of a name or link that have room
BLOCK = 512

# name; mode, uid and gid; size; mtime; checksum; type, link, "ustar\0" "00", user and group names, devices, prefix.
_HEADER = struct.Struct("100s24s12s12s8s356s")
_SHARED = struct.Struct("24s12s356s")
_UNKNOWN = 8 * b" "  # the checksum, as it is counted itself

Shared = tuple[bytes, bytes, bytes, int]  # what comes before the size, the mtime, what comes after the checksum, and the sum of these


def shared(
    mtime: int,
    mode: int,
    uid: int,
    gid: int,
    type_: bytes,
    link: bytes = b"",
    device: tuple[int, int] = (0, 0),
    prefix: bytes = b"",
) -> Shared:
    """All but the name and the size. ValueError for a device number that does not fit."""
    if max(device) > OCTAL_7:
        raise ValueError(f"device {device} does not fit a tar header")
    numbers = b"%07o\0%07o\0" % device
    tail = b"%b%bustar\x0000%b%b%b" % (type_, link.ljust(NAME, b"\0"), bytes(64), numbers, prefix.ljust(167, b"\0"))
    return _summed(b"%07o\0%07o\0%07o\0" % (mode, uid, gid), b"%011o\0" % mtime, tail)


def block(name: bytes, size: int, rest: Shared) -> bytes:
    """The header of a name and a size that fit."""
    head, mtime, tail, total = rest
    length = b"%011o\0" % size
    return _HEADER.pack(name, head, length, mtime, b"%06o\0 " % (total + _sum(name + length)), tail)


def packed(rest: Shared) -> bytes:
    """The same for another process, `PACKED` bytes."""
    return _SHARED.pack(*rest[:3])


def unpacked(data: bytes) -> Shared:
    return _summed(*_SHARED.unpack(data))


PACKED = _SHARED.size


def _summed(head: bytes, mtime: bytes, tail: bytes) -> Shared:
    return head, mtime, tail, _sum(head + mtime + _UNKNOWN + tail)


def _sum(field: bytes) -> int:
    """The sum of the bytes, as the low half of Adler-32 counts them from 1, modulo 65521: no part of a header comes that far."""
    return (adler32(field) & 0xFFFF) - 1
