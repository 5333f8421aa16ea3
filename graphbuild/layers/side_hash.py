"""sha256 on the side: a thread hashes what its owner has just handed over, while the owner fetches what comes next.

A thread pays for pieces of about a MiB, which are hashed outside of the interpreter's lock. Whoever hashes a few KiB gets none.
"""

import queue
import threading
from types import TracebackType
from typing import Self

_WORTH = 1 << 19  # bytes from which another thread is faster than doing it at once


class SideHash:
    """A sha256. Used as a context manager: its thread ends with the block."""

    def __init__(self) -> None:
        import hashlib

        self._hash = hashlib.sha256()
        self._thread: threading.Thread | None = None
        self._work: queue.SimpleQueue[memoryview | None] = queue.SimpleQueue()
        self._idle = threading.Lock()  # taken by who hands over, released by who has hashed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()

    def update(self, data: memoryview) -> None:
        """Hash this next. It must not change before the next call of a method returns: that one waits for it."""
        self._idle.acquire()
        if len(data) < _WORTH:
            self._hash.update(data)
            self._idle.release()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, daemon=True)
            self._thread.start()
        self._work.put(data)

    def hexdigest(self) -> str:
        """The digest of all that was handed over."""
        with self._idle:
            return self._hash.hexdigest()

    def _serve(self) -> None:
        while (data := self._work.get()) is not None:
            self._hash.update(data)
            self._idle.release()
