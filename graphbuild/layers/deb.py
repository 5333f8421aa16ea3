"""A Debian package's files: its `data.tar`, decompressed. Nothing of its control data is looked at (deb(5), ar(5))."""

from collections.abc import Iterator
from typing import BinaryIO

from graphbuild.layers.compression import DamagedStream, Readable, as_stream, open_stream
from graphbuild.values.errors import mistake

_MAGIC = b"!<arch>\n"
_HEADER = 60  # name 16, mtime 12, uid 6, gid 6, mode 8, size 10, "`\n"
_DATA = frozenset({b"data.tar", b"data.tar.gz", b"data.tar.bz2", b"data.tar.xz", b"data.tar.zst"})
_CHUNK = 1 << 18
_MOST_MEMBERS = 100


def open_data(file: Readable) -> BinaryIO:
    """The decompressed data.tar of a .deb. GraphbuildError for what is no package; DamagedStream, here or while reading, for one that is cut off."""
    if _exactly(file, len(_MAGIC)) != _MAGIC:
        raise mistake("not a Debian package: no ar archive")
    for _ in range(_MOST_MEMBERS):
        header = _exactly(file, _HEADER)
        name = header[:16].rstrip(b" ").removesuffix(b"/")
        digits = header[48:58].strip(b" ")
        if len(header) < _HEADER or header[58:] != b"`\n" or not digits.isdigit():
            break
        size = int(digits)
        if name in _DATA:
            # The real codec is told by content; a name that lies harms nobody.
            return open_stream(_stream(file, size))
        for _skipped in _member(file, size + size % 2):
            pass
    raise mistake("not a Debian package: no data.tar in it")


def _stream(file: Readable, size: int) -> BinaryIO:
    return as_stream(_member(file, size))


def _member(file: Readable, size: int) -> Iterator[bytes]:
    while size:
        data = file.read(min(size, _CHUNK))
        if not data:
            raise DamagedStream("the package is cut off")
        size -= len(data)
        yield data


def _exactly(file: Readable, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data
