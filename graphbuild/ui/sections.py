"""The display for the log of a CI service: what a step said is a section to unfold, by itself, when the step is over.

Steps run at once, sections cannot: so output is kept until its action ends, or the build does. Formats: GitHub's `::group::`,
GitLab's `section_start` (https://docs.gitlab.com/ci/jobs/job_logs/).
"""

import time
from collections.abc import Callable
from typing import TextIO

from graphbuild.ui.board import Board
from graphbuild.ui.ci import Service, command, unshielded
from graphbuild.ui.progress import said
from graphbuild.ui.terminal import Line, Output, symbols
from graphbuild.ui.text import clean, duration
from graphbuild.values.events import ActionFinished, ActionOutput, ActionStarted, ActionWaiting, Event

Key = tuple[str, str]


class Sections:
    """A line when an action starts; when it ends its output, folded, and how it ended."""

    def __init__(self, stream: TextIO, service: Service, clock: Callable[[], float] = time.time) -> None:
        """`clock`: seconds since 1970; GitLab shows how long a section took."""
        self._output = Output(stream, color=False)
        self._markers = Output(unshielded(stream), color=False)
        self._marks = symbols(stream.encoding)
        self._service = service
        self._clock = clock
        self._board = Board()
        self._kept: dict[Key, list[str]] = {}
        self._begun: dict[Key, float] = {}
        self._count = 0

    def handle(self, event: Event, now: float) -> None:  # noqa: ARG002 - lines in a log carry no clock
        lines = self._board.apply(event)
        match event:
            case ActionStarted():
                self._begun[event.label, event.action] = self._clock()
                number = self._board.done + len(self._board.running)
                self._output.lines([(("", f"[{number}/{self._board.total}] {clean(event.label)} {clean(event.action)} started"),)])
            case ActionWaiting():
                self._output.lines([(("", f"{clean(event.label)} waits: {clean(event.why)}"),)])
            case ActionOutput():
                self._kept.setdefault((event.label, event.action), []).extend(lines)
            case ActionFinished():
                key = event.label, event.action
                self._section(key, [*self._kept.pop(key, []), *lines], f"{event.status} after {duration(event.seconds)}")
        self._output.lines(said(event, self._marks))

    def tick(self, now: float) -> None:
        pass

    def close(self) -> None:
        """What did not end says what it said so far."""
        for key, lines in self._kept.items():
            self._section(key, lines, "did not end")
        self._kept.clear()

    def _section(self, key: Key, lines: list[str], how: str) -> None:
        begun = self._begun.pop(key, self._clock())
        if not lines:
            return
        title, shown = f"{clean(key[0])} {clean(key[1])}: {how}", [_line(text) for text in lines]
        self._count += 1
        if self._service == "github":
            self._markers.write(command("group", title))
            self._output.lines(shown)
            self._markers.write(command("endgroup", ""))
            return
        name = f"graphbuild_{self._count}"
        self._markers.write(f"\x1b[0Ksection_start:{int(begun)}:{name}[collapsed=true]\r\x1b[0K{title}\n")
        self._output.lines(shown)
        self._markers.write(f"\x1b[0Ksection_end:{int(self._clock())}:{name}\r\x1b[0K\n")


def _line(text: str) -> Line:
    return (("", f"| {text}"),)
