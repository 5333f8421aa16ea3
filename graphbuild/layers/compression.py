"""Compression in and out: one stream in, one stream out, in constant memory, hashed in the same pass.

Reading tells gzip, bzip2, xz and zstd by content and takes several members or frames. What is damaged or cut off is an error, never a
short read. However far a stream expands, no more than a few hundred KiB of input (zstd: 1 KiB) are expanded at once.
The bytes that a codec writes may differ between versions and machines: `codec_version` says which these were.
"""

import io
import os
import platform
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol, cast

from graphbuild.layers.cancel import Cancel, check, never
from graphbuild.values.digest import Digest, sha256
from graphbuild.values.errors import GraphbuildError, Problem, mistake

_UNSUSPECTED = 4 << 30  # bytes that anything may expand to: preallocated files are zeros
_RATIO = 200  # root file systems compress to 1/2 … 1/20; a bomb to 1/1000 and less
_CHUNK = 1 << 20
_INPUT = 1 << 18
_ZSTD_INPUT = 1 << 10  # a KiB of zstd can mean 32 MiB, and its decompressor knows no limit
_GZIP_LEVEL = 1
_ZSTD_LEVEL = 3
_HEAD = 10
# bzip2's "BZh" alone could begin a file's name in a tar; a block (or the end) follows its level.
_MAGIC = (
    (re.compile(rb"\x1f\x8b\x08"), "gzip"),
    (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", re.DOTALL), "bzip2"),
    (re.compile(rb"\xfd7zXZ\x00"), "xz"),
    (re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), "zstd"),  # a frame, or a skippable one
)


class DamagedStream(GraphbuildError):  # noqa: N818 - said of the stream
    """Compressed data that is corrupt or cut off. Whoever knows the file's name says it again, with the name."""

    def __init__(self, message: str) -> None:
        super().__init__(Problem(message))


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class _Decompressor(Protocol):
    """What bz2, lzma and isal have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


class _Chunks:
    """An iterator of bytes as the raw half of a `BufferedReader`, which asks no more of it than these methods."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")
        self.closed = False

    def readinto(self, buffer: memoryview) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def readall(self) -> bytes:
        data = bytes(self._rest) + b"".join(self._chunks)
        self._rest = memoryview(b"")
        return data

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


def as_stream(chunks: Iterator[bytes]) -> BinaryIO:
    """Bytes that are made on demand, as a file to read from."""
    return io.BufferedReader(cast("io.RawIOBase", _Chunks(chunks)), _CHUNK)


def open_stream(file: Readable) -> BinaryIO:
    """What `file` holds, decompressed if it is compressed. DamagedStream, here or while reading, for what is damaged or cut off.

    The caller closes `file`, after the last read.
    """
    head = b""
    while len(head) < _HEAD and (more := file.read(_HEAD - len(head))):
        head += more
    codec = next((name for magic, name in _MAGIC if magic.match(head)), "none")
    return as_stream(_READERS[codec](head, file))


def _plain(head: bytes, file: Readable) -> Iterator[bytes]:
    if head:
        yield head
    while data := file.read(_CHUNK):
        yield data


def _members(head: bytes, file: Readable, make: Callable[[], _Decompressor], magic: bytes, error: type[Exception]) -> Iterator[bytes]:
    """Decompress members one after the other. What follows the last one and does not begin like one is padding, as gzip(1) has it."""
    data = head
    while data:
        codec = make()
        while not codec.eof:
            if not data and codec.needs_input:
                data = file.read(_INPUT)
                if not data:
                    raise DamagedStream("the compressed data is cut off")
            try:
                made = codec.decompress(data, _CHUNK)
            except (error, OSError, EOFError, ValueError) as problem:
                raise DamagedStream(f"the compressed data is damaged: {problem}") from None
            data = b""
            if made:
                yield made
        data = codec.unused_data
        while len(data) < len(magic) and (more := file.read(_INPUT)):
            data += more
        if not data.startswith(magic):
            return


def _gzip(head: bytes, file: Readable) -> Iterator[bytes]:
    from isal import igzip_lib

    def make() -> _Decompressor:
        return cast("_Decompressor", igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP))

    return _members(head, file, make, b"\x1f\x8b", cast("type[Exception]", igzip_lib.IsalError))


def _bzip2(head: bytes, file: Readable) -> Iterator[bytes]:
    from bz2 import BZ2Decompressor

    return _members(head, file, BZ2Decompressor, b"BZh", OSError)


def _xz(head: bytes, file: Readable) -> Iterator[bytes]:
    from lzma import LZMADecompressor, LZMAError

    def make() -> _Decompressor:
        return LZMADecompressor(memlimit=1 << 30)

    return _members(head, file, make, b"\xfd7zXZ\x00", LZMAError)


def _zstd(head: bytes, file: Readable) -> Iterator[bytes]:
    import zstandard

    decompressor = zstandard.ZstdDecompressor()
    codec = decompressor.decompressobj()
    started = False
    for block in _plain(head, file):
        rest = block
        while rest:
            if codec.eof:
                codec, started = decompressor.decompressobj(), False
            piece, rest = rest[:_ZSTD_INPUT], rest[_ZSTD_INPUT:]
            try:
                made = codec.decompress(piece)
            except zstandard.ZstdError as problem:
                raise DamagedStream(f"the compressed data is damaged: {problem}") from None
            started = True
            rest = codec.unused_data + rest if codec.eof else rest
            if made:
                yield made
    if started and not codec.eof:
        raise DamagedStream("the compressed data is cut off")


_READERS: dict[str, Callable[[bytes, Readable], Iterator[bytes]]] = {
    "none": _plain,
    "gzip": _gzip,
    "bzip2": _bzip2,
    "xz": _xz,
    "zstd": _zstd,
}


class _Encoder(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _Same:
    """The codec "none"."""

    def compress(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _encoder(codec: str) -> _Encoder:
    match codec:
        case "gzip":
            from isal import isal_zlib

            # wbits 31: a gzip header, which isal writes without a name and with mtime 0.
            return cast("_Encoder", isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, 31))
        case "zstd":
            import zstandard

            return cast("_Encoder", zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj())
        case "none":
            return _Same()
        case _:
            raise ValueError(f"unknown codec {codec!r}")


def codec_version(codec: str) -> str:
    """What made a compressed blob: library, version, level and machine, e.g. "isal 2.31.0 level 1 x86_64"."""
    match codec:
        case "gzip":
            import isal

            return f"isal {isal.ISAL_VERSION} level {_GZIP_LEVEL} {platform.machine()}"
        case "zstd":
            import zstandard

            version = ".".join(map(str, zstandard.ZSTD_VERSION))
            return f"zstd {version} level {_ZSTD_LEVEL} {platform.machine()}"
        case "none":
            return "none"
        case _:
            raise ValueError(f"unknown codec {codec!r}")


def compress(source_fd: int, out_fd: int, codec: str, *, cancelled: Cancel = never) -> tuple[Digest, int]:
    """Compress all that `source_fd` gives ("gzip", "zstd", or "none": copy). Returns the sha256 and the size of what was written.

    Other threads run meanwhile. Cancelled when `cancelled()` says so.
    """
    encoder = _encoder(codec)

    def chunks() -> Iterator[bytes]:
        while data := os.read(source_fd, _CHUNK):
            yield encoder.compress(data)
        yield encoder.flush()

    return _copy(chunks(), out_fd, cancelled)


class _Counted:
    """A file whose reader's progress is known."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self.count += len(data)
        return data


def decompress(
    source: Readable, out_fd: int, *, limit: int = 256 << 30, cancelled: Cancel = never, unsuspected: int = _UNSUSPECTED
) -> tuple[Digest, int]:
    """Write what `source` holds, decompressed. Returns its sha256 and size.

    GraphbuildError for damaged data, for more than `limit` bytes, and for more than `unsuspected` that are far more than what was read: a bomb.
    """
    counted = _Counted(source)
    stream = open_stream(counted)

    def chunks() -> Iterator[bytes]:
        total = 0
        while data := stream.read(_CHUNK):
            total += len(data)
            if total > limit:
                raise mistake(f"compressed data that expands to more than {limit} bytes")
            if total > unsuspected and total > counted.count * _RATIO:
                raise mistake(f"compressed data that expands to more than {unsuspected} bytes, {_RATIO} times its size")
            yield data

    return _copy(chunks(), out_fd, cancelled)


def _copy(chunks: Iterator[bytes], out_fd: int, cancelled: Cancel) -> tuple[Digest, int]:
    from hashlib import sha256 as hasher

    hashed = hasher()
    size = 0
    for chunk in chunks:
        check(cancelled)
        hashed.update(chunk)
        size += len(chunk)
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(out_fd, rest) :]
    return sha256(hashed.hexdigest()), size
