"""Deleting trees that anybody may have made: nothing outside of them is ever touched.

Things go to `trash/` by a rename, which is fast and atomic; they are deleted later, since deleting before creating makes ext4
slow. Deleting follows no symlink, stays on its mount (a bind mount of the same file system included), gets into folders
that nobody may read (overlayfs leaves such), and keeps few descriptors open however deep a tree is.
"""

import contextlib
import os
import stat
from pathlib import Path

from graphbuild.store.layout import unique_name

_DEEPEST = 64  # levels of a tree below which its folders are deleted by themselves
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def discard(path: Path, trash: Path) -> None:
    """Move a file or folder to the trash; nothing if it is not there."""
    target = trash / unique_name()
    try:
        os.rename(path, target)
    except FileNotFoundError:
        return
    except PermissionError:  # an ordinary user cannot move a folder that he may not write
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise
        os.chmod(path, 0o700)
        os.rename(path, target)


def empty(trash: Path) -> int:
    """Delete what is in the trash; how many things could not be deleted and stay. Several processes may do so at once."""
    stuck: set[str] = set()
    while names := sorted(set(os.listdir(trash)) - stuck):
        folder = os.open(trash, _FOLDER)
        try:
            mount = _mount(folder)
            for name in names:
                _delete(folder, name, 0, trash, mount)
                if _exists(folder, name):
                    stuck.add(name)
        finally:
            os.close(folder)
    return len(stuck)


def _delete(parent: int, name: str, depth: int, trash: Path, mount: str) -> None:
    if _unlinked(parent, name):
        return
    if depth >= _DEEPEST:
        with contextlib.suppress(OSError):
            os.rename(name, trash / unique_name(), src_dir_fd=parent)
        return
    with contextlib.suppress(OSError):
        _delete_folder(parent, name, depth, trash, mount)


def _unlinked(parent: int, name: str) -> bool:
    """Delete what is no folder, or an empty one. False if it may hold something: then it is still to be deleted as a folder."""
    try:
        os.unlink(name, dir_fd=parent)
    except (IsADirectoryError, PermissionError):
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=parent)
            return True
        return False
    except OSError:
        return True  # gone already, or it stays
    return True


def _delete_folder(parent: int, name: str, depth: int, trash: Path, mount: str) -> None:
    folder = _open_folder(parent, name)
    try:
        if _mount(folder) != mount:
            return
        for child in os.listdir(folder):
            _delete(folder, child, depth + 1, trash, mount)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


def _open_folder(parent: int, name: str) -> int:
    """Open a folder, giving its owner the rights to read and change it where he took them from himself."""
    try:
        folder = os.open(name, _FOLDER, dir_fd=parent)
    except PermissionError:
        place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            os.chmod(f"/proc/self/fd/{place}", 0o700)
        finally:
            os.close(place)
        return os.open(name, _FOLDER, dir_fd=parent)
    if os.fstat(folder).st_mode & 0o700 != 0o700:
        with contextlib.suppress(PermissionError):
            os.fchmod(folder, 0o700)
    return folder


def _mount(descriptor: int) -> str:
    """What mount an open folder lies on; its device where /proc does not tell."""
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
            return next(line for line in file if line.startswith("mnt_id:"))
    except (OSError, StopIteration):
        return str(os.fstat(descriptor).st_dev)


def _exists(folder: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True
