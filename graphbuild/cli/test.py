"""`graphbuild test`: a build of tests, with a line each in the end, and a report for those who collect them."""

import os
from pathlib import Path
from typing import Any

from graphbuild.cli import build
from graphbuild.graph.analyze import Graph
from graphbuild.rules.actions import is_test
from graphbuild.ui.tests import Case, TestResults
from graphbuild.values.errors import mistake


def test(options: Any) -> int:
    """Run the tests. Returns the exit code."""
    results = TestResults()
    report = _report(options.junit) if options.junit and not options.dry_run else None
    code = build.run(options, results=results, begins=lambda graph, labels: results.expect(cases_of(graph), labels))
    if report is not None:
        from graphbuild.ui.junit import junit

        _write(report, junit(results))
    return code


def cases_of(graph: Graph) -> list[Case]:
    """The tests of a graph, in the order of its targets."""
    return [
        Case(str(node.ref.label), node.ref.action, node.ref.label.package, node.text, node.file)
        for node in graph.nodes.values()
        if is_test(node.action)
    ]


def _report(path: str) -> Path:
    """Where the report goes; an older one is gone, so that nobody takes it for this run's. GraphbuildError where it cannot be written."""
    place = Path(os.path.abspath(path))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("ab"):
            pass
        if place.is_file():
            place.unlink()
    except OSError as error:
        raise mistake(f"cannot write the report to {path}: {error.strerror}", hint="--junit takes a file") from None
    return place


def _write(place: Path, text: bytes) -> None:
    try:
        place.write_bytes(text)
    except OSError as error:
        raise mistake(f"cannot write the report to {place}: {error.strerror}") from None
