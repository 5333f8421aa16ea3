"""The displays of a running build: a live region on a terminal, plain lines for logs and CI, or next to nothing.

Each is a Listener; the loop's thread drives it, there is none of its own. Everything that comes from outside (labels, output,
reasons) goes through `text.clean` before it reaches the stream.
"""

from collections.abc import Mapping
from typing import Literal, TextIO

from graphbuild.ui.board import Board, Running
from graphbuild.ui.ci import service
from graphbuild.ui.failure import failure_block
from graphbuild.ui.terminal import Line, Output, Region, Size, Symbols, measured, symbols
from graphbuild.ui.text import clean, clock, duration, size
from graphbuild.values.events import ActionFinished, ActionOutput, ActionStarted, ActionWaiting, Event, Listener, Message

Mode = Literal["auto", "tty", "plain", "quiet"]

_INTERVAL = 0.1  # seconds between two drawings; a build shorter than this draws nothing


def progress(mode: Mode, stream: TextIO, *, color: bool, terminal: Size, environ: Mapping[str, str]) -> Listener:
    """The display of that mode. `terminal` gives (columns, rows) at every drawing, so that a resize is followed.

    "auto" is "tty" where the stream is a terminal that can move its cursor, else "plain", which the log of a CI service shows in sections.
    """
    if mode == "auto":
        mode = "tty" if is_terminal(stream, environ) else "plain"
    match mode:
        case "tty":
            return Live(stream, terminal, color=color)
        case "plain" if (log := service(environ)) != "none":
            from graphbuild.ui.sections import Sections

            return Sections(stream, log)
        case "plain":
            return Plain(stream, color=color)
        case "quiet":
            return Quiet(stream, color=color)


def is_terminal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the stream is a terminal that understands escape sequences."""
    return not stream.closed and stream.isatty() and environ.get("TERM", "dumb") not in ("", "dumb")


def wants_color(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Colours: a terminal, and no NO_COLOR (https://no-color.org: any value but the empty one)."""
    return is_terminal(stream, environ) and not environ.get("NO_COLOR")


class Live:
    """A header, a line for each running action; what was built or failed scrolls away above."""

    def __init__(self, stream: TextIO, terminal: Size, *, color: bool) -> None:
        self._region = Region(stream, terminal, color=color)
        self._terminal = terminal
        self._marks = symbols(stream.encoding)
        self._board = Board()
        self._above: list[Line] = []
        self._drawn = 0.0  # when, in seconds since the start
        self._dirty = False

    def handle(self, event: Event, now: float) -> None:
        self._board.apply(event)
        self._above += said(event, self._marks)
        self._dirty = True
        self.tick(now)

    def tick(self, now: float) -> None:
        if now - self._drawn >= _INTERVAL and (self._dirty or self._board.running):
            self._region.draw(self._above, self._lines(now))
            self._above.clear()
            self._drawn, self._dirty = now, False

    def close(self) -> None:
        self._region.draw(self._above, ())
        self._above.clear()

    def _lines(self, now: float) -> list[Line]:
        room = max(measured(self._terminal)[1] - 2, 1)  # the header, and the line of the cursor
        rows = list(self._board.running.values())
        if len(rows) > room:
            more: Line = (("dim", f"  {self._marks.ellipsis} and {len(rows) - room + 1} more"),)
            return [_header(self._board, now, self._marks), *(_row(row, now, self._marks) for row in rows[: room - 1]), more]
        return [_header(self._board, now, self._marks), *(_row(row, now, self._marks) for row in rows)]


class Plain:
    """A line when an action starts and ends, and all its output, each line with the label in front."""

    def __init__(self, stream: TextIO, *, color: bool) -> None:
        self._output = Output(stream, color=color)
        self._marks = symbols(stream.encoding)
        self._board = Board()

    def handle(self, event: Event, now: float) -> None:  # noqa: ARG002 - lines in a log carry no clock
        ended = self._board.apply(event)
        lines: list[Line] = []
        if isinstance(event, (ActionOutput, ActionFinished)):
            prefix = ("dim", f"{clean(event.label)} | ")
            lines += [(prefix, ("", text)) for text in ended]
        match event:
            case ActionStarted():
                name = f"{clean(event.label)} {clean(event.action)}"
                lines.append((("bold", f"[{self._board.done + len(self._board.running)}/{self._board.total}] {name}"), ("", " started")))
            case ActionWaiting():
                lines.append((("dim", f"{clean(event.label)} waits: {clean(event.why)}"),))
        self._output.lines([*lines, *said(event, self._marks)])

    def tick(self, now: float) -> None:
        pass

    def close(self) -> None:
        pass


class Quiet:
    """Failures and errors only."""

    def __init__(self, stream: TextIO, *, color: bool) -> None:
        self._output = Output(stream, color=color)
        self._marks = symbols(stream.encoding)

    def handle(self, event: Event, now: float) -> None:  # noqa: ARG002
        match event:
            case ActionFinished(status="failed") | Message(level="error"):
                self._output.lines(said(event, self._marks))

    def tick(self, now: float) -> None:
        pass

    def close(self) -> None:
        pass


def said(event: Event, marks: Symbols) -> list[Line]:
    """What an event leaves on the screen for good. Cached and skipped actions are counted, not listed."""
    match event:
        case ActionFinished(status="built"):
            return [(("good", marks.good), ("", f" {clean(event.label)} {clean(event.action)} "), ("dim", duration(event.seconds)))]
        case ActionFinished(status="failed"):
            return failure_block(event, marks.bad, marks.bar)
        case Message():
            first, *rest = [clean(line) for line in event.text.split("\n")]
            style = {"info": "", "warning": "warn", "error": "bad"}[event.level]
            mark: Line = ((style, f"{event.level}: "),) if style else ()
            return [(*mark, ("", first)), *((("", f"  {line}"),) for line in rest)]
    return []


def _header(board: Board, now: float, marks: Symbols) -> Line:
    counts = [f"{len(board.running)} running"]
    counts += [f"{count} {name}" for name in ("cached", "failed", "skipped") if (count := board.counts[name])]
    style = "bad" if board.counts["failed"] else "bold"
    return ((style, f"[{board.done}/{max(board.total, board.done)}] "), ("", f" {marks.dot} ".join([*counts, clock(now)])))


def _row(row: Running, now: float, marks: Symbols) -> Line:
    line: Line = (("", f"  {row.label} {row.action} "), ("dim", duration(now - row.since)))
    detail = _detail(row)
    return (*line, ("dim", f" {marks.bar} {detail}")) if detail else line


def _detail(row: Running) -> str:
    if row.waits:
        return f"waits: {row.waits}"
    if row.what and not (row.total and row.done >= row.total):
        known = f" of {size(row.total)} ({100 * row.done // row.total}%)" if row.total else ""
        return f"{row.what} {size(row.done)}{known}"
    return row.last
