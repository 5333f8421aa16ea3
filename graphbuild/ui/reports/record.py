"""What the reports of a build are made of. Secrets' values and control characters are taken out here, before anything is rendered.

Paths of findings are from the root of the repository, as CI services have them. It knows no format.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from graphbuild.ui.text import clean
from graphbuild.values.events import ActionFinished, BuildFinished, Event, Exported, Message, Outcome
from graphbuild.values.redact import redact

Kind = Literal["step-failed", "spec", "machine", "failed", "warning"]


class Finding(msgspec.Struct, frozen=True):
    """One thing to say at a place. `path` is "" where there is none, `line` and `column` count from 1, 0 for none; `text` may have several lines."""

    kind: Kind
    title: str
    text: str
    path: str = ""
    line: int = 0
    column: int = 0
    label: str = ""

    @property
    def severe(self) -> bool:
        return self.kind != "warning"


class Record:
    """A Listener that keeps what the reports say. One record may hold several builds, one after the other."""

    def __init__(self, locate: Callable[[str], str]) -> None:
        """`locate`: a workspace's file → its path from the repository's root, "" for what is not in it."""
        self.ran: list[ActionFinished] = []
        self.outputs: list[Exported] = []
        self.findings: list[Finding] = []
        self.builds: list[BuildFinished] = []
        self.secrets: set[str] = set()
        self.locate = locate
        self.broken: Outcome | None = None  # how it ended, where no build says so

    def handle(self, event: Event, now: float) -> None:  # noqa: ARG002
        match event:
            case ActionFinished(status="built"):
                self.ran.append(msgspec.structs.replace(event, label=self.safe(event.label), reason=self.safe(event.reason)))
            case ActionFinished(status="failed"):
                self.findings.append(self._failed(event))
            case Exported():
                self.outputs.append(msgspec.structs.replace(event, label=self.safe(event.label), path=self.safe(event.path)))
            case Message(level="warning" | "error", text=text):
                self.find(Finding("warning" if event.level == "warning" else "machine", event.level, text))
            case BuildFinished():
                self.builds.append(event)

    def tick(self, now: float) -> None:
        pass

    def close(self) -> None:
        pass

    def find(self, finding: Finding) -> None:
        """Keep a finding; what it says is made safe."""
        self.findings.append(
            msgspec.structs.replace(
                finding, title=self.safe(finding.title), text="\n".join(self.lines(finding.text.split("\n"))), path=self.safe(finding.path)
            )
        )

    def safe(self, text: str) -> str:
        return clean(redact(text, self.secrets))

    def lines(self, lines: Iterable[str]) -> list[str]:
        """Lines made safe; a secret that spans some of them is found too."""
        return [clean(line) for line in redact("\n".join(lines), self.secrets).split("\n")]

    @property
    def outcome(self) -> Outcome:
        if self.broken is not None:
            return self.broken
        if any(build.status == "interrupted" for build in self.builds):
            return "interrupted"
        failed = any(build.status == "failed" for build in self.builds) or any(finding.severe for finding in self.findings)
        return "failed" if failed else "ok"

    def _failed(self, event: ActionFinished) -> Finding:
        failure = event.failure
        file, _, line = (failure.declared if failure else "").rpartition(":")
        path = self.locate(file) if file else ""
        text = [event.reason, *(failure.output if failure else ())]
        title = f"{event.label} {event.action} failed"
        at = int(line) if path and line.isdecimal() else 0
        return Finding(
            "step-failed", self.safe(title), "\n".join(self.lines(text)), self.safe(path), at, 1 if at else 0, self.safe(event.label)
        )


def total(record: Record, count: Literal["built", "cached", "failed", "skipped"]) -> int:
    return sum(getattr(build, count) for build in record.builds)


def seconds(record: Record) -> float:
    return sum(build.seconds for build in record.builds)


def saved(record: Record) -> float:
    return sum(build.saved for build in record.builds)
