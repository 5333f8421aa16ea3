"""Where the members of an uncompressed tar file lie: name → offset and size, without reading their contents.

For image archives only, which hold few members with plain names. Invariants: time and memory are bounded by the number
of members, of which at most MEMBERS are read; no extension header larger than EXTENSION is loaded; offsets only grow; a
member that reaches beyond the end of the file is an error. Knows ustar, GNU's long names and pax; nothing of images.

tarfile is not used: it loads pax headers of any size and has looped for ever on hostile ones.
"""

import os

import msgspec

MEMBERS = 100_000
EXTENSION = 1 << 20
_BLOCK = 512


class Member(msgspec.Struct, frozen=True):
    """`start` and `size` in bytes; `kind` as in the header (`0` file, `1` hard link, `2` symlink, `5` directory); `link` its target."""

    kind: str
    start: int
    size: int
    link: str


def is_tar(head: bytes) -> bool:
    """Whether the first 512 bytes of a file are a tar header: the check sum tells."""
    return len(head) == _BLOCK and any(head) and _number(head[148:156]) == sum(head[:148]) + 8 * 32 + sum(head[156:])


def index_tar(fd: int) -> dict[str, Member]:
    """The members of a tar by name (`./` and trailing slashes removed; the last of a name wins). ValueError for a broken tar."""
    length = os.fstat(fd).st_size
    members: dict[str, Member] = {}
    overrides: dict[str, str] = {}
    offset = count = 0
    while any(header := os.pread(fd, _BLOCK, offset)):
        count += 1
        if not is_tar(header):
            raise ValueError(f"broken tar header at byte {offset}")
        if count > MEMBERS:
            raise ValueError(f"more than {MEMBERS} members in the tar")
        kind, size, start = chr(header[156]), _size(header, overrides), offset + _BLOCK
        offset = start + -(-size // _BLOCK) * _BLOCK
        if start + size > length:
            raise ValueError(f"the tar is cut short: a member of {size} bytes at byte {start}, the file ends at {length}")
        if kind in "xLKg":
            overrides |= _extension(fd, kind, start, size)
            continue
        name = _normal(overrides.get("path") or _name(header))
        members[name] = Member("0" if kind in "\0007" else kind, start, size, overrides.get("linkpath") or _text(header[157:257]))
        overrides = {}
    return members


def _size(header: bytes, overrides: dict[str, str]) -> int:
    size = int(text) if (text := overrides.get("size", "")).isascii() and text.isdigit() else _number(header[124:136])
    if size is None or size < 0:
        raise ValueError("a tar member without a size")
    return 0 if chr(header[156]) in "123456" else size


def _extension(fd: int, kind: str, start: int, size: int) -> dict[str, str]:
    if size > EXTENSION:
        raise ValueError(f"an extension header of {size} bytes in the tar, at most {EXTENSION} are read")
    data = os.pread(fd, size, start)
    if kind == "g":
        return {}
    return _pax(data) if kind == "x" else {"path" if kind == "L" else "linkpath": _text(data)}


def _pax(data: bytes) -> dict[str, str]:
    """The records of a pax header, `LENGTH KEY=VALUE\\n` each."""
    records: dict[str, str] = {}
    position = 0
    while position < len(data):
        digits = data[position : position + 10].partition(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        key, equals, value = data[position + len(digits) + 1 : position + length - 1].partition(b"=")
        if length <= len(digits) + 1 or not equals:
            raise ValueError("broken pax header in the tar")
        records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        position += length
    return records


def _number(field: bytes) -> int | None:
    """An octal or (first bit set) base-256 number; None for what is neither."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits or b"0", 8) if all(48 <= digit < 56 for digit in digits) else None


def _name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{_text(header[:100])}" if prefix else _text(header[:100])


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _normal(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", ".")) if not name.startswith("/") else name
