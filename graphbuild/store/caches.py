"""Cache mounts: folders that outlive the steps that use them. Their contents are in no key and are not verified.

Invariants: whoever uses a folder holds the flock of the file beside it (shared or exclusive), whose text is the mount's id
and whose mtime is when it was last used; a folder whose lock can be had is not in use, and may be collected.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from graphbuild.layers.cancel import never
from graphbuild.store.locks import is_at, try_flock, unlock, wait
from graphbuild.store.trash import discard
from graphbuild.store.trouble import reported


@contextmanager
def cache_folder(root: Path, id_: str, sharing: str, cancelled: Callable[[], bool] = never) -> Iterator[Path]:
    """The folder of a cache mount while it is used. Cancelled if that was asked for while waiting for a "locked" one.

    "shared": with whoever else uses it; "locked": one at a time; "private": the first folder of a row that nobody uses.
    """
    if sharing not in ("shared", "locked", "private"):
        raise ValueError(f"sharing of a cache mount is shared, locked or private, not {sharing!r}")
    home = root / "caches" / hashlib.sha256(id_.encode("utf-8", "surrogateescape")).hexdigest()
    with reported(root):
        folder, descriptor = _private(home, id_) if sharing == "private" else _common(home, id_, sharing == "shared", cancelled)
        try:
            yield folder
        finally:
            os.utime(descriptor)
            unlock(descriptor)
            os.close(descriptor)


def _common(home: Path, id_: str, shared: bool, cancelled: Callable[[], bool]) -> tuple[Path, int]:
    found: list[int] = []

    def attempt() -> bool:
        descriptor = _take(home / "common", id_, shared=shared)
        if descriptor is not None:
            found.append(descriptor)
        return descriptor is not None

    wait(attempt, cancelled, lambda: None)
    return home / "common", found[0]


def _private(home: Path, id_: str) -> tuple[Path, int]:
    for number in count():
        folder = home / f"private-{number}"
        descriptor = _take(folder, id_, shared=False)
        if descriptor is not None:
            return folder, descriptor
    raise AssertionError("count() does not end")


def _take(folder: Path, id_: str, *, shared: bool) -> int | None:
    """Lock a folder, making both where they are not; None while others have it."""
    lock = folder.with_suffix(".lock")
    folder.parent.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if not try_flock(descriptor, shared=shared) or not is_at(descriptor, lock):
        os.close(descriptor)
        return None
    text = id_.encode("utf-8", "surrogateescape")
    if os.pread(descriptor, len(text) + 1, 0) != text:
        os.pwrite(descriptor, text, 0)
    folder.mkdir(mode=0o755, exist_ok=True)
    return descriptor


def all_caches(root: Path) -> list[tuple[Path, float]]:
    """Every folder of a cache mount and when it was last used (seconds of the epoch)."""
    locks = sorted((root / "caches").glob("*/*.lock"))
    return [(lock.with_suffix(""), lock.stat().st_mtime) for lock in locks]


def remove_cache(root: Path, folder: Path) -> bool:
    """Collect the folder of a cache mount; False while it is in use."""
    lock = folder.with_suffix(".lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        if not try_flock(descriptor) or not is_at(descriptor, lock):
            return False
        discard(folder, root / "trash")
        lock.unlink()
    finally:
        os.close(descriptor)
    return True


def disk_usage(folder: Path) -> int:
    """Bytes that a folder takes on the disk. Nothing is followed; what vanishes or may not be read meanwhile does not count."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in (".", *names):
            try:
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
            except OSError:
                continue
    return total
