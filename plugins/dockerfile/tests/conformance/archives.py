"""Tar archives for ADD, described by values: what is compressed is not the same bytes everywhere, so a case says only what is in it."""

import bz2
import gzip
import io
import lzma
import tarfile

import msgspec

_TIME = 1_500_000_000


class Member(msgspec.Struct, frozen=True):
    """A member as it is in the archive: `kind` is one of file, dir, symlink, hardlink, char, block, fifo."""

    name: str
    content: str = ""
    kind: str = "file"
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)
    names: tuple[str, str] = ("", "")
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, str], ...] = ()


class Archive(msgspec.Struct, frozen=True):
    """A tar of these members. `cut`: only so many bytes of it, from the front; negative: without so many at the end."""

    members: tuple[Member, ...]
    compress: str = ""  # gz, bz2, xz, lzma, zst
    form: str = "pax"  # gnu, ustar, v7
    cut: int = 0


_FORMS = {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT, "ustar": tarfile.USTAR_FORMAT, "v7": tarfile.USTAR_FORMAT}
_KINDS = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
}


def packed(archive: Archive) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=_FORMS[archive.form]) as tar:
        for member in archive.members:
            tar.addfile(_info(member), io.BytesIO(member.content.encode()))
    plain = stream.getvalue()
    if archive.form == "v7":
        plain = _without_magic(plain)
    whole = compressed(plain, archive.compress)
    return whole[: archive.cut] if archive.cut else whole


def _info(member: Member) -> tarfile.TarInfo:
    info = tarfile.TarInfo(member.name)
    info.type, info.mode, info.mtime, info.linkname = _KINDS[member.kind], member.mode, _TIME, member.target
    info.uid, info.gid = member.owner
    info.uname, info.gname = member.names
    info.devmajor, info.devminor = member.device
    info.size = len(member.content.encode())
    info.pax_headers = {f"SCHILY.xattr.{name}": value for name, value in member.xattrs}
    return info


def compressed(plain: bytes, how: str) -> bytes:
    match how:
        case "gz":
            return gzip.compress(plain, mtime=0)
        case "bz2":
            return bz2.compress(plain)
        case "xz":
            return lzma.compress(plain)
        case "lzma":
            return lzma.compress(plain, format=lzma.FORMAT_ALONE)
        case "zst":
            import zstandard

            return zstandard.compress(plain)
        case _:
            return plain


def _without_magic(plain: bytes) -> bytes:
    """As archives were before there was a magic number: one header, its checksum made anew."""
    header = bytearray(plain[:512])
    header[257:265] = bytes(8)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + plain[512:]
