"""`STORE/log/graphbuild.log`: what all builds on a store did, rotated at 10 MB, five old files kept.

The rotating handler (concurrent_log_handler: it locks, so that processes never rotate at once) costs 60 ms to import. So it
is imported in a thread, when a build has run for a while; a short one appends its few lines itself in the end. That is
safe beside rotating processes, since one O_APPEND write is never torn: at worst it lands in the file that was just renamed.

Steps' output is not here but in files of its own; a failed step's last lines are. A log that cannot be written is silent.
"""

import contextlib
import functools
import os
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from graphbuild.ui.text import clean, duration, size
from graphbuild.values.events import ActionFinished, ActionStarted, ActionWaiting, BuildFinished, BuildStarted, Event, Exported, Message
from graphbuild.values.redact import redact

FILE_BYTES = 10_000_000
OLD_FILES = 5
_SHORT = 2.0  # seconds: a build that is over by then keeps its lines for the end
_AT_ONCE = 256  # events that are written in one go: the handler locks, and looks at the file, for each
_LOGGED = (BuildStarted, ActionStarted, ActionWaiting, ActionFinished, Exported, Message, BuildFinished)


class LogSink:
    """A Listener that logs. `secrets` may grow while the build runs; their values are taken out of every line.

    `file_bytes` must be the same for all processes of a store (concurrent_log_handler asks for that).
    """

    def __init__(
        self, file: Path, *, secrets: Collection[str] = (), file_bytes: int = FILE_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        self._file = file
        self._secrets = secrets
        self._bytes = file_bytes
        self._clock = clock
        self._process = os.getpid()
        self._queue: queue.SimpleQueue[tuple[float, Event] | None] = queue.SimpleQueue()  # what is said of them is formatted later
        self._thread: threading.Thread | None = None

    def handle(self, event: Event, now: float) -> None:
        if isinstance(event, _LOGGED):
            self._queue.put((self._clock(), event))
        if self._thread is None and now >= _SHORT:
            self._start()

    def tick(self, now: float) -> None:
        pass

    def close(self) -> None:
        """Returns when all is written."""
        self._queue.put(None)
        if self._thread is None and not _append_directly(self._file, self._records(), self._bytes):
            self._start()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        self._thread = threading.Thread(target=_drain, args=(self._file, self._records(), self._bytes), name="log", daemon=True)
        self._thread.start()

    def _records(self) -> Iterator[str]:
        """What is to be written, until the end is told: lines of all that has happened by then."""
        ended = False
        while not ended:
            happened = [self._queue.get()]
            with contextlib.suppress(queue.Empty):
                while len(happened) < _AT_ONCE:
                    happened.append(self._queue.get_nowait())
            ended = happened[-1] is None
            if lines := [line for one in happened if one is not None for line in self._written(*one)]:
                yield "\n".join(lines)

    def _written(self, when: float, event: Event) -> Iterator[str]:
        start = f"{_stamp(when)} {self._process}"
        for text in _lines(event):
            for line in redact(text, self._secrets).split("\n"):
                yield f"{start} {clean(line)}"


def _stamp(seconds: float) -> str:
    return f"{_second(int(seconds))}.{int(seconds * 1000) % 1000:03}Z"


@functools.lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _lines(event: Event) -> list[str]:
    match event:
        case BuildStarted():
            return [f"build of {' '.join(event.targets)} in {event.workspace}: {event.actions} actions, {event.jobs} jobs"]
        case ActionStarted() | ActionWaiting() | ActionFinished():
            return _action_lines(event)
        case Exported():
            return [f"{event.label}: wrote {event.path} ({event.format}, {size(event.size)}) {event.digest}"]
        case Message():
            return [f"{event.level}: {event.text}"]
        case BuildFinished():
            counts = f"{event.built} built, {event.cached} cached, {event.failed} failed, {event.skipped} skipped"
            return [f"build {event.status}: {counts}, {duration(event.seconds)}"]
    return []


def _action_lines(event: ActionStarted | ActionWaiting | ActionFinished) -> list[str]:
    match event:
        case ActionStarted():
            return [f"{event.label} {event.action}: started"]
        case ActionWaiting():
            return [f"{event.label} {event.action}: waits: {event.why}"]
        case ActionFinished(status="cached" | "skipped"):
            return []  # counted at the end
    lines = [f"{event.label} {event.action}: {event.status} in {duration(event.seconds)}, key {event.key or '-'}, {event.reason}"]
    if failure := event.failure:
        lines += [f"  declared at {failure.declared}", f"  command: {failure.command}", f"  exit code: {failure.exit_code}"]
        lines += [f"  | {line}" for line in failure.output]
    return lines


def _append_directly(file: Path, records: Iterable[str], limit: int) -> bool:
    """Append all records in one write. False, and nothing done, where the file must be rotated first."""
    try:
        if file.exists() and file.stat().st_size >= limit:
            return False
        data = "".join(f"{record}\n" for record in records).encode("utf-8", "backslashreplace")
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError:
        pass
    return True


def _drain(file: Path, records: Iterable[str], limit: int) -> None:
    """The thread: records to the handler. Keeps taking them when the log cannot be written."""
    import logging

    from concurrent_log_handler import ConcurrentRotatingFileHandler

    handler: logging.Handler = logging.NullHandler()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = ConcurrentRotatingFileHandler(
            str(file), maxBytes=limit, backupCount=OLD_FILES, encoding="utf-8", unicode_error_policy="replace"
        )
        handler.handleError = lambda record: None  # type: ignore[method-assign]  # noqa: ARG005 - it would print a traceback
    except OSError:
        pass
    for record in records:
        handler.handle(logging.LogRecord("graphbuild", logging.INFO, "", 0, record, None, None))
    with contextlib.suppress(OSError):  # what it could not write before, it writes now
        handler.close()
