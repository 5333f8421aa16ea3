"""Root file systems as other tools pack them: every shape of a tar that `docker import` takes."""

import bz2
import gzip
import io
import lzma
import struct
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import zstandard

CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service+ep


def member(name: str, content: bytes | None = b"", *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, **fields: object) -> tuple:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = (tarfile.DIRTYPE if content is None else kind), mode, 1_600_000_000
    info.size = len(content or b"")
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def folder(name: str, mode: int = 0o755, **fields: object) -> tuple:
    return member(name, None, mode=mode, **fields)


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple:
    return member(name, b"", kind=kind, linkname=target, mode=0o777 if kind == tarfile.SYMTYPE else 0o644)


def pack(*members: tuple, form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content or b""))
    return stream.getvalue()


PLAIN = (folder("etc"), member("etc/hello", b"hello\n"), folder("bin"), member("bin/tool", b"#!/bin/sh\n", mode=0o755))
LONG = "a-rather-long-name-" * 6  # 114 bytes: more than a header's field


def sparse(form: str) -> bytes:
    """A file with holes, as GNU tar writes them."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "sparse")
        with path.open("wb") as file:
            for at in (0, 1 << 20, 3 << 20):
                file.seek(at)
                file.write(b"data at %d" % at)
            file.truncate(5 << 20)
        words = ["tar", "-S", f"--format={form}", "--mtime=@1600000000", "--owner=0", "--group=0", "-C", place, "-c", "sparse"]
        return subprocess.run(words, capture_output=True, check=True).stdout


def _pax(name: str, content: bytes, **headers: str) -> tuple:
    info, content = member(name, content)
    info.pax_headers = headers
    return info, content


TARBALLS: Mapping[str, Callable[[], bytes]] = {
    "plain": lambda: pack(*PLAIN),
    "ustar": lambda: pack(*PLAIN, form=tarfile.USTAR_FORMAT),
    "gnu": lambda: pack(*PLAIN, folder(LONG), member(f"{LONG}/{LONG}", b"x"), link("l", f"{LONG}/{LONG}"), form=tarfile.GNU_FORMAT),
    "pax": lambda: pack(*PLAIN, folder(LONG), member(f"{LONG}/{LONG}", b"x"), member("ümläut-日本", b"y"), link("l", f"{LONG}/{LONG}")),
    "gz": lambda: gzip.compress(pack(*PLAIN)),
    "bz2": lambda: bz2.compress(pack(*PLAIN)),
    "xz": lambda: lzma.compress(pack(*PLAIN)),
    "zst": lambda: zstandard.compress(pack(*PLAIN)),
    "hard links": lambda: pack(
        *PLAIN, link("etc/same", "etc/hello", tarfile.LNKTYPE), link("also", "./etc/hello", tarfile.LNKTYPE), link("soft", "etc/hello")
    ),
    "devices": lambda: pack(
        folder("dev2"),
        member("dev2/null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        member("dev2/loop", kind=tarfile.BLKTYPE, devmajor=7, devminor=0, mode=0o660, gid=6),
        member("dev2/pipe", kind=tarfile.FIFOTYPE, mode=0o600),
    ),
    "owners": lambda: pack(
        folder("home", uid=1000, gid=1000, uname="bob", gname="bob"),
        member("home/a", b"a", uid=65534, gid=4000, mode=0o4755),
        member("home/b", b"b", uid=1000, gid=50, mode=0o2711),
        folder("home/t", 0o3777, gid=12),
    ),
    "attributes": lambda: pack(
        *PLAIN,
        _pax("etc/capable", b"binary", **{"SCHILY.xattr.security.capability": CAPABILITY.decode("utf-8", "surrogateescape")}),
        _pax("etc/noted", b"text", **{"SCHILY.xattr.user.note": "hello"}),
    ),
    "root": lambda: pack(folder("./", 0o750, uid=7, gid=8), member("./a", b"a"), folder("./d"), member("./d/b", b"b")),
    "dots": lambda: pack(folder("./"), folder("./etc"), member("./etc/hello", b"hello\n"), member("etc/.//x", b"x")),
    "absolute": lambda: pack(folder("/etc"), member("/etc/hello", b"hello\n"), link("/abs", "/etc/hello")),
    "twice": lambda: pack(
        member("f", b"first"), member("f", b"second"), folder("d", 0o700), folder("d", 0o755), member("was", b"file"), link("was", "f")
    ),
    "implicit": lambda: pack(member("deep/er/file", b"x"), member("tmp/x", b"y", uid=5)),
    "whiteouts": lambda: pack(
        *PLAIN,
        member("etc/.wh.gone", b""),
        folder("opaque"),
        member("opaque/.wh..wh..opq", b""),
        member("opaque/in", b"x"),
        member(".whole", b"x"),
    ),
    "sparse gnu": lambda: sparse("gnu"),
    "sparse pax": lambda: sparse("pax"),
    "empty": lambda: bytes(10240),
}
