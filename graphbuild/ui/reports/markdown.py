"""A build as Markdown: for the summary of a job, or a comment on a merge request. Pure.

What comes from outside is code: `<code>`, with every character that could be markup as a character reference. Back-ticks would not do:
in a table, a backslash before a bar ends the cell, and what follows is markup.
"""

import re
from collections.abc import Sequence

from graphbuild.ui.reports.record import Finding, Record, saved, seconds, total
from graphbuild.ui.summary import critical_path
from graphbuild.ui.text import clean, duration, size
from graphbuild.values.events import ActionFinished

_ROWS = 50  # of a table: the summary of a job is at most 1 MiB
_FINDINGS = 20
_TAIL = 20  # lines of a failed step's output
_WIDTH = 500  # characters of a line
_MARKUP = re.compile(r"[^A-Za-z0-9 /\-]", re.ASCII)


def code(text: str) -> str:
    """Text that is shown as it is, and is no markup anywhere."""
    return f"<code>{_referenced(clean(text))}</code>" if text else ""


def markdown(record: Record) -> str:
    """The whole report."""
    counts = [f"{count} {name}" for name in ("built", "cached", "failed", "skipped") if (count := total(record, name))]
    parts = [f"## graphbuild: {record.outcome} in {duration(seconds(record))}\n\n{', '.join(counts) or 'nothing to do'}"]
    parts[0] += f"; the cache saved {duration(saved(record))}.\n" if saved(record) >= 1 else ".\n"
    parts += [_finding(finding) for finding in record.findings[:_FINDINGS]]
    if (more := len(record.findings) - _FINDINGS) > 0:
        parts.append(f"… and {more} more.\n")
    if record.outputs:
        rows = [(code(one.path), code(one.label), one.format, size(one.size), code(one.digest)) for one in record.outputs]
        parts.append(_table("Outputs", ("Path", "Target", "Format", "Size", "Digest"), sorted(rows)))
    if record.ran:
        parts.append(_slowest(record.ran))
    for build in record.builds:
        if path := critical_path(build.critical):
            parts.append(f"{_referenced(path.strip())}\n")
    return "\n".join(parts)


def _finding(finding: Finding) -> str:
    where = f"{finding.path}:{finding.line}" if finding.line else finding.path
    first, *rest = finding.text.split("\n")
    text = f"### {code(finding.title)}\n\n{code(where) + ': ' if where else ''}{code(first[:_WIDTH])}\n"
    if rest:
        lines = "\n".join(_referenced(line[:_WIDTH]) for line in rest[-_TAIL:])
        text += f"\n<pre>\n{lines}\n</pre>\n"
    return text


def _slowest(ran: Sequence[ActionFinished]) -> str:
    slowest = sorted(ran, key=lambda action: (-action.seconds, action.label, action.action))
    rows = [(code(f"{action.label} {action.action}"), duration(action.seconds), code(action.reason[:_WIDTH])) for action in slowest]
    return f"<details><summary>Slowest of what was built</summary>\n\n{_table('', ('Action', 'Time', 'Why'), rows)}\n</details>\n"


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = f"### {title}\n\n" if title else ""
    text += f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}\n"
    text += "".join(f"| {' | '.join(row)} |\n" for row in rows[:_ROWS])
    return text + (f"\n… and {len(rows) - _ROWS} more\n" if len(rows) > _ROWS else "")


def _referenced(text: str) -> str:
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};" if found[0].isascii() else found[0], text)
