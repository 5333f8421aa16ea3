"""The end of a build in words: what was written, what was done, what the cache saved. Pure."""

from collections.abc import Iterable, Sequence

from graphbuild.ui.text import clean, duration, size, width
from graphbuild.values.events import BuildFinished, CriticalAction, Event, Exported

_WORTH = 1.0  # seconds: less saved time is not worth a word
_LONG = 5.0  # seconds: what was over sooner needs no critical path
_STATIONS = 5  # of the critical path that are named


class Results:
    """A Listener that keeps what is said of a build in the end."""

    def __init__(self) -> None:
        self.events: list[Exported | BuildFinished] = []
        self.finished: BuildFinished | None = None

    def handle(self, event: Event, now: float) -> None:  # noqa: ARG002
        if isinstance(event, (Exported, BuildFinished)):
            self.events.append(event)
        if isinstance(event, BuildFinished):
            self.finished = event

    def shown(self) -> str:
        """The outputs."""
        return outputs(self.events)

    def totals(self) -> str:
        return totals(self.finished) if self.finished else ""

    def unchanged(self) -> tuple[str, str]:
        """What a run that finds nothing changed says on stdout and on stderr."""
        return "", f"ok: all {self.finished.built + self.finished.cached if self.finished else 0} up to date\n"

    def tick(self, now: float) -> None:
        pass

    def close(self) -> None:
        pass


def summary(events: Iterable[Event]) -> str:
    """Outputs, then one line of totals, each line with its newline; outputs are left out where nothing had to be done."""
    known = list(events)
    finished = next((event for event in known if isinstance(event, BuildFinished)), None)
    if finished is None:
        return outputs(known)
    return (outputs(known) if finished.built or finished.failed else "") + totals(finished)


def outputs(events: Iterable[Event]) -> str:
    """A line for each output that was written: path, size and digest, in columns."""
    rows = [(clean(event.path), size(event.size), clean(event.digest)) for event in events if isinstance(event, Exported)]
    return "".join(f"{line}\n" for line in in_columns(sorted(rows)))


def totals(finished: BuildFinished) -> str:
    """`ok in 3.2s: 2 built, 38 cached (the cache saved 1m10s)`, or a shorter line where all was cached. After a long build, its critical path."""
    return _counts(finished) + (critical_path(finished.critical) if finished.seconds >= _LONG else "")


def critical_path(critical: Sequence[CriticalAction]) -> str:
    """`critical path 12s: //a:b 10s → … → //c:d 2.1s`, the actions of a target as one, the longest of them named; "" where there is none."""
    targets: list[tuple[str, float]] = []
    for one in critical:
        before = targets.pop()[1] if targets and targets[-1][0] == one.label else 0.0
        targets.append((one.label, before + one.seconds))
    named = sorted(sorted(range(len(targets)), key=lambda number: -targets[number][1])[:_STATIONS])
    said: list[str] = []
    for before, number in zip([-1, *named], [*named, len(targets)], strict=True):
        said += ["…"] if number - before > 1 else []
        said += [f"{clean(targets[number][0])} {duration(targets[number][1])}"] if number < len(targets) else []
    return f"critical path {duration(sum(seconds for _, seconds in targets))}: {' → '.join(said)}\n" if targets else ""


def _counts(finished: BuildFinished) -> str:
    counts = [("built", finished.built), ("cached", finished.cached), ("failed", finished.failed), ("skipped", finished.skipped)]
    said = ", ".join(f"{count} {name}" for name, count in counts if count)
    saved = f" (the cache saved {duration(finished.saved)})" if finished.saved >= _WORTH else ""
    took = f"in {duration(finished.seconds)}"
    if finished.status != "ok":
        return f"{finished.status} {took}: {said or 'nothing done'}{saved}\n"
    if finished.built:
        return f"ok {took}: {said}{saved}\n"
    return f"ok {took}: all {finished.cached} cached{saved}\n" if finished.cached else f"ok {took}: nothing to do\n"


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Clean cells as lines, two spaces between columns."""
    if not rows:
        return []
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(_fill(cell, cells) for cell, cells in zip(row, widths, strict=True)).rstrip() for row in rows]


def _fill(text: str, cells: int) -> str:
    return text + " " * (cells - width(text))
