"""A hostile tar as a layer: its index, and if wanted its folder form.

A member is checked here as far as it goes by itself (its path has no `..`, its type is known, the limits are kept), and against what
the archive made before in `tar_tree`, before anything touches the disk. So nothing can be written outside the folder, whatever the archive
says; `tar_disk`, which writes, holds the same line by itself.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from graphbuild.layers.compression import DamagedStream
from graphbuild.layers.tar_headers import Member, Members, Readable, TarError, is_header
from graphbuild.layers.tar_tree import Chunk, Ids, Nowhere, Sink, Tree
from graphbuild.layers.xattrs import Xattrs, belongs
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import GraphbuildError, is_full, mistake

_OPAQUE = b".wh..wh..opq"
_WHITEOUT = b".wh."
_RESERVED = b".wh..wh."  # other marks of aufs: of no meaning outside it
_KINDS = {
    b"0": Kind.FILE,
    b"1": Kind.HARDLINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER,
    b"4": Kind.BLOCK,
    b"5": Kind.DIRECTORY,
    b"6": Kind.FIFO,
}
_MOST_MAJOR = (1 << 12) - 1
_MOST_MINOR = (1 << 20) - 1
_MOST_XATTR = 1 << 16


class Limits(msgspec.Struct, frozen=True):
    """What an archive may hold at most: members, bytes of content, bytes of one path, bytes of names and attributes together."""

    entries: int = 5_000_000
    size: int = 256 << 30
    path: int = 4096
    meta: int = 1 << 30


def unpack(
    stream: Readable,
    folder: Path,
    *,
    epoch: int,
    whiteouts: bool,
    source: str,
    redirects: Mapping[bytes, bytes] = {},
    limits: Limits = Limits(),  # noqa: B008 - frozen
    ids: Ids = "full",
) -> list[Entry]:
    """Extract an uncompressed tar into the empty `folder`, as the folder form of a layer, and return the layer's index.

    `whiteouts`: `.wh.` names mean removals (an OCI layer); else they are ordinary files. `redirects` maps paths to the paths that
    stand for them, e.g. {b"bin": b"usr/bin"}. `ids="single"`: owners are in the index only. GraphbuildError, which
    names `source` and the member, for whatever is wrong with the archive; OSError for a full disk. `folder` then holds a part of it.
    """
    from graphbuild.layers.tar_disk import Folder

    with Folder(folder, epoch=epoch, ids=ids) as sink:
        archives = Archives(sink, limits=limits)
        archives.add(stream, whiteouts=whiteouts, redirects=redirects, source=source)
        return archives.finish(source)


def read_index(
    stream: Readable,
    *,
    whiteouts: bool,
    source: str,
    redirects: Mapping[bytes, bytes] = {},
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> list[Entry]:
    """The index that `unpack` would return, by the same code, without writing anything."""
    archives = Archives(Nowhere(), limits=limits)
    archives.add(stream, whiteouts=whiteouts, redirects=redirects, source=source)
    return archives.finish(source)


def clean_path(name: bytes, most: int = 4096) -> bytes:
    """An archive's name as a path of a layer: relative, without empty and `.` components; b"" for the root. TarError for a bad one."""
    if b"\0" in name:
        raise TarError("a name with a NUL")
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise TarError("a path with ..")
    path = b"/".join(parts)
    if len(path) > most or any(len(part) > 255 for part in parts):
        raise TarError("a name that is too long")
    return path


class Archives:
    """Adds the members of archives to a tree that goes to `sink`, within `limits` for all of them together."""

    def __init__(self, sink: Sink, *, limits: Limits) -> None:
        self._tree = Tree(sink)
        self._limits = limits
        self._count = self._size = self._meta = 0

    @property
    def tree(self) -> Tree:
        """The tree, to put other things into."""
        return self._tree

    def add(self, stream: Readable, *, whiteouts: bool, source: str, redirects: Mapping[bytes, bytes] = {}) -> None:
        """Add all members of an uncompressed tar."""
        members = Members(stream)
        name = b""
        try:
            for member in members:
                name = member.name
                self._budget(member)
                self._member(member, members, whiteouts, redirects)
            name = b""
        except TarError as error:
            raise blame(source, name, str(error)) from None
        except DamagedStream as error:
            raise blame(source, b"", str(error)) from None
        except OSError as error:
            if is_full(error):
                raise
            raise blame(source, name, error.strerror or str(error)) from None

    def finish(self, source: str) -> list[Entry]:
        """The sorted index; the sink is finished with it."""
        try:
            return self._tree.finish()
        except OSError as error:
            if is_full(error):
                raise
            raise blame(source, os.fsencode(error.filename or b""), error.strerror or str(error)) from None

    def _budget(self, member: Member) -> None:
        self._count += 1
        self._size += max(member.size, member.stored)
        self._meta += member.meta + len(member.name) + len(member.link)
        limits = self._limits
        if self._count > limits.entries:
            raise TarError(f"more than {limits.entries} entries")
        if self._size > limits.size:
            raise TarError(f"more than {limits.size} bytes of content")
        if self._meta > limits.meta:
            raise TarError(f"more than {limits.meta} bytes of names and attributes")

    def _member(self, member: Member, members: Members, whiteouts: bool, redirects: Mapping[bytes, bytes]) -> None:
        if member.type not in _KINDS:
            raise TarError(f"an entry of unknown type {member.type!r}")
        kind = _KINDS[member.type]
        path = clean_path(member.name, self._limits.path)
        if redirects:
            path = redirect(path, redirects, exact=kind is Kind.DIRECTORY)
        if not path:
            if kind is not Kind.DIRECTORY:
                raise TarError("an entry that would replace the root")
            return
        if whiteouts and self._marks(path):
            return
        match kind:
            case Kind.DIRECTORY:
                self._tree.directory(Entry(path, kind, member.mode, member.uid, member.gid, xattrs=kept_xattrs(member)))
            case Kind.FILE:
                entry = Entry(path, kind, member.mode, member.uid, member.gid, member.size, xattrs=kept_xattrs(member))
                self._tree.file(entry, content_of(members, member), tree=whiteouts)
            case Kind.HARDLINK:
                self._tree.link(path, redirect(clean_path(member.link, self._limits.path), redirects, exact=False), tree=whiteouts)
            case _:
                self._special(path, kind, member, whiteouts)

    def _special(self, path: bytes, kind: Kind, member: Member, whiteouts: bool) -> None:
        mode, target = member.mode, b""
        if kind is Kind.SYMLINK:
            mode, target = 0o777, member.link
            if not 0 < len(target) < 4096 or b"\0" in target:
                raise TarError("a symlink whose target is empty, too long or has a NUL")
        major, minor = member.device
        if major > _MOST_MAJOR or minor > _MOST_MINOR:
            raise TarError(f"a device number that does not exist: {major}, {minor}")
        if kind is Kind.CHARACTER and member.device == (0, 0):
            if not whiteouts:
                raise TarError("a character device 0, 0, which means a removal to overlayfs")
            self._tree.whiteout(path)
            return
        entry = Entry(path, kind, mode, member.uid, member.gid, target=target, device=member.device, xattrs=kept_xattrs(member))
        self._tree.node(entry, tree=whiteouts)

    def _marks(self, path: bytes) -> bool:
        """True if the path was a mark of a layer, not a file."""
        folder, _, name = path.rpartition(b"/")
        if not name.startswith(_WHITEOUT):
            return False
        if name == _OPAQUE:
            if not folder:
                raise TarError("a removal of the whole root")
            self._tree.opaque(folder)
        elif not name.startswith(_RESERVED):
            gone = name[len(_WHITEOUT) :]
            if gone in (b"", b".", b".."):
                raise TarError("a removal of nothing")
            self._tree.whiteout(folder + b"/" + gone if folder else gone)
        return True


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


def redirect(path: bytes, redirects: Mapping[bytes, bytes], *, exact: bool) -> bytes:
    """The path with its longest prefix among `redirects` replaced. Only with `exact` is the path itself such a prefix."""
    at = len(path) if exact else path.rfind(b"/")
    while at > 0:
        found = redirects.get(path[:at])
        if found is not None:
            return (found + path[at:]).lstrip(b"/")
        at = path.rfind(b"/", 0, at)
    return path


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


def is_tar(stream: Readable) -> bool:
    """Whether a stream begins with the header of a member: no more of it is read."""
    try:
        head = stream.read(512)
        return len(head) == 512 and any(head) and is_header(head)
    except (DamagedStream, OSError):
        return False
