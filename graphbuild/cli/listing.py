"""What commands that list things share: aligned columns, `--format` as Docker has it, ages."""

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from graphbuild.cli.templates import fill, heading, unescaped
from graphbuild.ui.text import clean, width

_UNITS = (("year", 31_536_000), ("month", 2_592_000), ("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))

__all__ = ["age", "fill", "moment", "say", "show", "table"]


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns of text, as wide as what is in them, three spaces apart. No cell can break its line, or move a terminal's cursor."""
    lines = [tuple(heads), *(tuple(clean(cell) for cell in row) for row in rows)]
    columns = max(map(len, lines))
    widths = [max(width(line[column]) for line in lines if column < len(line)) for column in range(columns)]
    return "".join(
        "   ".join(cell + " " * (wide - width(cell)) for cell, wide in zip(line, widths, strict=False)).rstrip() + "\n" for line in lines
    )


def say(text: str) -> None:
    """Print a line that was filled in from somebody else's texts: as it is, but cleaned for a terminal."""
    if sys.stdout.isatty():
        text = "\n".join(map(clean, text.split("\n")))
    sys.stdout.write(text + "\n")


def show(format_: str, heads: Sequence[str], rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Print rows: as a table of `columns` under `heads`, as a line of JSON each, or by a template."""
    if not format_ or format_ == "table":
        sys.stdout.write(table(heads, [[str(row[column]) for column in columns] for row in rows]))
        return
    if format_ == "json":
        for row in rows:
            sys.stdout.write(json.dumps(row) + "\n")
        return
    template = unescaped(format_.removeprefix("table "))
    lines = [fill(template, row) for row in rows]
    if format_.startswith("table "):
        head = heading(template, dict(zip(columns, heads, strict=True)))
        sys.stdout.write(table(head.split("\t"), [line.split("\t") for line in lines]))
        return
    for line in lines:
        say(line)


def age(created: str | None) -> str:
    """How long ago an RFC 3339 time was, in words: `3 days ago`; "n/a" for none and for the epoch, which means "not said"."""
    seconds = _seconds(created)
    if seconds <= 0:
        return "n/a"
    passed = max(0, time.time() - seconds)
    for unit, length in _UNITS:
        count = int(passed // length)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "now"


def moment(created: str | None) -> str:
    """An RFC 3339 time as Docker's lists have it: `2026-01-31 10:00:00 +0000 UTC`; "n/a" for none."""
    seconds = _seconds(created)
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M:%S +0000 UTC}" if seconds > 0 else "n/a"


def _seconds(created: str | None) -> float:
    try:
        return datetime.fromisoformat(created or "").timestamp()
    except (ValueError, OverflowError):
        return 0
