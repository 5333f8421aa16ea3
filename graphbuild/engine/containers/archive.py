"""Tars of files on disk and files on disk from tars: what `cp` and `export` move. Names of users and groups are never looked up.

Nothing is followed: what is read below a folder is read by descriptors, and what is written below one is written so, whatever symlinks
others put there meanwhile.
"""

import contextlib
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from typing import IO

from graphbuild.engine.containers.copy_tree import raise_limits
from graphbuild.engine.containers.place import Opened
from graphbuild.engine.containers.shelf import Container, failed
from graphbuild.sandbox import kernel, overlay
from graphbuild.store.actions import LayerOutput
from graphbuild.values.errors import mistake

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_XATTR = "SCHILY.xattr.security.capability"
_CAPABILITY = "security.capability"
_BLOCK = 1 << 20
_TYPES = {stat.S_IFCHR: tarfile.CHRTYPE, stat.S_IFBLK: tarfile.BLKTYPE, stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFLNK: tarfile.SYMTYPE}

Change = Callable[[tarfile.TarInfo], tarfile.TarInfo]


class Writer:
    """Writes a tar to a descriptor as it goes. `change` may change what is said of each member."""

    def __init__(self, descriptor: int, change: Change = lambda member: member) -> None:
        raise_limits()
        self._file = os.fdopen(descriptor, "wb", closefd=False)
        self._tar = tarfile.open(fileobj=self._file, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_BLOCK)  # noqa: SIM115 - see close
        self._change = change
        self._links: dict[tuple[int, int], str] = {}

    def close(self) -> None:
        self._tar.close()
        self._file.flush()

    def add(self, folder: int, name: str, shown: str) -> None:
        """What is called `name` in an open folder, and all below it, as `shown`."""
        status = os.lstat(name, dir_fd=folder)
        if stat.S_ISDIR(status.st_mode):
            inner = os.open(name, _FOLDER, dir_fd=folder)
            try:
                if shown:
                    self._tar.addfile(self._change(_member(shown, status, tarfile.DIRTYPE)))
                self.add_below(inner, shown)
            finally:
                os.close(inner)
            return
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFSOCK:
            return
        inode = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and inode in self._links:
            member = _member(shown, status, tarfile.LNKTYPE)
            member.linkname = self._links[inode]
            self._tar.addfile(self._change(member))
            return
        if status.st_nlink > 1:
            self._links[inode] = shown
        if kind == stat.S_IFREG:
            self._file_of(folder, name, shown)
            return
        member = _member(shown, status, _TYPES[kind])
        if kind == stat.S_IFLNK:
            member.linkname = os.readlink(name, dir_fd=folder)
        else:
            member.devmajor, member.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        self._tar.addfile(self._change(member))

    def add_below(self, folder: int, shown: str) -> None:
        for name in sorted(os.listdir(folder)):
            with contextlib.suppress(FileNotFoundError):
                self.add(folder, name, f"{shown}/{name}" if shown else name)

    def _file_of(self, folder: int, name: str, shown: str) -> None:
        with os.fdopen(os.open(name, _READ, dir_fd=folder), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                return
            member = _member(shown, status, tarfile.REGTYPE)
            member.size = status.st_size
            with contextlib.suppress(OSError):
                member.pax_headers = {_XATTR: os.fsdecode(os.getxattr(file.fileno(), _CAPABILITY))}
            self._tar.addfile(self._change(member), _Exactly(file, status.st_size))


class _Exactly:
    """A file that is as long as was said, also when somebody has cut it meanwhile."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        data += bytes(wanted - len(data))
        self._left -= len(data)
        return data


def _member(name: str, status: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.mode = stat.S_IMODE(status.st_mode)
    member.uid, member.gid = status.st_uid, status.st_gid
    member.mtime = status.st_mtime
    return member


def unpack(file: IO[bytes], first: Callable[[tarfile.TarInfo], tuple[int, str]], change: Change = lambda member: member) -> None:
    """Unpack a tar. `first` sees the first member and says which open folder all goes into, and what its top is called there ("" as it is).

    GraphbuildError for what is no tar, or leads out of the folder.
    """
    folder, top = -1, ""
    folders: list[tuple[int, tarfile.TarInfo, str]] = []
    try:
        with tarfile.open(fileobj=file, mode="r|", bufsize=_BLOCK) as tar:
            for member in tar:
                if folder < 0:
                    folder, top = first(member)
                name = _renamed(member.name, top)
                if member.islnk():
                    member.linkname = _renamed(member.linkname, top)
                if name:
                    _unpack_one(tar, change(member), name, folder)
                    if member.isdir():
                        folders.append((folder, member, name))
    except tarfile.TarError as error:
        raise mistake(f"this is no tar: {error}") from None
    for number, member, name in reversed(folders):  # a folder's time changes with what is put into it
        with contextlib.suppress(OSError), _parent(number, name) as parent:
            os.utime(os.path.basename(name), (member.mtime, member.mtime), dir_fd=parent, follow_symlinks=False)


def _renamed(name: str, top: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise mistake(f"the tar holds {name!r}, which leads out of its folder")
    if top:
        below = parts if name.startswith("./") or name == "." else parts[1:]  # `./x` is what is in the folder, `folder/x` is it too
        parts = below if top == "." else [top, *below]
    return "/".join(parts)


@contextlib.contextmanager
def _parent(folder: int, name: str) -> Iterator[int]:
    """The folder that a path below an open folder is in, made where it is not."""
    current = os.dup(folder)
    try:
        for part in name.split("/")[:-1]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=current)
            current, above = os.open(part, _FOLDER, dir_fd=current), current
            os.close(above)
        yield current
    finally:
        os.close(current)


def _unpack_one(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, folder: int) -> None:
    last = name.rpartition("/")[2]
    with _parent(folder, name) as parent:
        _make_way(parent, last, name, folder=member.isdir())
        if member.isdir():
            with contextlib.suppress(FileExistsError):
                os.mkdir(last, 0o700, dir_fd=parent)
        elif member.isreg():
            _write_file(tar, member, last, parent)
        elif member.issym():
            os.symlink(member.linkname, last, dir_fd=parent)
        elif member.islnk():
            with _parent(folder, member.linkname) as other:
                os.link(member.linkname.rpartition("/")[2], last, src_dir_fd=other, dst_dir_fd=parent, follow_symlinks=False)
            return
        else:
            kinds = {tarfile.FIFOTYPE: stat.S_IFIFO, tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK}
            os.mknod(last, kinds.get(member.type, stat.S_IFIFO) | 0o600, os.makedev(member.devmajor, member.devminor), dir_fd=parent)
        with contextlib.suppress(PermissionError):
            os.chown(last, member.uid, member.gid, dir_fd=parent, follow_symlinks=False)
        if not member.issym():
            os.chmod(last, member.mode, dir_fd=parent)
        if (value := member.pax_headers.get(_XATTR)) and member.isreg():
            with contextlib.suppress(OSError):
                os.setxattr(f"/proc/self/fd/{parent}/{last}", _CAPABILITY, os.fsencode(value), follow_symlinks=False)
        os.utime(last, (member.mtime, member.mtime), dir_fd=parent, follow_symlinks=False)


def _make_way(parent: int, last: str, name: str, *, folder: bool) -> None:
    try:
        there = os.lstat(last, dir_fd=parent)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(there.st_mode) != folder:
        is_, other = ("a folder", "a file") if folder else ("a file", "a folder")
        raise failed(f"cannot put {is_} at {name}: {other} is there")
    if not folder:
        os.unlink(last, dir_fd=parent)


def _write_file(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str, parent: int) -> None:
    source = tar.extractfile(member)
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent)
    with os.fdopen(descriptor, "wb") as file:
        while source is not None and (data := source.read(_BLOCK)):
            file.write(data)


def export(opened: Opened, container: Container, descriptor: int) -> None:
    """Write all files of a container, without what is mounted in it, as a tar."""
    layers = container.spec.image.layers
    folders = [opened.forms.folder(LayerOutput(layer.tree, layer.diff_id)) for layer in layers if layer.tree is not None]
    with opened.store.scratch() as scratch:
        target = scratch / "merged"
        target.mkdir()
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount(b"none", b"/", b"", kernel.MS_REC | kernel.MS_PRIVATE)
        overlay.mount([*folders, container.folder / "stub", container.folder / "upper"], target)
        try:
            writer = Writer(descriptor)
            folder = os.open(target, _FOLDER)
            writer.add_below(folder, "")
            os.close(folder)
            writer.close()
        finally:
            overlay.unmount(target)
