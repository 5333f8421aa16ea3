"""The state that a display shows: what runs, how it stands, what was counted. It draws nothing and knows no clock."""

from graphbuild.ui.text import clean
from graphbuild.values.events import ActionFinished, ActionOutput, ActionProgress, ActionStarted, ActionWaiting, BuildStarted, Event, Status

_LONGEST = 1 << 16  # characters of a line: a step that never ends one must not fill the memory
_GLANCE = 500  # characters of an unfinished line that anyone looks at


class Lines:
    """Cuts a step's output into lines. A carriage return ends a line too: progress bars would be one endless line."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        """The lines that are complete now, clean, without empty ones that a carriage return made."""
        ended, self._rest = self._cut(self._rest + text)
        return ended

    @property
    def begun(self) -> str:
        """The start of the line that has not ended yet."""
        return clean(self._rest[:_GLANCE])

    def end(self) -> list[str]:
        """The last line, if it had no newline."""
        rest, self._rest = self._rest, ""
        return [clean(rest)] if rest.strip("\r") else []

    def _cut(self, text: str) -> tuple[list[str], str]:
        *lines, rest = text.split("\n")
        ended: list[str] = []
        for line in lines:
            ended += [clean(piece) for piece in line.rstrip("\r").split("\r") if piece] or [""]
        if "\r" in rest.rstrip("\r"):
            *pieces, rest = _keep_ends(rest)
            ended += [clean(piece) for piece in pieces if piece]
        while len(rest) > _LONGEST:
            ended.append(clean(rest[:_LONGEST]))
            rest = rest[_LONGEST:]
        return ended, rest


def _keep_ends(text: str) -> list[str]:
    """Split at carriage returns; those at the very end stay, they may be half of a \\r\\n."""
    body = text.rstrip("\r")
    *pieces, last = body.split("\r")
    return [*pieces, last + text[len(body) :]]


class Running:
    """A running action: since when, what it does now, its last line of output."""

    def __init__(self, start: ActionStarted) -> None:
        self.label = clean(start.label)
        self.action = clean(start.action)
        self.since = start.at
        self.waits = ""
        self.what = ""
        self.done = 0
        self.total = 0
        self.last = ""
        self.lines = Lines()


class Board:
    """Follows the events. `running` is in order of start."""

    def __init__(self) -> None:
        self.total = 0
        self.counts: dict[Status, int] = dict.fromkeys(("built", "cached", "failed", "skipped"), 0)
        self.running: dict[tuple[str, str], Running] = {}

    @property
    def done(self) -> int:
        return sum(self.counts.values())

    def apply(self, event: Event) -> list[str]:
        """Take an event in. Returns the lines of output that it completed."""
        match event:
            case BuildStarted():
                self.total = event.actions
            case ActionStarted():
                self.running[event.label, event.action] = Running(event)
            case ActionWaiting() | ActionOutput() | ActionProgress():
                row = self.running.get((event.label, event.action))
                return _update(row, event) if row else []
            case ActionFinished():
                self.counts[event.status] += 1
                row = self.running.pop((event.label, event.action), None)
                return row.lines.end() if row else []
        return []


def _update(row: Running, event: ActionWaiting | ActionOutput | ActionProgress) -> list[str]:
    row.waits = ""
    match event:
        case ActionWaiting():
            row.waits = clean(event.why)
        case ActionProgress():
            row.what, row.done, row.total = clean(event.what), event.done, event.total
        case ActionOutput():
            lines = row.lines.feed(event.text)
            row.last = next((line for line in (row.lines.begun, *reversed(lines)) if line.strip()), row.last)
            return lines
    return []
