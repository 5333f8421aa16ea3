"""What commands that list things share: aligned columns, `--format` as Docker has it for plain fields, ages."""

import json
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from graphbuild.values.errors import mistake

_FIELD = re.compile(r"\{\{\s*(json\s+)?\.(\w+)?\s*\}\}")
_UNITS = (("year", 31_536_000), ("month", 2_592_000), ("week", 604_800), ("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns of text, as wide as what is in them, three spaces apart."""
    lines = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "".join("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n" for line in lines)


def show(format_: str, heads: Sequence[str], rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Print rows: as a table of `columns` under `heads`, as JSON, or by a template of `{{.Field}}`s."""
    if not format_ or format_ == "table":
        sys.stdout.write(table(heads, [[str(row[column]) for column in columns] for row in rows]))
        return
    if format_ == "json":
        for row in rows:
            sys.stdout.write(json.dumps(row) + "\n")
        return
    template = format_.removeprefix("table ").replace("\\t", "\t").replace("\\n", "\n")
    lines = [fill(template, row) for row in rows]
    if format_.startswith("table "):
        titles = [_FIELD.sub(lambda match: (match[2] or "").upper(), template).split("\t")]
        split = [*titles, *(line.split("\t") for line in lines)]
        sys.stdout.write(table(split[0], split[1:]))
        return
    sys.stdout.write("".join(line + "\n" for line in lines))


def fill(template: str, fields: Mapping[str, object]) -> str:
    """A template with its fields filled in. GraphbuildError for a field that there is not."""

    def value(match: re.Match[str]) -> str:
        name = match[2]
        if name is None:
            return json.dumps(dict(fields))
        if name not in fields:
            raise mistake(f"--format: there is no field {name}", hint=f"there are {', '.join(fields)}")
        return json.dumps(fields[name]) if match[1] else str(fields[name])

    filled = _FIELD.sub(value, template)
    if "{{" in _FIELD.sub("", template):
        raise mistake(f"--format {template!r}: only {{{{.Field}}}} and {{{{json .Field}}}} are understood", hint="or say --format json")
    return filled


def age(created: str | None) -> str:
    """How long ago an RFC 3339 time was, in words: `3 days ago`; "n/a" for none and for the epoch, which means "not said"."""
    try:
        seconds = datetime.fromisoformat(created or "").timestamp()
    except ValueError:
        return "n/a"
    if seconds <= 0:
        return "n/a"
    passed = max(0, time.time() - seconds)
    for unit, length in _UNITS:
        count = int(passed // length)
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "now"
