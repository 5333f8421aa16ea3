"""What commands that list things share: aligned columns, `--format` as Docker has it, ages."""

import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from graphbuild.cli.templates import fill, heading, unescaped
from graphbuild.ui.text import clean, width

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
    """How long ago an RFC 3339 time was, in words: `3 days ago`, as Docker rounds it; "n/a" for none and for the epoch, which means "not said"."""
    seconds = _seconds(created)
    if seconds <= 0:
        return "n/a"
    return f"{ago(max(0, time.time() - seconds))} ago"


def ago(seconds: float) -> str:  # noqa: PLR0911 - one a unit
    """A length of time as Docker rounds it, without the `ago`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    for most, length, name in ((14, 24, "days"), (8.6, 24 * 7, "weeks"), (24, 24 * 30, "months")):
        if hours < most * length:
            return f"{hours // length} {name}"
    return f"{hours // (24 * 365)} years"


def moment(created: str | None) -> str:
    """An RFC 3339 time as Docker's lists have it: `2026-01-31 10:00:00 +0000 UTC`; "n/a" for none."""
    seconds = _seconds(created)
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d %H:%M:%S +0000 UTC}" if seconds > 0 else "n/a"


def _seconds(created: str | None) -> float:
    try:
        return datetime.fromisoformat(created or "").timestamp()
    except (ValueError, OverflowError):
        return 0
