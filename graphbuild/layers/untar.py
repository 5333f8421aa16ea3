"""An archive put into a tree as ADD does it: member after member, each taking the place of what is there.

The archive's root is the folder it is put into: no `..`, no symlink and no hard link leads out of it. Contents go to files of a folder
that the caller throws away; where everything lands is `place`'s. The rules are those of moby's go-archive. Every byte is hostile.
"""

import os
import posixpath
from collections.abc import Iterator
from pathlib import Path

import msgspec
from blake3 import blake3

from graphbuild.layers.place import Origin, Placing
from graphbuild.layers.stack import resolve
from graphbuild.layers.tar_headers import Member, Members, Readable, TarError
from graphbuild.layers.tar_intake import Intake, Limits, content_of, kept_xattrs, kind_of
from graphbuild.layers.tar_tree import Chunk
from graphbuild.values.entry import Entry, Kind

_CAPABILITY = b"security.capability"


class LooseFiles(msgspec.Struct, frozen=True):
    """Contents of an archive's files, by the names that `Origin.path` has."""

    folder: Path

    def open(self, path: bytes) -> int:
        return os.open(self.folder / os.fsdecode(path), os.O_RDONLY | os.O_CLOEXEC)


class Untar:
    """Puts archives into `placing`; contents go to files in `folder`."""

    def __init__(self, placing: Placing, folder: Path, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self._placing = placing
        self._files = LooseFiles(folder)
        self._intake = Intake(limits)

    def add(self, stream: Readable, to: bytes, source: str) -> None:
        """Put all members into the folder `to`. GraphbuildError names `source` and the member for what is wrong with it."""
        root = self._placing.resolve(to)
        self._placing.folder(root, plain_mode=True)
        members = Members(stream)
        with self._intake.blamed(source):
            for member in self._intake.counted(members):
                self._member(member, members, root)

    def _member(self, member: Member, members: Members, root: bytes) -> None:
        kind = kind_of(member)
        if len(member.name) > self._intake.limits.path:
            raise TarError("a name that is too long")
        path = _inside(member.name)
        if not path:
            if kind is not Kind.DIRECTORY:
                raise TarError("an entry that would replace the root")
            return
        folder, _, name = path.rpartition(b"/")
        above = self._resolve(root, folder)
        self._placing.folder(above, plain=True)
        place = above + b"/" + name if above else name
        if kind is Kind.HARDLINK:
            self._link(place, root, member)
            return
        entry = Entry(place, kind, member.mode, member.uid, member.gid, xattrs=_xattrs(member))
        match kind:
            case Kind.FILE:
                self._file(entry, members, member)
            case Kind.SYMLINK:
                if not 0 < len(member.link) < 4096 or b"\0" in member.link:
                    raise TarError("a symlink whose target is empty, too long or has a NUL")
                self._placing.replace(msgspec.structs.replace(entry, mode=0o777, target=member.link))
            case Kind.CHARACTER | Kind.BLOCK:
                if kind is Kind.CHARACTER and member.device == (0, 0):
                    raise TarError("a character device 0, 0, which means a removal to overlayfs")
                self._placing.replace(msgspec.structs.replace(entry, device=member.device))
            case _:
                self._placing.replace(entry)

    def _resolve(self, root: bytes, path: bytes) -> bytes:
        """A path of the archive as one of the tree: the archive's root is as a chroot for its symlinks."""
        prefix = root + b"/" if root else b""
        inner = resolve(lambda at: self._placing.lookup(prefix + at), path, strict=True)
        return prefix + inner if inner else root

    def _file(self, entry: Entry, members: Members, member: Member) -> None:
        name = str(self._intake.count)
        hasher = blake3()
        with (self._files.folder / name).open("wb") as file:
            for chunk in content_of(members, member):
                _write(file.fileno(), chunk, hasher)
            file.truncate(member.size)
        origin = Origin(self._files, name.encode())
        self._placing.replace(msgspec.structs.replace(entry, size=member.size, digest=hasher.digest()), origin)

    def _link(self, place: bytes, root: bytes, member: Member) -> None:
        folder, _, name = _inside(member.link).rpartition(b"/")
        above = self._resolve(root, folder)
        if not self._placing.link(place, above + b"/" + name if above else name):
            raise TarError(f"a hard link to {os.fsdecode(member.link)!r}, which is not there")


def _write(fd: int, chunk: Chunk, hasher: "blake3") -> None:
    if isinstance(chunk, int):
        os.lseek(fd, chunk, os.SEEK_CUR)
        for size in _pieces(chunk):
            hasher.update(bytes(size))
        return
    view = memoryview(chunk)
    while view:
        view = view[os.write(fd, view) :]
    hasher.update(chunk)


def _pieces(size: int, most: int = 1 << 20) -> Iterator[int]:
    while size:
        yield min(size, most)
        size -= min(size, most)


def _inside(name: bytes) -> bytes:
    """A name of the archive, cleaned; TarError for one that leads out of it."""
    if b"\0" in name:
        raise TarError("a path with a NUL")
    path = posixpath.normpath(name.lstrip(b"/") or b".")
    if path == b".." or path.startswith(b"../"):
        raise TarError(f"a path that leads out of where it is put: {os.fsdecode(name[:200])}")
    return b"" if path == b"." else path


def _xattrs(member: Member) -> tuple[tuple[bytes, bytes], ...]:
    """Of an archive's attributes, Docker keeps file capabilities."""
    return tuple(pair for pair in kept_xattrs(member) if pair[0] == _CAPABILITY)
