"""The end of a build of tests, as it is printed and as it is reported: whatever steps and specs say, the report is XML."""

import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from graphbuild.ui.junit import junit
from graphbuild.ui.tests import Case, TestResults
from graphbuild.values.events import ActionFinished, ActionOutput, BuildFinished, Failure


def results(*events, cases=(("//:a", "run"), ("//web:b", "files[0]"), ("//web:b", "config")), labels=("//:a", "//web:b")) -> TestResults:
    made = TestResults()
    made.expect(
        [Case(label, action, label[2:].partition(":")[0], "" if action == "run" else action, "build.yaml") for label, action in cases],
        labels,
    )
    for event in events:
        made.handle(event, 0)
    return made


def test_a_line_a_test_and_totals():
    made = results(
        ActionFinished("//:base", "import", "failed"),
        ActionFinished("//:a", "run", "skipped", reason="//:base#import failed"),
        ActionFinished("//web:b", "files[0]", "built", seconds=1.5),
        ActionFinished("//web:b", "config", "failed", seconds=0.25, reason="user is 'a'"),
        BuildFinished("failed", 1, 0, 2, 1, 12.0),
    )
    assert made.shown() == "//:a     not run  //:base#import failed\n//web:b  FAILED   1.8s, 1 of 2 checks\n"
    assert made.totals() == "failed in 12s: 2 tests, 1 failed, 1 not run, 1 step failed\n"
    root = ET.fromstring(junit(made))
    assert [(suite.get("name"), suite.get("errors"), suite.get("failures"), suite.get("time")) for suite in root] == [
        ("//", "1", "0", "0.000"),
        ("//web", "0", "1", "1.750"),
    ]
    assert [case.get("name") for case in root.iter("testcase")] == ["a", "b files[0]", "b config"]


def test_what_was_cached_is_as_good_as_what_passed():
    made = results(
        ActionFinished("//:a", "run", "built", seconds=2),
        ActionFinished("//web:b", "files[0]", "cached", saved=1),
        ActionFinished("//web:b", "config", "cached"),
        BuildFinished("ok", 1, 2, 0, 0, 2.0),
    )
    assert made.shown() == "//:a     passed  2.0s\n//web:b  cached\n"
    assert made.totals() == "ok in 2.0s: 2 tests, 1 passed, 1 cached\n"
    assert made.unchanged() == ("//:a     cached\n//web:b  cached\n", "ok: all 2 tests passed, up to date\n")


def test_tests_that_nobody_looked_at_again_are_told_in_their_place():
    made = results(
        ActionFinished("//:a", "run", "built"),
        BuildFinished("ok", 1, 0, 0, 0, 0.1),
        cases=[("//:a", "run")],
        labels=("//:0", "//:a", "//:z"),
    )
    assert made.shown() == "//:0  cached\n//:a  passed  0.0s\n//:z  cached\n"
    assert made.totals() == "ok in 0.1s: 3 tests, 1 passed, 2 cached\n"


def test_what_nobody_got_to_is_skipped():
    (case,) = ET.fromstring(junit(results(cases=[("//:a", "run")]))).iter("testcase")
    assert [child.tag for child in case] == ["skipped"]


def test_there_may_be_no_tests():
    made = results(BuildFinished("ok", 0, 0, 0, 0, 0.1), cases=(), labels=())
    assert (made.shown(), made.totals()) == ("", "ok in 0.1s: no tests\n")
    assert ET.fromstring(junit(made)).get("tests") == "0"


@given(st.text(), st.text(), st.text(max_size=40))
def test_any_text_makes_a_report(output: str, reason: str, command: str):
    failure = Failure("build.yaml:1", command, 1)
    made = results(
        ActionOutput("//:a", "run", output),
        ActionOutput("//:a", "run", "\ud800\ufffe\x00\x1b[31mred\n"),
        ActionFinished("//:a", "run", "failed", reason=reason, failure=failure),
        cases=[("//:a", "run")],
    )
    (case,) = ET.fromstring(junit(made)).iter("testcase")
    text = case.find("system-out").text
    assert text.endswith("red\n")
    assert not [char for char in text if char < " " and char not in "\n\t"]


@given(st.lists(st.text(alphabet="ab\n", max_size=9000), max_size=6))
def test_the_end_of_what_a_test_wrote_is_kept(pieces: list[str]):
    made = results(
        *(ActionOutput("//:a", "run", piece) for piece in pieces), ActionFinished("//:a", "run", "built"), cases=[("//:a", "run")]
    )
    (outcome,) = made.outcomes()
    assert outcome.output == "".join(pieces)[-(16 << 10) :]
