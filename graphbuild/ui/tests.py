"""The end of a build of tests in words: a line a test, and totals. It also keeps what a report tells: see `ui.junit`."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from graphbuild.ui.summary import in_columns
from graphbuild.ui.text import clean, duration
from graphbuild.values.events import ActionFinished, ActionOutput, BuildFinished, Event

_TAIL = 16 << 10  # characters of a test's output that are kept

Verdict = Literal["passed", "cached", "failed", "not run"]
_VERDICTS: tuple[Verdict, ...] = ("passed", "cached", "failed", "not run")


class Case(msgspec.Struct, frozen=True):
    """A test, or one check of it: its target's label, its action in that, the package, what people know it by ("": the label), the spec's file."""

    label: str
    action: str
    package: str
    text: str
    file: str


class Outcome(msgspec.Struct, frozen=True):
    """How a case ended, and the last of what it said."""

    case: Case
    verdict: Verdict
    event: ActionFinished | None
    output: str


class TestResults:
    """A Listener that follows tests."""

    __test__ = False  # pytest takes what is called so for its own

    def __init__(self) -> None:
        self.finished: BuildFinished | None = None
        self._labels: Sequence[str] = ()
        self._cases: dict[tuple[str, str], Case] = {}
        self._ends: dict[tuple[str, str], ActionFinished] = {}
        self._output: dict[tuple[str, str], str] = {}
        self._broken = 0

    def expect(self, cases: Iterable[Case], labels: Sequence[str]) -> None:
        """What there is to test, and the tests that were asked for, told before the first event: those without a case are known to be cached."""
        self._labels = labels
        self._cases = {(case.label, case.action): case for case in cases}

    def handle(self, event: Event, now: float) -> None:  # noqa: ARG002 - events carry their times
        match event:
            case ActionOutput() if (name := (event.label, event.action)) in self._cases:
                self._output[name] = (self._output.get(name, "") + event.text)[-_TAIL:]
            case ActionFinished() if (name := (event.label, event.action)) in self._cases:
                self._ends[name] = event
            case ActionFinished(status="failed"):
                self._broken += 1
            case BuildFinished():
                self.finished = event

    def tick(self, now: float) -> None:
        pass

    def close(self) -> None:
        pass

    def outcomes(self) -> list[Outcome]:
        """How each case ended, in their order."""
        ends = ((case, self._ends.get(name), self._output.get(name, "")) for name, case in self._cases.items())
        return [Outcome(case, _verdict(end), end, output) for case, end, output in ends]

    def shown(self) -> str:
        """A line a test."""
        return "".join(f"{line}\n" for line in in_columns([_row(label, outcomes) for label, outcomes in self._targets().items()]))

    def totals(self) -> str:
        """`failed in 2.3s: 4 tests, 2 passed, 1 cached, 1 failed`."""
        if self.finished is None:
            return ""
        verdicts = [_worst(outcomes) for outcomes in self._targets().values()]
        counts = [f"{count} {verdict}" for verdict in _VERDICTS if (count := verdicts.count(verdict))]
        steps = [f"{self._broken} step{'' if self._broken == 1 else 's'} failed"] if self._broken else []
        said = ", ".join([f"{len(verdicts)} test{'' if len(verdicts) == 1 else 's'}", *counts, *steps])
        return f"{self.finished.status} in {duration(self.finished.seconds)}: {said if verdicts else 'no tests'}\n"

    def unchanged(self) -> tuple[str, str]:
        """What a run that finds nothing changed says on stdout and on stderr."""
        lines = in_columns([(clean(label), "cached") for label in self._targets()])
        return "".join(f"{line}\n" for line in lines), f"ok: all {len(lines)} tests passed, up to date\n"

    def _targets(self) -> dict[str, list[Outcome]]:
        found: dict[str, list[Outcome]] = {label: [] for label in self._labels}
        for outcome in self.outcomes():
            found.setdefault(outcome.case.label, []).append(outcome)
        return found


def _verdict(end: ActionFinished | None) -> Verdict:
    if end is None or end.status == "skipped":
        return "not run"
    return "passed" if end.status == "built" else end.status


def _worst(outcomes: Sequence[Outcome]) -> Verdict:
    verdicts = {outcome.verdict for outcome in outcomes}
    return next((verdict for verdict in ("failed", "not run", "passed") if verdict in verdicts), "cached")


def _row(label: str, outcomes: Sequence[Outcome]) -> tuple[str, str, str]:
    verdict = _worst(outcomes)
    took = duration(sum(outcome.event.seconds for outcome in outcomes if outcome.event))
    missed = [outcome.event.reason for outcome in outcomes if outcome.verdict == "not run" and outcome.event]
    match verdict:
        case "failed":
            count = sum(outcome.verdict == "failed" for outcome in outcomes)
            detail = f"{took}, {count} of {len(outcomes)} checks" if len(outcomes) > 1 else took
        case "passed":
            detail = took
        case "not run":
            detail = clean(missed[0]) if missed else ""
        case "cached":
            detail = ""
    return clean(label), verdict.upper() if verdict == "failed" else verdict, detail
