"""Work of several threads after a build, shown as a build is: by the same displays."""

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from graphbuild.ui.progress import Mode, progress, wants_color
from graphbuild.ui.terminal import size_of
from graphbuild.values.events import ActionFinished, ActionProgress, ActionStarted, BuildStarted, Event

T = TypeVar("T")
_TICK = 0.1


class Transfers:
    """Takes what threads say (`image.push.Watch`) to a display, which only the thread of `run` touches."""

    def __init__(self, mode: Mode, verb: str) -> None:
        """`verb`: what is done with the bytes, "sent"."""
        color = wants_color(sys.stderr, os.environ)
        self._display = progress(mode, sys.stderr, color=color, terminal=size_of(sys.stderr), environ=os.environ)
        self._verb = verb
        self._begun = time.monotonic()
        self._inbox: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._starts: dict[tuple[str, str], float] = {}
        self._count = 0
        self._lock = threading.Lock()

    def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, or raises, from a thread of its own."""
        found: list[T] = []
        errors: list[BaseException] = []

        def worker() -> None:
            try:
                found.append(work())
            except BaseException as error:  # noqa: BLE001 - raised again, below
                errors.append(error)
            finally:
                self._inbox.put(None)

        thread = threading.Thread(target=worker, daemon=True)
        thread.start()
        try:
            while (event := self._next()) is not None:
                self._display.handle(event, self._now())
            thread.join()
        finally:
            self._display.close()
        if errors:
            raise errors[0]
        return found[0]

    def started(self, what: str, action: str) -> None:
        with self._lock:
            self._count += 1
            self._starts[what, action] = self._now()
            self._inbox.put(BuildStarted(0, "", (), 0, self._count))
        self._inbox.put(ActionStarted(what, action, self._now(), 0))

    def progress(self, what: str, action: str, done: int, total: int) -> None:
        self._inbox.put(ActionProgress(what, action, done, total, self._verb))

    def finished(self, what: str, action: str) -> None:
        now = self._now()
        self._inbox.put(ActionFinished(what, action, "built", seconds=now - self._starts.get((what, action), now)))

    def _next(self) -> Event | None:
        while True:
            try:
                return self._inbox.get(timeout=_TICK)
            except queue.Empty:
                self._display.tick(self._now())

    def _now(self) -> float:
        return time.monotonic() - self._begun
