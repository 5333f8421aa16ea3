"""`--events FILE`: a line of JSON an event, written at once, so that a reader can follow and a crash keeps what was said.

A full disk or a reader that went away is reported once and ends the file, not the build; a reader that is slow holds the
build up. Output of steps is left out: it is not a record but a stream, and its file is named where it matters.
"""

import os
import select
from collections.abc import Callable

from graphbuild.values.errors import mistake
from graphbuild.values.events import ActionOutput, Event, encode_event


class EventWriter:
    """A Listener that writes events to a file descriptor. `warn` is told, once, why it stopped."""

    def __init__(self, descriptor: int, name: str, warn: Callable[[str], None], *, owned: bool) -> None:
        self._descriptor = descriptor
        self._name = name
        self._warn = warn
        self._owned = owned
        self._broken = False

    def handle(self, event: Event, now: float) -> None:  # noqa: ARG002 - events carry their times
        if self._broken or isinstance(event, ActionOutput):
            return
        try:
            _write(self._descriptor, encode_event(event) + b"\n")
        except OSError as error:
            self._stop(error)

    def tick(self, now: float) -> None:
        pass

    def close(self) -> None:
        if not self._owned:
            return
        try:
            os.close(self._descriptor)
        except OSError as error:  # a network file system may tell of a full disk only here
            if not self._broken:
                self._stop(error)

    def _stop(self, error: OSError) -> None:
        self._broken = True
        self._warn(f"no more events are written to {self._name}: {error.strerror}")


def open_events(path: str, warn: Callable[[str], None]) -> EventWriter:
    """Events to a new file at `path`, which replaces an older one's content, or to stdout for "-".

    GraphbuildError when the file cannot be opened.
    """
    if path == "-":
        return EventWriter(1, "stdout", warn, owned=False)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise mistake(
            f"cannot write events to {path!r}: {getattr(error, 'strerror', None) or error}", hint="--events takes a file, or -"
        ) from None
    return EventWriter(descriptor, path, warn, owned=True)


def _write(descriptor: int, data: bytes) -> None:
    """All of it: pipes take less than asked, non-blocking ones nothing at all for a while."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
