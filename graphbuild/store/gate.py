"""What keeps gc and running builds apart: the gate, and the leases behind it.

A build looks something up (or puts it there) and appends it to its lease file, both inside the gate, which builds share. gc
closes the gate for everybody, reads the leases of the living, and removes rows and files that they do not name. So whatever
a build has seen stays until its lease ends, also if the build started in the middle of a collection.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphbuild.store.layout import unique_name
from graphbuild.store.locks import is_at, try_flock, unlock
from graphbuild.store.reference import Reference, split


class Gate:
    """Entered (`with gate:`) by whoever looks things up or puts them there, for an instant; re-entrant. `mutex` serves threads."""

    def __init__(self, root: Path) -> None:
        self.mutex = threading.RLock()
        self._folder = root / "leases"
        self._file = os.open(root / "gc.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._depth = 0
        self._lease = -1
        self._leases = 0
        self._path = self._folder
        self._held: set[Reference] = set()

    def __enter__(self) -> None:
        self.mutex.acquire()
        try:
            if self._depth == 0:
                fcntl.flock(self._file, fcntl.LOCK_SH)
            self._depth += 1
        except BaseException:
            self.mutex.release()
            raise

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self.mutex.release()

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Keep everybody else out. Not from inside the gate."""
        with self.mutex:
            if self._depth:
                raise RuntimeError("the gate cannot be closed from inside")
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self._depth = 1
            try:
                yield
            finally:
                self._depth = 0
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def hold(self, reference: Reference) -> None:
        """Keep what is named until the lease ends; nothing without a lease. Called inside the gate."""
        if self._lease >= 0 and reference not in self._held:
            os.write(self._lease, reference)  # O_APPEND
            self._held.add(reference)

    def holds(self, reference: Reference) -> bool:
        """Whether a lease of this process names it: it was there, so it is there."""
        return reference in self._held

    def forget(self) -> None:
        """After damaged things were dropped: what was there may not be."""
        self._held.clear()

    @contextmanager
    def lease(self) -> Iterator[None]:
        """While it lasts, nothing is collected that this process has looked up or recorded. May be nested."""
        with self.mutex:
            if self._leases == 0:
                self._path, self._lease = locked_file(self._folder, os.O_APPEND)
            self._leases += 1
        try:
            yield
        finally:
            with self.mutex:
                self._leases -= 1
                if self._leases == 0:
                    self._end()

    def _end(self) -> None:
        self._held.clear()
        self._path.unlink(missing_ok=True)
        unlock(self._lease)
        os.close(self._lease)
        self._lease = -1

    def leased(self) -> set[Reference]:
        """What the leases of living processes name; those of the dead are removed. Called with the gate closed."""
        found: set[Reference] = set()
        for name in os.listdir(self._folder):
            path = self._folder / name
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            except FileNotFoundError:
                continue
            try:
                if try_flock(descriptor):  # another description than the owner's, so also this process's own lease is seen as taken
                    path.unlink(missing_ok=True)
                else:
                    found.update(split(path.read_bytes()))
            except FileNotFoundError:
                continue  # it ended just now
            finally:
                os.close(descriptor)
        return found

    def close(self) -> None:
        os.close(self._file)


def locked_file(folder: Path, flags: int = 0) -> tuple[Path, int]:
    """A new, empty file of a unique name, open for reading and writing, and locked: its owner lives."""
    while True:
        path = folder / unique_name()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | flags, 0o600)
        if try_flock(descriptor) and is_at(descriptor, path):
            return path, descriptor
        os.close(descriptor)
