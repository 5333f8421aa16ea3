"""`--profile FILE`: the build as a Chrome trace, one lane a worker; Perfetto and chrome://tracing open it.

Format: "Trace Event Format", JSON object form; `X` events with times in microseconds. The file appears at the end, whole or not at all.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from graphbuild.ui.text import clean
from graphbuild.values.errors import mistake
from graphbuild.values.events import ActionFinished, Event


class Profile:
    """A Listener that keeps every action that took time and writes them at `close`. `warn` is told when that fails."""

    def __init__(self, path: str, warn: Callable[[str], None]) -> None:
        self._path = path
        self._warn = warn
        self._actions: list[ActionFinished] = []

    def handle(self, event: Event, now: float) -> None:  # noqa: ARG002 - events carry their times
        if isinstance(event, ActionFinished) and event.status != "skipped":
            self._actions.append(event)

    def tick(self, now: float) -> None:
        pass

    def close(self) -> None:
        try:
            _replace(self._path, trace(self._actions))
        except OSError as error:
            self._warn(f"no profile was written to {self._path}: {error.strerror}")


def open_profile(path: str, warn: Callable[[str], None]) -> Profile:
    """A profile to be written at `path`. GraphbuildError, before the build and not after it, where that cannot work."""
    if "\0" in path or not _writable(path):
        raise mistake(f"cannot write a profile to {path!r}", hint="--profile takes a file in an existing, writable folder")
    return Profile(path, warn)


def trace(actions: Sequence[ActionFinished]) -> bytes:
    """The trace of finished actions. A lane a worker; lane 0 is the loop, where cached actions are decided."""
    ordered = sorted(actions, key=lambda action: (action.start, action.worker, action.label, action.action))
    lanes = [_lane(worker) for worker in sorted({action.worker for action in actions})]
    events = [{"ph": "M", "name": "process_name", "pid": 1, "tid": 0, "args": {"name": "graphbuild"}}, *lanes, *map(_slice, ordered)]
    return msgspec.json.encode({"displayTimeUnit": "ms", "traceEvents": events}) + b"\n"


def _lane(worker: int) -> dict[str, Any]:
    name = f"worker {worker}" if worker else "loop"
    return {"ph": "M", "name": "thread_name", "pid": 1, "tid": worker, "args": {"name": name}}


def _slice(action: ActionFinished) -> dict[str, Any]:
    return {
        "ph": "X",
        "name": clean(f"{action.label} {action.action}"),
        "cat": action.status,
        "pid": 1,
        "tid": action.worker,
        "ts": round(action.start * 1e6),
        "dur": round(action.seconds * 1e6),
        "args": {"status": action.status, "key": action.key, "reason": clean(action.reason), "size": action.size},
    }


def _special(path: str) -> bool:
    """Something like /dev/stdout or a fifo, which is written as it is; a file is replaced by a new one."""
    return os.path.exists(path) and not os.path.isfile(path)


def _writable(path: str) -> bool:
    if _special(path):
        return not os.path.isdir(path) and os.access(path, os.W_OK)
    return bool(path) and os.access(os.path.dirname(path) or ".", os.W_OK | os.X_OK)


def _replace(path: str, data: bytes) -> None:
    """Write beside `path` and rename, so that no reader sees half of it."""
    special = _special(path)
    scratch = path if special else f"{path}.{os.getpid()}.tmp"
    try:
        with open(scratch, "wb") as file:
            file.write(data)
        if not special:
            os.replace(scratch, path)
    except OSError:
        if not special and os.path.exists(scratch):
            os.unlink(scratch)
        raise
