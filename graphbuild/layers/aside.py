"""Work on the side: a thread does with a piece of data what its owner wants done, while the owner fetches the next piece.

A thread pays for pieces of about a MiB, which are hashed and written outside of the interpreter's lock. Whoever has a few KiB gets none.
"""

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

_WORTH = 1 << 19  # bytes from which another thread is faster than doing it at once


class Aside:
    """Does `work` with one piece after the other. Used as a context manager: its thread ends with the block."""

    def __init__(self, work: Callable[[memoryview], object]) -> None:
        self._work = work
        self._thread: threading.Thread | None = None
        self._pieces: queue.SimpleQueue[memoryview | None] = queue.SimpleQueue()
        self._idle = threading.Lock()  # taken by who hands over, released by who has done the work
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._thread is not None:
            self._pieces.put(None)
            self._thread.join()

    def do(self, piece: memoryview) -> None:
        """Work on this next. It must not change before the next call of a method returns: that one waits for it, and raises its error."""
        self._idle.acquire()
        if self._error is not None or len(piece) < _WORTH:
            try:
                self._raise()
                self._work(piece)
            finally:
                self._idle.release()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, daemon=True)
            self._thread.start()
        self._pieces.put(piece)

    def wait(self) -> None:
        """Returns when all is done."""
        with self._idle:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _serve(self) -> None:
        while (piece := self._pieces.get()) is not None:
            try:
                self._work(piece)
            except BaseException as error:  # noqa: BLE001 - raised where the next piece is handed over
                self._error = error
            finally:
                self._idle.release()
