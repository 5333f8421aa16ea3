"""Tests as JUnit XML, as GitLab, Jenkins and their like read it: a suite a package, a case a test or a check of it.

There is no standard; these are the elements and attributes that all of them know. A test that could not run because a
step failed is an error, one that nobody got to is skipped. Texts come from steps: what XML 1.0 cannot hold is not in them.
"""

import re
import xml.etree.ElementTree as ET

from graphbuild.ui.tests import Outcome, TestResults
from graphbuild.ui.text import clean

_NO_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: TestResults) -> bytes:
    """The report, in UTF-8."""
    packages: dict[str, list[Outcome]] = {}
    for outcome in results.outcomes():
        packages.setdefault(outcome.case.package, []).append(outcome)
    top = ET.Element("testsuites", {"name": "graphbuild", **_counts(results.outcomes())})
    for package, outcomes in sorted(packages.items()):
        suite = ET.SubElement(top, "testsuite", {"name": _text(f"//{package}"), **_counts(outcomes)})
        for outcome in outcomes:
            _case(suite, outcome)
    ET.indent(top)
    return bytes(ET.tostring(top, encoding="utf-8", xml_declaration=True)) + b"\n"


def _counts(outcomes: list[Outcome]) -> dict[str, str]:
    kinds = [_kind(outcome) for outcome in outcomes]
    numbers = {"failures": kinds.count("failure"), "errors": kinds.count("error"), "skipped": kinds.count("skipped")}
    return {
        "tests": str(len(outcomes)),
        **{name: str(count) for name, count in numbers.items()},
        "time": _time(sum(map(_seconds, outcomes))),
    }


def _kind(outcome: Outcome) -> str:
    if outcome.verdict == "failed":
        return "failure"
    if outcome.verdict == "not run":
        return "error" if outcome.event and outcome.event.reason.endswith(" failed") else "skipped"
    return ""


def _seconds(outcome: Outcome) -> float:
    """What a case took, also when that was in an earlier run."""
    return (outcome.event.seconds or outcome.event.saved) if outcome.event else 0.0


def _time(seconds: float) -> str:
    return f"{seconds:.3f}"


def _case(suite: ET.Element, outcome: Outcome) -> None:
    case = outcome.case
    name = case.label.removeprefix(f"//{case.package}:") + "".join(
        f" {word}" for word in dict.fromkeys((case.action, case.text)) if case.text
    )
    place = case.package.replace("/", ".") or "//"
    element = ET.SubElement(
        suite, "testcase", classname=_text(place), name=_text(name), file=_text(case.file), time=_time(_seconds(outcome))
    )
    kind, event = _kind(outcome), outcome.event
    if kind:
        found = ET.SubElement(element, kind, message=_text(event.reason if event else "nobody got to it"))
        failure = event.failure if event else None
        if failure is not None:
            found.set("type", "failure")
            lines = [f"declared at {failure.declared}", *([f"command: {failure.command}"] if failure.command else [])]
            found.text = _text("\n".join([*lines, *failure.problems]))
    if outcome.output:
        ET.SubElement(element, "system-out").text = _text(outcome.output)


def _text(text: str) -> str:
    return _NO_XML.sub("\ufffd", "\n".join(clean(line) for line in text.split("\n")))
