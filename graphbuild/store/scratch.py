"""Scratch folders and files in the store, on its file system, so that what was made there is renamed into place.

Invariants: an entry of `tmp/`, as one of `leases/`, is locked (flock, on itself) by whoever made it as long as he lives; one
that can be locked is abandoned and goes to the trash.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphbuild.store.layout import unique_name
from graphbuild.store.locks import is_at, try_flock, unlock
from graphbuild.store.trash import discard, empty


@contextmanager
def scratch_folder(root: Path) -> Iterator[Path]:
    """An empty folder (0700) that goes to the trash in the end, with what is still in it."""
    path, descriptor = _locked_folder(root / "tmp")
    try:
        yield path
    finally:
        try:
            discard(path, root / "trash")
        finally:
            unlock(descriptor)
            os.close(descriptor)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    while True:
        path = parent / unique_name()
        path.mkdir(mode=0o700)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # a sweep was quicker
        if try_flock(descriptor) and is_at(descriptor, path):
            return path, descriptor
        os.close(descriptor)


def sweep(root: Path) -> int:
    """Collect what dead processes left in `tmp/` and `leases/` and empty the trash; how many things of it could not be deleted."""
    for folder in (root / "tmp", root / "leases"):
        for name in os.listdir(folder):
            _collect(folder / name, root / "trash")
    return empty(root / "trash")


def _collect(path: Path, trash: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # nobody of us makes what cannot be opened; gone is fine too
        with contextlib.suppress(OSError):
            discard(path, trash)
        return
    try:
        if try_flock(descriptor):
            discard(path, trash)
    finally:
        os.close(descriptor)
