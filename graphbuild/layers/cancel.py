"""How long work is given up: whoever does it asks `cancelled()` now and then, and raises Cancelled when it says so."""

from collections.abc import Callable
from typing import Protocol

Cancel = Callable[[], bool]


class Cancelled(Exception):  # noqa: N818 - it is no error: somebody asked for it
    """The work was given up because it was asked to be. What it had written is incomplete."""


def never() -> bool:
    """Not cancelled, ever."""
    return False


def check(cancelled: Cancel) -> None:
    """Raise Cancelled if asked to stop."""
    if cancelled():
        raise Cancelled


class Readable(Protocol):
    def read(self, size: int = ..., /) -> bytes: ...


class Cancellable:
    """A stream that raises Cancelled when it is read after somebody asked to stop: whoever reads it need not know."""

    def __init__(self, stream: Readable, cancelled: Cancel) -> None:
        self._stream = stream
        self._cancelled = cancelled

    def read(self, size: int = -1, /) -> bytes:
        check(self._cancelled)
        return self._stream.read(size)
