"""Turns for pieces of Python that take an instant: threads that all want the interpreter spend more on handing it over than on the work."""

import contextlib
import threading
from collections.abc import Iterator

_PATIENCE = 0.01  # seconds: what takes longer reads, writes or hashes much, and can do so beside others


class Turns:
    """One thread after the other works; who takes long loses the turn to the next, and goes on beside it."""

    def __init__(self) -> None:
        self._current = threading.Lock()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for whoever has the turn, but not long; then have it."""
        lock = self._current
        if not lock.acquire(timeout=_PATIENCE):
            lock = threading.Lock()
            lock.acquire()
            self._current = lock
        try:
            yield
        finally:
            lock.release()
