"""Events: everything a build says while it runs, and the protocol of those who listen.

They are also a file format (`--events`, docs/events.md), so labels, keys and digests are text here, in the form that people
type. Times are seconds since the build started, on a monotonic clock; sizes are bytes. What carries a step's words (output,
reason, command) has had its secrets' values taken out by whoever made the event; it is hostile text otherwise.
"""

from typing import Literal, Protocol

import msgspec

VERSION = 1  # of the file format: raised when a field changes its meaning or goes away, not when one is added

Status = Literal["cached", "built", "failed", "skipped"]
Outcome = Literal["ok", "failed", "interrupted"]
Level = Literal["info", "warning", "error"]


class BuildStarted(msgspec.Struct, frozen=True, tag="build-started", tag_field="event"):
    """`workspace` is its root's path, `targets` the labels asked for, `actions` how many there are to look at."""

    version: int
    workspace: str
    targets: tuple[str, ...]
    jobs: int
    actions: int


class ActionStarted(msgspec.Struct, frozen=True, tag="action-started", tag_field="event", gc=False):
    """An action that was not cached runs now. Workers count from 1; 0 is the loop itself."""

    label: str
    action: str
    at: float
    worker: int


class ActionWaiting(msgspec.Struct, frozen=True, tag="action-waiting", tag_field="event", gc=False):
    """A started action waits, e.g. for another process that builds the same. Its next output or progress ends the wait."""

    label: str
    action: str
    why: str


class ActionOutput(msgspec.Struct, frozen=True, tag="action-output", tag_field="event", gc=False):
    """A piece of a step's output, as it came: it may end within a line. For displays; not in `--events`."""

    label: str
    action: str
    text: str


class ActionProgress(msgspec.Struct, frozen=True, tag="action-progress", tag_field="event", gc=False):
    """`what` (a verb: "download") has done so many bytes of `total`, 0 where that is not known."""

    label: str
    action: str
    done: int
    total: int
    what: str


class Failure(msgspec.Struct, frozen=True):
    """What a person needs to know of a failed action. `declared` is "file:line", `output` its last lines, `log` the file with all; `text` is what
    people know it by where it was declared (an instruction); `problems` all that is wrong, of which the event's reason is the sum.
    """

    declared: str = ""
    command: str = ""
    exit_code: int | None = None  # None: it did not come to an exit (a timeout, a signal, no command at all)
    output: tuple[str, ...] = ()
    log: str = ""
    text: str = ""
    problems: tuple[str, ...] = ()


class ActionFinished(msgspec.Struct, frozen=True, tag="action", tag_field="event"):
    """An action's final state. Every action of a build has exactly one.

    `seconds` is what it took now, `saved` what a cached one took when it was built; `size` the bytes of its result;
    `reason` why it ran, failed or was skipped.
    """

    label: str
    action: str
    status: Status
    key: str = ""
    seconds: float = 0.0
    reason: str = ""
    size: int = 0
    start: float = 0.0
    worker: int = 0
    saved: float = 0.0
    failure: Failure | None = None


class Exported(msgspec.Struct, frozen=True, tag="exported", tag_field="event", gc=False):
    """An output was written, or was found up to date, at `path`. `digest` is a manifest's or "" for plain files."""

    label: str
    path: str
    format: str
    size: int
    digest: str


class Message(msgspec.Struct, frozen=True, tag="message", tag_field="event", gc=False):
    """Something to say that belongs to no action."""

    level: Level
    text: str


class CriticalAction(msgspec.Struct, frozen=True, gc=False):
    """An action of the critical path: when it started, and what it took."""

    label: str
    action: str
    start: float
    seconds: float


class BuildFinished(msgspec.Struct, frozen=True, tag="build", tag_field="event", gc=False):
    """The last event. `saved` sums what the cached actions took when they were built.

    `critical` is the chain of actions, each of which needs the one before, that took longest in all: no number of workers
    makes the same build shorter than that. What took no time is left out.
    """

    status: Outcome
    built: int
    cached: int
    failed: int
    skipped: int
    seconds: float
    saved: float = 0.0
    critical: tuple[CriticalAction, ...] = ()


Event = BuildStarted | ActionStarted | ActionWaiting | ActionOutput | ActionProgress | ActionFinished | Exported | Message | BuildFinished


class Listener(Protocol):
    """Who wants to know. Only the loop's thread calls it, and no method raises: a build does not die of its display.

    `now` is seconds since the build started. `tick` comes several times a second while actions run. `close` comes once, last.
    """

    def handle(self, event: Event, now: float) -> None: ...

    def tick(self, now: float) -> None: ...

    def close(self) -> None: ...


_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    """One line of JSON, without its newline. What is not Unicode (a file name's odd bytes) is backslash-escaped."""
    try:
        return _encoder.encode(event)
    except UnicodeEncodeError:
        return _encoder.encode(_unicode(msgspec.to_builtins(event)))


def decode_event(line: bytes) -> Event:
    """The event of a line; fields that a later version added are ignored. msgspec.DecodeError for what is none."""
    return _decoder.decode(line)


def _unicode(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {key: _unicode(item) for key, item in value.items()}
        case list() | tuple():
            return [_unicode(item) for item in value]
    return value
