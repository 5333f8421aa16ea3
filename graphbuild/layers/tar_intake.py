"""What every way of taking in an archive has in common: how much one may hold, what its members are, and who is to blame."""

import contextlib
import os
from collections.abc import Iterator

import msgspec

from graphbuild.layers.compression import DamagedStream
from graphbuild.layers.tar_headers import Member, Members, TarError
from graphbuild.layers.tar_tree import Chunk
from graphbuild.layers.xattrs import Xattrs, belongs
from graphbuild.values.entry import Kind
from graphbuild.values.errors import GraphbuildError, is_full, mistake

_KINDS = {
    b"0": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER,
    b"4": Kind.BLOCK,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}
_MOST_XATTR = 1 << 16


class Limits(msgspec.Struct, frozen=True):
    """What an archive may hold at most: members, bytes of content, bytes of one path, bytes of names and attributes together."""

    entries: int = 5_000_000
    size: int = 256 << 30
    path: int = 4096
    meta: int = 1 << 30


class Intake:
    """The members of one archive or several, within `limits` for all of them together."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.count = 0  # of the members so far
        self._size = self._meta = 0
        self._name = b""  # of the member in question

    def counted(self, members: Members) -> Iterator[Member]:
        """The members, one after the other. TarError where they are too many or too large."""
        for member in members:
            self._name = member.name
            self._count(member)
            yield member
        self._name = b""

    def _count(self, member: Member) -> None:
        self.count += 1
        self._size += max(member.size, member.stored)
        self._meta += member.meta + len(member.name) + len(member.link)
        limits = self.limits
        if self.count > limits.entries:
            raise TarError(f"more than {limits.entries} entries")
        if self._size > limits.size:
            raise TarError(f"more than {limits.size} bytes of content")
        if self._meta > limits.meta:
            raise TarError(f"more than {limits.meta} bytes of names and attributes")

    @contextlib.contextmanager
    def blamed(self, source: str) -> Iterator[None]:
        """What goes wrong inside is the archive's fault, a full disk excepted: GraphbuildError, which names the member in question."""
        self._name = b""
        try:
            yield
        except TarError as error:
            raise blame(source, self._name, str(error)) from None
        except DamagedStream as error:
            raise blame(source, b"", str(error)) from None
        except OSError as error:
            if is_full(error):
                raise
            raise blame(source, self._name or os.fsencode(error.filename or b""), error.strerror or str(error)) from None


def kind_of(member: Member) -> Kind:
    """What a member is. TarError for what is none of ours."""
    kind = _KINDS.get(member.type)
    if kind is None:
        raise TarError(f"an entry of unknown type {member.type!r}")
    return kind


def content_of(members: Members, member: Member) -> Iterator[Chunk]:
    """The content of the current member; the number of zeros where a sparse file has a hole."""
    if member.pieces is None:
        yield from members.content()
        return
    at = 0
    for offset, length in member.pieces:
        if offset > at:
            yield offset - at
        at = offset + length
        while length:
            data = members.read(length)
            length -= len(data)  # noqa: PLW2901 - counted down
            yield data
    if member.size > at:
        yield member.size - at


def kept_xattrs(member: Member) -> Xattrs:
    """Its attributes that belong to a layer. TarError for one that no file can have."""
    if not member.xattrs:
        return ()
    # The kernel has user attributes on files and directories only.
    plain = member.type in b"05"
    kept = tuple((name, value) for name, value in member.xattrs if belongs(name) and (plain or not name.startswith(b"user.")))
    for name, value in kept:
        if b"\0" in name or len(name) > 255 or len(value) > _MOST_XATTR:
            raise TarError("an extended attribute that no file can have")
    return kept


def blame(source: str, name: bytes, what: str) -> GraphbuildError:
    """The error of an archive, with the member where it was found."""
    shown = os.fsdecode(name[:200]).replace("\0", "\\0")
    return mistake(f"{source}: {shown + ': ' if shown else ''}{what}")
