"""A hostile tar as a layer: its index, and if wanted its folder form.

A member is checked here as far as it goes by itself (its path has no `..`, its type is known, the limits are kept), and against what
the archive made before in `tar_tree`, before anything touches the disk. So nothing can be written outside the folder, whatever the archive
says; `tar_disk`, which writes, holds the same line by itself.
"""

from collections.abc import Mapping
from pathlib import Path

from graphbuild.layers.compression import DamagedStream
from graphbuild.layers.tar_headers import Member, Members, Readable, TarError, is_header
from graphbuild.layers.tar_intake import Intake, Limits, content_of, kept_xattrs, kind_of
from graphbuild.layers.tar_tree import Ids, Nowhere, Sink, Tree
from graphbuild.values.entry import Entry, Kind

_OPAQUE = b".wh..wh..opq"
_WHITEOUT = b".wh."
_RESERVED = b".wh..wh."  # other marks of aufs: of no meaning outside it
_MOST_MAJOR = (1 << 12) - 1
_MOST_MINOR = (1 << 20) - 1


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
        self._intake = Intake(limits)

    @property
    def tree(self) -> Tree:
        """The tree, to put other things into."""
        return self._tree

    def add(self, stream: Readable, *, whiteouts: bool, source: str, redirects: Mapping[bytes, bytes] = {}) -> None:
        """Add all members of an uncompressed tar."""
        members = Members(stream)
        with self._intake.blamed(source):
            for member in self._intake.counted(members):
                self._member(member, members, whiteouts, redirects)

    def finish(self, source: str) -> list[Entry]:
        """The sorted index; the sink is finished with it."""
        with self._intake.blamed(source):
            return self._tree.finish()

    def _member(self, member: Member, members: Members, whiteouts: bool, redirects: Mapping[bytes, bytes]) -> None:
        kind = kind_of(member)
        path = clean_path(member.name, self._intake.limits.path)
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
                self._tree.link(path, redirect(clean_path(member.link, self._intake.limits.path), redirects, exact=False), tree=whiteouts)
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


def redirect(path: bytes, redirects: Mapping[bytes, bytes], *, exact: bool) -> bytes:
    """The path with its longest prefix among `redirects` replaced. Only with `exact` is the path itself such a prefix."""
    at = len(path) if exact else path.rfind(b"/")
    while at > 0:
        found = redirects.get(path[:at])
        if found is not None:
            return (found + path[at:]).lstrip(b"/")
        at = path.rfind(b"/", 0, at)
    return path


def is_tar(stream: Readable) -> bool:
    """Whether a stream begins with the header of a member: no more of it is read."""
    try:
        head = stream.read(512)
        return len(head) == 512 and any(head) and is_header(head)
    except (DamagedStream, OSError):
        return False
