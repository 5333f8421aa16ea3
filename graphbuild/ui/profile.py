"""`--profile FILE`: the build as a Chrome trace; Perfetto and chrome://tracing open it.

A lane a worker, and one above them for the critical path: what no number of workers would have made shorter. Cached actions are
instants in the lane of the loop, which decides them. In a lane nothing overlaps: viewers take what does for calls within calls.

Format: "Trace Event Format" (Google, 2016), JSON object form: `X` (complete), `i` (instant) and `M` (metadata) events, times in
microseconds. The file appears at the end, whole or not at all.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from graphbuild.ui.files import replace, writable
from graphbuild.ui.text import clean
from graphbuild.values.errors import mistake
from graphbuild.values.events import ActionFinished, BuildFinished, CriticalAction, Event

_CRITICAL = 1_000_000  # the lane of the critical path: beyond all workers, and sorted above them


class Profile:
    """A Listener that keeps every action that was not skipped and writes them at `close`. `warn` is told when that fails."""

    def __init__(self, path: str, warn: Callable[[str], None]) -> None:
        self._path = path
        self._warn = warn
        self._actions: list[ActionFinished] = []
        self._critical: tuple[CriticalAction, ...] = ()

    def handle(self, event: Event, now: float) -> None:  # noqa: ARG002 - events carry their times
        if isinstance(event, ActionFinished) and event.status != "skipped":
            self._actions.append(event)
        elif isinstance(event, BuildFinished):
            self._critical = event.critical

    def tick(self, now: float) -> None:
        pass

    def close(self) -> None:
        try:
            replace(self._path, trace(self._actions, self._critical))
        except OSError as error:
            self._warn(f"no profile was written to {self._path}: {error.strerror}")


def open_profile(path: str, warn: Callable[[str], None]) -> Profile:
    """A profile to be written at `path`. GraphbuildError, before the build and not after it, where that cannot work."""
    if not writable(path):
        raise mistake(f"cannot write a profile to {path!r}", hint="--profile takes a file in an existing, writable folder")
    return Profile(path, warn)


def trace(actions: Sequence[ActionFinished], critical: Sequence[CriticalAction] = ()) -> bytes:
    """The trace of finished actions. A lane a worker; lane 0 is the loop, where cached actions are decided."""
    ordered = sorted(actions, key=lambda action: (action.start, action.worker, action.label, action.action))
    path = {(one.label, one.action) for one in critical}
    lanes = [_lane(_CRITICAL, "critical path", -1)] if critical else []
    lanes += [_lane(worker, f"worker {worker}" if worker else "loop", worker) for worker in sorted({action.worker for action in actions})]
    events = [
        {"ph": "M", "name": "process_name", "pid": 1, "tid": 0, "args": {"name": "graphbuild"}},
        *(event for lane in lanes for event in lane),
        *(_slice(one.label, one.action, "critical", _CRITICAL, one.start, one.seconds, {}) for one in critical),
        *(_event(action, (action.label, action.action) in path) for action in ordered),
    ]
    return msgspec.json.encode({"displayTimeUnit": "ms", "traceEvents": events}) + b"\n"


def _lane(thread: int, name: str, order: int) -> list[dict[str, Any]]:
    return [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": thread, "args": {"name": name}},
        {"ph": "M", "name": "thread_sort_index", "pid": 1, "tid": thread, "args": {"sort_index": order}},
    ]


def _event(action: ActionFinished, critical: bool) -> dict[str, Any]:
    arguments = {"status": action.status, "key": action.key, "reason": clean(action.reason), "size": action.size, "critical": critical}
    slice_ = _slice(action.label, action.action, action.status, action.worker, action.start, action.seconds, arguments)
    if action.status == "cached":
        del slice_["dur"]
        return slice_ | {"ph": "i", "s": "t"}
    return slice_


def _slice(label: str, action: str, category: str, thread: int, start: float, seconds: float, arguments: dict[str, Any]) -> dict[str, Any]:
    """Both ends are rounded, not the duration: else what follows at once could begin a microsecond before the end."""
    begin = round(start * 1e6)
    return {
        "ph": "X",
        "name": clean(f"{label} {action}"),
        "cat": category,
        "pid": 1,
        "tid": thread,
        "ts": begin,
        "dur": round((start + seconds) * 1e6) - begin,
        "args": arguments,
    }
