"""Attempts: a thing that may fail between two machines is done again, after growing pauses, a bounded number of times.

Invariants: an attempt that got somewhere does not count, so a long transfer over a bad line ends; a pause is never longer than half a
minute, whatever a server asks for, and notices a cancel within half a second.
"""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from graphbuild.network.connections import CHUNK, TransientError
from graphbuild.network.seam import failure
from graphbuild.values.errors import EXIT_INTERRUPTED

T = TypeVar("T")
_LONGEST_PAUSE = 30.0  # seconds; what Retry-After may ask for


class Patience:
    """`attempts` in a row may fail without getting anywhere. `sleep` is given seconds."""

    def __init__(self, attempts: int = 4, sleep: Callable[[float], object] = time.sleep) -> None:
        self._attempts = attempts
        self._sleep = sleep

    def run(
        self,
        url: str,
        attempt: Callable[[], T],
        *,
        position: Callable[[], int] = lambda: 0,
        cancelled: Callable[[], bool] | None = None,
    ) -> T:
        """What `attempt` returns, once it does. GraphbuildError with the last fault. `position`: the bytes that are through."""
        left = self._attempts
        while True:
            before = position()
            try:
                return attempt()
            except TransientError as error:
                left = self._attempts if position() - before >= CHUNK else left - 1
                if left <= 0:
                    raise failure(url, str(error)) from None
                self._pause(url, error.pause, self._attempts - left, cancelled)

    def _pause(self, url: str, asked: float, failures: int, cancelled: Callable[[], bool] | None) -> None:
        left = min(_LONGEST_PAUSE, max(asked, 0.5 * 2**failures * random.uniform(0.5, 1)))
        while left > 0:
            check(url, cancelled)
            self._sleep(min(left, 0.5))
            left -= 0.5


def check(url: str, cancelled: Callable[[], bool] | None) -> None:
    """GraphbuildError (exit code 8) where somebody asks to stop."""
    if cancelled and cancelled():
        raise failure(url, "cancelled", exit_code=EXIT_INTERRUPTED)


def seconds(text: str | None) -> float:
    """A Retry-After header that says seconds; 0 for anything else."""
    text = text or ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
