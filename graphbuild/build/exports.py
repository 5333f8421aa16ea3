"""What was written where: whether an output on disk is still what the last build put there.

A note a destination, kept in the store under the hash of its path: a *stamp* of what was written and a fingerprint of
how it looked on disk then. A note that is missing or does not fit means: write again.
"""

import contextlib
import os
import stat
from pathlib import Path

from blake3 import blake3

_MARK = b"user.graphbuild"  # on an output, for stores that do not know it


class Exports:
    """The notes of one store."""

    def __init__(self, store: Path) -> None:
        self._folder = store / "exports"

    def outdated(self, destination: Path, stamp: bytes) -> str:
        """Why the destination must be written, or "" when it is as the build that `stamp` names left it."""
        looks = fingerprint(destination)
        if looks is None:
            return f"{destination.name} is not there"
        try:
            note = self._note(destination).read_bytes()
        except OSError:
            return f"{destination.name} was not written by this store's builds"
        if note[:32] != stamp:
            return f"{destination.name} holds what another build made"
        return "" if note[32:] == looks else f"{destination.name} was changed by someone else"

    def known(self, destination: Path) -> bool:
        """Whether a build has written there before: of this store, or of one that is gone."""
        if self._note(destination).exists():
            return True
        try:
            return os.getxattr(destination, _MARK) == b"output"
        except OSError:
            return False

    def written(self, destination: Path, stamp: bytes) -> None:
        """Note what was just written. A note that is lost costs a write, so it is not synced."""
        with contextlib.suppress(OSError):  # not every file system has such attributes
            os.setxattr(destination, _MARK, b"output")
        note = self._note(destination)
        note.parent.mkdir(exist_ok=True)
        temporary = note.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(stamp + (fingerprint(destination) or b""))
        temporary.rename(note)

    def _note(self, destination: Path) -> Path:
        return self._folder / blake3(os.fsencode(destination)).hexdigest()[:40]


def fingerprint(path: Path) -> bytes | None:
    """A hash of the stat of a file, or of all that is in a folder; None when it is not there."""
    hasher = blake3()
    paths = output_paths(path)
    for name in paths:
        status = os.lstat(name)
        what = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        hasher.update(repr((os.path.relpath(name, path), what)).encode())
    return hasher.digest() if paths else None


def output_paths(path: Path) -> list[str]:
    """The path itself, and all below it when it is a folder, sorted; nothing when it is not there."""
    try:
        status = os.lstat(path)
    except OSError:
        return []
    found = [str(path)]
    if stat.S_ISDIR(status.st_mode):
        for folder, folders, files in os.walk(path):
            found.extend(os.path.join(folder, name) for name in (*folders, *files))
    return sorted(found)


def size_on_disk(path: Path) -> int:
    """The bytes of a file, or of all files in a folder."""
    return sum(os.lstat(name).st_size for name in output_paths(path) if not os.path.isdir(name))
