"""The reports that programs read: GitHub's annotations, GitLab's Code Quality, and all of it as JSON. Pure."""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any

import msgspec

from graphbuild.ui.ci import command
from graphbuild.ui.reports.record import Finding, Record, saved, seconds, total

VERSION = 1  # of the JSON report: raised when a field changes its meaning or goes away


def annotations(findings: Iterable[Finding]) -> str:
    """Commands of GitHub Actions, a line each, that show the findings at their lines."""
    return "".join(
        command(
            "error" if finding.severe else "warning",
            finding.text,
            file=finding.path,
            line=finding.line,
            col=finding.column,
            title=finding.title,
        )
        for finding in findings
    )


def code_quality(findings: Iterable[Finding]) -> bytes:
    """GitLab's Code Quality report. What has no place in a file is left out: the format asks for one.

    A fingerprint is of what is said and of the file, not of the line, so that GitLab knows a finding again when it moved.
    """
    found: list[dict[str, Any]] = []
    seen: dict[str, int] = {}
    for finding in findings:
        if not finding.path:
            continue
        said = finding.text.split("\n", 1)[0]
        identity = f"{finding.kind}\0{finding.path}\0{finding.title}\0{said}"
        seen[identity] = seen.get(identity, -1) + 1
        found.append(
            {
                "description": said if finding.title in ("", said) else f"{finding.title}: {said}",
                "check_name": f"graphbuild/{finding.kind}",
                "fingerprint": sha256(f"{identity}\0{seen[identity]}".encode()).hexdigest(),
                "severity": "critical" if finding.severe else "minor",
                "location": {"path": finding.path, "lines": {"begin": max(finding.line, 1)}},
            }
        )
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


def as_json(record: Record) -> bytes:
    """One object: how the builds ended, what was written, what ran and why, what was found."""
    counts = {name: total(record, name) for name in ("built", "cached", "failed", "skipped")}
    said = {
        "version": VERSION,
        "status": record.outcome,
        **counts,
        "seconds": seconds(record),
        "saved": saved(record),
        "outputs": [
            {"label": one.label, "path": one.path, "format": one.format, "size": one.size, "digest": one.digest} for one in record.outputs
        ],
        "built_actions": [{"label": one.label, "action": one.action, "seconds": one.seconds, "reason": one.reason} for one in record.ran],
        "critical": [one for build in record.builds for one in build.critical],
        "findings": record.findings,
    }
    return msgspec.json.format(msgspec.json.encode(said), indent=2) + b"\n"
