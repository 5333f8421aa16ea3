"""What preparing an action gives: its key's fields, and the work to do when nobody has the result."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from graphbuild.build.keys import Fields
from graphbuild.store.actions import Outputs
from graphbuild.values.entry import Entry


class Task(Protocol):
    """What a performing action may say while it works."""

    def output(self, data: bytes) -> None:
        """Output of the step, for the log and the display."""
        ...

    def progress(self, done: int, total: int, what: str) -> None:
        """How far it is, in units of `what`; total 0 when not known."""
        ...

    def previous(self) -> Fields:
        """The key fields of this action's last run in this workspace; () where there was none."""
        ...

    def failed_in(self, upper: Path, exit_code: int | None) -> None:
        """A step failed; `upper` holds what it had changed, to be kept for who wants to look inside. No exit code: it was stopped."""
        ...

    def exported(self, path: str, format_: str, size: int, digest: str) -> None:
        """An output was written: bytes on disk, and the digest of a manifest or image ("" for plain files)."""
        ...


class Prepared(msgspec.Struct, frozen=True):
    """`perform` makes the outputs; `current` says why a cached result still does not do (an output file is gone), or "".

    `deliver`: what is done with outputs on a hit and a miss alike, when `current` says something: writing exports.
    """

    fields: Fields
    perform: Callable[[Task], Outputs]
    current: Callable[[Outputs], str] | None = None
    deliver: Callable[[Outputs, Task], None] | None = None
    entries: Sequence[Entry] = ()  # of the layer it makes, where they are known beforehand: for `explain`
    logs: bool = False  # its output is worth a log
