"""Compression in and out."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import subprocess

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.layers.cancel import Cancelled
from graphbuild.layers.compression import DamagedStream, codec_version, compress, decompress, open_stream
from graphbuild.values.errors import GraphbuildError

TEXT = b"".join(b"line %d of a file\n" % number for number in range(20_000))
ZSTD = zstandard.ZstdCompressor(write_checksum=True).compress
PACKERS = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": ZSTD,
    "none": lambda data: data,
}


def packed(data: bytes, codec: str, cancelled=lambda: False) -> tuple[bytes, str, int]:
    source, out = os.memfd_create("source"), os.memfd_create("out")
    try:
        os.write(source, data)
        os.lseek(source, 0, os.SEEK_SET)
        digest, size = compress(source, out, codec, cancelled=cancelled)
        return os.pread(out, 1 << 26, 0), digest.hex, size
    finally:
        os.close(source)
        os.close(out)


@pytest.mark.parametrize("codec", PACKERS)
@given(data=st.binary(max_size=300), repeat=st.sampled_from([1, 5000]))
def test_whatever_was_packed_is_read_back(codec, data, repeat):
    data = (b"" if codec != "none" else b".") + data * repeat
    assert open_stream(io.BytesIO(PACKERS[codec](data))).read() == data


@pytest.mark.parametrize("codec", [codec for codec in PACKERS if codec != "none"])
def test_members_that_follow_each_other_are_one_stream(codec):
    pack = PACKERS[codec]
    assert open_stream(io.BytesIO(pack(TEXT) + pack(b"") + pack(b"end"))).read() == TEXT + b"end"


@pytest.mark.parametrize("codec", [codec for codec in PACKERS if codec != "none"])
@pytest.mark.parametrize("keep", [0.01, 0.5, 0.999])
def test_what_is_cut_off_is_an_error(codec, keep):
    data = PACKERS[codec](TEXT)
    with pytest.raises(DamagedStream):
        open_stream(io.BytesIO(data[: min(int(len(data) * keep) + 10, len(data) - 1)])).read()


@pytest.mark.parametrize("codec", [codec for codec in PACKERS if codec != "none"])
def test_what_is_damaged_is_an_error(codec):
    data = bytearray(PACKERS[codec](TEXT))
    data[len(data) // 2] ^= 0x55
    with pytest.raises(DamagedStream):
        open_stream(io.BytesIO(bytes(data))).read()


def test_a_bomb_is_expanded_a_piece_at_a_time():
    bomb = ZSTD(bytes(1 << 28))
    stream = open_stream(io.BytesIO(bomb))
    assert stream.read(1000) == bytes(1000)
    with pytest.raises(GraphbuildError, match="expands to more than"):
        decompress(io.BytesIO(bomb), os.open(os.devnull, os.O_WRONLY), limit=1 << 20)


@pytest.mark.parametrize("codec", ["gzip", "zstd", "none"])
def test_what_is_written_is_hashed_and_read_back(codec):
    data, digest, size = packed(TEXT, codec)
    assert (digest, size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert open_stream(io.BytesIO(data)).read() == TEXT
    assert packed(TEXT, codec)[0] == data
    assert codec_version(codec)


def test_a_gzip_header_says_no_time_and_no_name():
    assert packed(TEXT, "gzip")[0][:9] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00"


def test_gzip_itself_accepts_what_is_written():
    assert subprocess.run(["gzip", "-dc"], input=packed(TEXT, "gzip")[0], capture_output=True, check=True).stdout == TEXT


def test_nothing_packs_to_a_stream_of_nothing():
    for codec in ("gzip", "zstd", "none"):
        assert open_stream(io.BytesIO(packed(b"", codec)[0])).read() == b""


def test_decompress_hashes_what_it_writes():
    out = os.memfd_create("out")
    try:
        digest, size = decompress(io.BytesIO(gzip.compress(TEXT)), out)
        assert os.pread(out, len(TEXT) + 1, 0) == TEXT
    finally:
        os.close(out)
    assert (digest.hex, size) == (hashlib.sha256(TEXT).hexdigest(), len(TEXT))


def test_compression_can_be_given_up():
    with pytest.raises(Cancelled):
        packed(TEXT, "gzip", lambda: True)


def test_an_unknown_codec_is_a_bug():
    with pytest.raises(ValueError, match="unknown codec"):
        packed(TEXT, "lzo")


@pytest.mark.parametrize("data", [b"BZhello is a name" * 50, b"", b"\x1f", b"B"])
def test_what_only_begins_like_a_codec_is_left_alone(data):
    assert open_stream(io.BytesIO(data)).read() == data


def test_a_zstd_stream_may_begin_with_a_skippable_frame():
    assert open_stream(io.BytesIO(b"\x50\x2a\x4d\x18\x03\0\0\0abc" + ZSTD(TEXT))).read() == TEXT
