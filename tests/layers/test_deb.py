"""The data of a .deb."""

import io
import lzma

import pytest
import zstandard

from graphbuild.layers.compression import DamagedStream
from graphbuild.layers.deb import open_data
from graphbuild.values.errors import GraphbuildError


def member(name: bytes, data: bytes, size: bytes | None = None) -> bytes:
    header = b"%-16s%-12d%-6d%-6d%-8s%-10s`\n" % (name, 0, 0, 0, b"100644", size or b"%d" % len(data))
    return header + data + b"\n" * (len(data) % 2)


def deb(*members: bytes) -> io.BytesIO:
    return io.BytesIO(b"!<arch>\n" + b"".join(members))


START = member(b"debian-binary", b"2.0\n") + member(b"control.tar.xz", b"odd")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (b"data.tar", b"plain content"),
        (b"data.tar.xz", lzma.compress(b"plain content")),
        (b"data.tar.zst", zstandard.compress(b"plain content")),
        (b"data.tar/", b"plain content"),
    ],
)
def test_the_data_member_is_found_and_decompressed(name, data):
    assert open_data(deb(START, member(name, data), member(b"later", b"x"))).read() == b"plain content"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"!<arch>",
        b"PK\3\4" + bytes(100),
        b"!<arch>\n",
        b"!<arch>\n" + START,
        b"!<arch>\n" + START[:-10],
        b"!<arch>\n" + member(b"data.tar", b"", b"-1"),
        b"!<arch>\n" + member(b"data.tar", b"", b"0x10"),
        b"!<arch>\n" + b"x" * 60,
        b"!<arch>\n" + member(b"x", b"") * 200,
    ],
)
def test_what_is_no_package_is_refused(data):
    with pytest.raises(GraphbuildError):
        open_data(io.BytesIO(data))


def test_a_package_that_is_cut_off_is_an_error_while_reading():
    with pytest.raises(DamagedStream, match="cut off"):
        open_data(deb(START, member(b"data.tar", b"x", b"9999"))).read()
