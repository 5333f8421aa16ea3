"""What two images differ in, as text and as Markdown."""

from typing import Any

import msgspec

from graphbuild.engine.comparing import Difference
from graphbuild.ui.reports.markdown import code
from graphbuild.ui.text import clean, size

_CHANGES = {"added": "+", "removed": "-", "changed": "~"}
_MOST_ROWS = 50  # of a Markdown table: it is read in a pull request


def plain(found: Difference) -> str:
    """A line a change."""
    if found.old == found.new:
        return "the same image\n"
    old, new = found.sizes
    lines = [f"size {size(old)} → {size(new)} ({_signed(new - old)}); {size(found.pulled)} to pull"]
    lines += [f"config {change.field}: {_value(change.old)} → {_value(change.new)}" for change in found.config]
    lines += [f"package {change.name} {change.old or '(none)'} → {change.new or '(gone)'}" for change in found.packages]
    for file in found.files:
        what = f"  {', '.join(file.what)}" if file.what else ""
        delta = f"  {_signed(file.delta)}" if file.delta else ""
        lines.append(f"{_CHANGES[file.change]} {clean(file.path)}{what}{delta}")
    return "".join(line + "\n" for line in lines)


def markdown(found: Difference, title: str) -> str:
    """A section under a title, with tables to unfold: for a pull request."""
    old, new = found.sizes
    text = f"### {title}\n\n"
    if found.old == found.new:
        return text + "The same image.\n"
    text += f"Size {size(old)} → {size(new)} (**{_signed(new - old)}**), {size(found.pulled)} to pull.\n"
    if found.config:
        rows = [(change.field, _value(change.old), _value(change.new)) for change in found.config]
        text += _rows("Config", ("Field", "Old", "New"), rows)
    if found.packages:
        text += _rows(
            "Packages", ("Package", "Old", "New"), [(change.name, change.old or "-", change.new or "-") for change in found.packages]
        )
    if found.files:
        files = sorted(found.files, key=lambda file: (-abs(file.delta), file.path))
        files_rows = [(_CHANGES[file.change], file.path, _signed(file.delta), ", ".join(file.what)) for file in files]
        text += _rows("Files", ("", "Path", "Bytes", "What"), files_rows)
    return text


def _rows(title: str, heads: tuple[str, ...], rows: list[Any]) -> str:
    text = f"\n<details><summary>{title}: {len(rows)}</summary>\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n"
    text += "".join(f"| {' | '.join(_cell(cell) for cell in row)} |\n" for row in rows[:_MOST_ROWS])
    if len(rows) > _MOST_ROWS:
        text += f"\n… and {len(rows) - _MOST_ROWS} more\n"
    return text + "\n</details>\n"


def _cell(text: str) -> str:
    """Text that cannot end its cell or begin markup. Between back-ticks a bar cannot be written: after a backslash it ends the cell."""
    if not text or not set("|`\\").isdisjoint(text):
        return code(text)
    return f"`{clean(text)}`"


def _signed(count: int) -> str:
    return f"{'-' if count < 0 else '+'}{size(abs(count))}"


def _value(value: Any) -> str:
    return "(unset)" if value is None else value if isinstance(value, str) else msgspec.json.encode(value).decode()
