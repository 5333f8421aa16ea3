"""The members of a tar stream: ustar, PAX, GNU long names and numbers, sparse files of all four GNU kinds. Parsing only.

Every byte is hostile. What is returned is well formed (numbers in range, text without NUL), but paths are as the archive has
them: whether they may be used is for `tar_read` to decide. Records of a *global* PAX header are ignored, as Go's reader and so
Docker do. `TarError` says what is wrong; memory is bounded by one read and `_MOST_META`.
"""

from collections.abc import Iterator
from typing import Protocol

import msgspec

_READ = 1 << 20
_BLOCK = 512
_EMPTY = bytes(_BLOCK)
_MOST_META = 1 << 20  # of one member's PAX or long-name header; Go's reader has the same limit
_MOST_PIECES = 1 << 16  # of a sparse map
_MOST_ID = 0xFFFFFFFE
_MOST_SIZE = (1 << 63) - 1
_XATTR = b"SCHILY.xattr."

Piece = tuple[int, int]  # a sparse file's data: offset, length


class TarError(Exception):
    """The stream is not a tar, or a damaged one."""


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


def is_header(block: bytes) -> bool:
    """Whether 512 bytes are a member's header: its checksum is right."""
    try:
        _check_sum(block, first=True)
    except TarError:
        return False
    return True


class Member(msgspec.Struct, gc=False):
    """One member. `type` is the ustar type flag; `size` the length of the content as a reader sees it; `meta` bytes its headers took."""

    name: bytes
    type: bytes
    mode: int
    uid: int
    gid: int
    size: int
    link: bytes
    device: tuple[int, int]
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    stored: int = 0  # bytes of content in the stream, a sparse file's map not included
    pieces: tuple[Piece, ...] | None = None  # of a sparse file: where the stored bytes go
    meta: int = 0


class Members:
    """Iterates over the members of a stream. A member's content must be read (or left) before the next one is asked for."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._data = b""
        self._at = 0
        self._left = 0  # stored bytes of the current member not yet read
        self._padding = 0
        self._seen = False

    def __iter__(self) -> Iterator[Member]:
        while (member := self._next()) is not None:
            yield member

    def content(self) -> Iterator[bytes]:
        """The stored bytes of the current member, in pieces of at most 1 MiB."""
        while self._left:
            yield self.read(_READ)

    def read(self, most: int) -> bytes:
        """Up to `most` stored bytes of the current member; b"" after the last one."""
        if not self._left:
            return b""
        data = self._some(min(self._left, most))
        self._left -= len(data)
        return data

    def _some(self, size: int) -> bytes:
        """At least one and at most `size` bytes."""
        if self._at >= len(self._data):
            self._data, self._at = self._stream.read(_READ), 0
            if not self._data:
                raise TarError("it ends in the middle of a member: truncated")
        data = self._data[self._at : self._at + size]
        self._at += len(data)
        return data

    def _exactly(self, size: int) -> bytes:
        data = self._some(size)
        while len(data) < size:
            data += self._some(size - len(data))
        return data

    def _skip(self) -> None:
        for _ in self.content():
            pass
        if self._padding:
            self._exactly(self._padding)
            self._padding = 0

    def _header(self) -> bytes | None:
        """The next header block; None at the end of the archive."""
        self._skip()
        if self._at >= len(self._data):
            self._data, self._at = self._stream.read(_READ), 0
            if not self._data:
                if not self._seen:
                    raise TarError("it is empty")
                return None
        block = self._exactly(_BLOCK)
        if block == _EMPTY:
            return None
        _check_sum(block, first=not self._seen)
        self._seen = True
        return block

    def _next(self) -> Member | None:
        records: dict[bytes, bytes] = {}
        sparse: list[bytes] = []
        name = link = None
        meta = 0
        while (block := self._header()) is not None:
            type_ = block[156:157]
            if type_ not in b"xXgLK":
                member = self._member(block, records, name, link)
                member.meta = meta + _BLOCK
                return self._sparse(member, block, records, sparse)
            data = self._meta(block)
            meta += len(data) + _BLOCK
            if meta > _MOST_META:
                raise TarError(f"headers of more than {_MOST_META} bytes")
            if type_ in b"xX":
                records, sparse = _parse_pax(data)
            elif type_ == b"L":
                name = data.split(b"\0", 1)[0]
            elif type_ == b"K":
                link = data.split(b"\0", 1)[0]
        if records or name is not None or link is not None:
            raise TarError("it ends after a header that announces a member: truncated")
        return None

    def _meta(self, block: bytes) -> bytes:
        size = _number(block[124:136], "size", _MOST_META)
        data = self._exactly(size) if size else b""
        if rest := -size % _BLOCK:
            self._exactly(rest)
        return data

    def _member(self, block: bytes, records: dict[bytes, bytes], name: bytes | None, link: bytes | None) -> Member:
        type_ = block[156:157]
        path = records.get(b"path", name)
        if path is None:
            path = _text(block[0:100])
            # GNU's magic "ustar  " has other things where POSIX has the prefix.
            if block[257:263] == b"ustar\0" and (prefix := _text(block[345:500])):
                path = prefix + b"/" + path
        target = records.get(b"linkpath", link)
        if type_ in b"\0" + b"7" or not type_:
            type_ = b"0"
        if type_ == b"0" and path.endswith(b"/"):
            type_ = b"5"
        size = _decimal(records[b"size"], "size") if b"size" in records else _number(block[124:136], "size", _MOST_SIZE)
        stored = size if type_ not in b"123456" else 0
        self._left, self._padding = stored, -stored % _BLOCK
        return Member(
            path,
            type_,
            _number(block[100:108], "mode", _MOST_SIZE) & 0o7777,
            _id(records, b"uid", block[108:116]),
            _id(records, b"gid", block[116:124]),
            stored,
            _text(block[157:257]) if target is None else target,
            (_number(block[329:337], "device", _MOST_ID), _number(block[337:345], "device", _MOST_ID)) if type_ in b"34" else (0, 0),
            _xattrs(records),
            stored,
        )

    def _sparse(self, member: Member, block: bytes, records: dict[bytes, bytes], pairs: list[bytes]) -> Member:
        """The member with its sparse map and real name, if it is a sparse file."""
        if member.type == b"S":
            numbers = self._old_sparse_map(block)
            size = _number(block[483:495], "size", _MOST_SIZE)
            member.type = b"0"
        elif b"GNU.sparse.major" in records:
            if (records[b"GNU.sparse.major"], records.get(b"GNU.sparse.minor")) != (b"1", b"0"):
                raise TarError("a sparse file of an unknown version")
            numbers = self._stored_map()
            size = _decimal(records.get(b"GNU.sparse.realsize", b""), "size")
        elif b"GNU.sparse.map" in records or pairs:
            numbers = [_decimal(number, "sparse map") for number in (pairs or records[b"GNU.sparse.map"].split(b","))]
            size = _decimal(records.get(b"GNU.sparse.size", records.get(b"GNU.sparse.realsize", b"")), "size")
        else:
            return member
        member.name = records.get(b"GNU.sparse.name", member.name)
        member.size = size
        member.stored = self._left
        member.pieces = _pieces(numbers, size, member.stored)
        return member

    def _old_sparse_map(self, block: bytes) -> list[int]:
        fields, more = block[386:482], block[482]
        numbers: list[int] = []
        while True:
            for at in range(0, len(fields) - len(fields) % 24, 24):
                if not fields[at + 12]:
                    break
                numbers += (
                    _number(fields[at : at + 12], "sparse map", _MOST_SIZE),
                    _number(fields[at + 12 : at + 24], "sparse map", _MOST_SIZE),
                )
            if not more:
                return numbers
            if len(numbers) > 2 * _MOST_PIECES:
                raise TarError("a sparse map that is too long")
            extension = self._exactly(_BLOCK)
            fields, more = extension[:504], extension[504]

    def _stored_map(self) -> list[int]:
        """The sparse map that stands before the content: decimal lines, the first one their number of pairs, padded to a block."""
        text = b""
        lines: list[bytes] = []
        wanted = 1
        while len(lines) < wanted:
            if self._left < _BLOCK or len(text) > _MOST_META:
                raise TarError("a damaged sparse map")
            text += self._exactly(_BLOCK)
            self._left -= _BLOCK
            lines = text.split(b"\n")[:-1]
            if lines:
                wanted = 1 + 2 * _decimal(lines[0], "sparse map")
        return [_decimal(line, "sparse map") for line in lines[1:wanted]]


def _pieces(numbers: list[int], size: int, stored: int) -> tuple[Piece, ...]:
    pieces = [(offset, length) for offset, length in zip(numbers[::2], numbers[1::2], strict=False) if length]
    end = 0
    for offset, length in pieces:
        if offset < end or offset + length > size:
            raise TarError("a sparse map out of order")
        end = offset + length
    if len(numbers) % 2 or len(pieces) > _MOST_PIECES or sum(length for _, length in pieces) != stored:
        raise TarError("a sparse map that does not fit its content")
    return tuple(pieces)


def _check_sum(block: bytes, *, first: bool) -> None:
    try:
        stated = _number(block[148:156], "checksum", _MOST_ID)
    except TarError:
        stated = -1
    total = sum(block) - sum(block[148:156]) + 8 * 32
    if stated == total:
        return
    # Some old writers summed signed bytes.
    if stated != total - 256 * sum(byte > 127 for byte in block[:148] + block[156:]):
        raise TarError("it is not a tar archive" if first else "a damaged header: its checksum is wrong")


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _number(field: bytes, what: str, most: int) -> int:
    """A number field: octal text, or base 256 if its first bit is set."""
    if field[0] & 0x80:
        number = int.from_bytes(field, "big") - (0x80 << 8 * (len(field) - 1))
        if field[0] & 0x40:
            raise TarError(f"a negative {what}")
    else:
        text = field.split(b"\0", 1)[0].strip(b" ")
        if text and not text.isdigit():
            raise TarError(f"a {what} that is no number")
        try:
            number = int(text or b"0", 8)
        except ValueError:
            raise TarError(f"a {what} that is no number") from None
    if number > most:
        raise TarError(f"a {what} that is out of range: {number}")
    return number


def _decimal(text: bytes, what: str, most: int = _MOST_SIZE) -> int:
    if not text.isdigit() or len(text) > 20 or (number := int(text)) > most:
        raise TarError(f"a {what} that is no number in range")
    return number


def _id(records: dict[bytes, bytes], name: bytes, field: bytes) -> int:
    if name in records:
        return _decimal(records[name], name.decode(), _MOST_ID)
    return _number(field, name.decode(), _MOST_ID)


def _xattrs(records: dict[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    if not records:
        return ()
    return tuple(sorted((key[len(_XATTR) :], value) for key, value in records.items() if key.startswith(_XATTR)))


def _parse_pax(data: bytes) -> tuple[dict[bytes, bytes], list[bytes]]:
    """The records of a PAX header (the last of a name counts), and the numbers of a sparse map of format 0.0, which repeats its names."""
    records: dict[bytes, bytes] = {}
    sparse: list[bytes] = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        length = data[at:space]
        end = at + int(length) if space > 0 and length.isdigit() else 0
        equals = data.find(b"=", space, end)
        if not space < equals < end <= len(data) or data[end - 1 : end] != b"\n":
            raise TarError("a damaged PAX header")
        key, value = data[space + 1 : equals], data[equals + 1 : end - 1]
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            sparse.append(value)
        elif value or key.startswith(_XATTR):
            records[key] = value
        else:
            records.pop(key, None)  # POSIX: an empty value takes a record back
        at = end
    return records, sparse
