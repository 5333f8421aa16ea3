"""Locks between threads and processes that die with whoever holds them.

`KeyLock` is an OFD byte-range lock (fcntl(2)): one file serves all keys, nothing has to be created or cleaned up, and two keys
meet at one offset with a chance of 2^-60, where one waits in vain and nothing breaks. The others are flock(2) on files of
their own. None of it is inherited by what is executed; a lock is given back explicitly, as a forked child may share it.
"""

import errno
import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from graphbuild.layers.cancel import Cancelled
from graphbuild.values.digest import Digest

_BUSY = (errno.EACCES, errno.EAGAIN)
_LONGEST_NAP = 0.05  # seconds


@contextmanager
def key_lock(file: Path, key: Digest, cancelled: Callable[[], bool], waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a key. `waiting` is called once if somebody else has it; Cancelled if `cancelled` says so meanwhile."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    offset = int(key.hex[:15], 16)
    try:
        wait(lambda: _try_range(descriptor, offset), cancelled, waiting)
        try:
            yield
        finally:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _range(fcntl.F_UNLCK, offset))
    finally:
        os.close(descriptor)


def wait(attempt: Callable[[], bool], cancelled: Callable[[], bool], waiting: Callable[[], None]) -> None:
    """Try until it succeeds; Cancelled when that is no longer wanted."""
    if attempt():
        return
    waiting()
    nap = 0.001
    while not attempt():
        if cancelled():
            raise Cancelled
        time.sleep(nap)
        nap = min(nap * 1.5, _LONGEST_NAP)


def _range(kind: int, offset: int) -> bytes:
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, offset, 1, 0)  # struct flock of 64-bit Linux; OFD locks want pid 0


def _try_range(descriptor: int, offset: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _range(fcntl.F_WRLCK, offset))
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True


def try_flock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file without waiting; False if somebody else has it."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def is_at(descriptor: int, path: str | Path) -> bool:
    """Whether an open file is still what `path` names: a collector may have come between open and lock."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False
