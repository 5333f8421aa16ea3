"""The reports of a build: what each form says, and that nobody else's text is markup, a command or a secret in it."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from graphbuild.ui.reports.forms import annotations, as_json, code_quality
from graphbuild.ui.reports.markdown import code, markdown
from graphbuild.ui.reports.record import Finding, Record
from graphbuild.values.events import ActionFinished, BuildFinished, Exported, Failure

DIGEST = "sha256:" + "ab" * 32
FAILURE = Failure("web/build.yaml:7", "false", 1, ("first", "tokenvalue | <b> `x`"), "/log")
EVENTS = (
    ActionFinished("//web:deps", "run", "built", "k", 3.5, "file a|b changed"),
    ActionFinished("//web:code", "copy", "cached", "k"),
    ActionFinished("//web:bad", "run", "failed", "k", 1, "exit code 1", failure=FAILURE),
    Exported("//web:web", "web/dist", "oci", 1_200_000, DIGEST),
    BuildFinished("failed", 1, 1, 1, 0, 4.5, 60),
)


def record(*events: object, secrets: tuple[str, ...] = ("tokenvalue",)) -> Record:
    made = Record(lambda file: f"sub/{file}")
    made.secrets.update(secrets)
    for event in events or EVENTS:
        made.handle(event, 0)
    return made


def test_markdown():
    said = markdown(record())
    assert said.startswith("## graphbuild: failed in 4.5s\n\n1 built, 1 cached, 1 failed; the cache saved 1m00s.\n")
    assert f"| {code('web/dist')} | {code('//web:web')} | oci | 1.2 MB | {code(DIGEST)} |\n" in said
    assert "sub/web/build&#46;yaml&#58;7" in said
    assert "&#42;&#42;&#42; &#124; &#60;b&#62; &#96;x&#96;" in said
    assert "tokenvalue" not in said
    assert f"| {code('//web:deps run')} | 3.5s | {code('file a|b changed')} |" in said


@given(st.text(max_size=50))
def test_text_is_no_markup(text):
    said = code(text)
    assert re.fullmatch(r"(<code>([A-Za-z0-9 /\-]|&#\d+;|[^\x00-\x7f])*</code>)?", said)


def test_a_summary_stays_small():
    flood = [ActionFinished(f"//:{number}", "run", "failed", reason="x" * 10_000, failure=FAILURE) for number in range(1000)]
    flood += [ActionFinished(f"//:{number}", "copy", "built", reason="y" * 10_000) for number in range(1000)]
    assert len(markdown(record(*flood))) < 500_000


def test_annotations():
    assert annotations(record().findings) == (
        "::error file=sub/web/build.yaml,line=7,col=1,title=//web%3Abad run failed::exit code 1%0Afirst%0A*** | <b> `x`\n"
    )
    assert annotations([Finding("warning", "t", "a\n::add-mask::b")]) == "::warning title=t::a%0A::add-mask::b\n"


def test_code_quality():
    said = json.loads(code_quality(record().findings))
    assert [{key: value for key, value in one.items() if key != "fingerprint"} for one in said] == [
        {
            "description": "//web:bad run failed: exit code 1",
            "check_name": "graphbuild/step-failed",
            "severity": "critical",
            "location": {"path": "sub/web/build.yaml", "lines": {"begin": 7}},
        }
    ]


def test_fingerprints_are_of_what_is_said_not_of_where():
    def fingerprints(*findings: Finding) -> list[str]:
        return [one["fingerprint"] for one in json.loads(code_quality(findings))]

    here, below, nowhere = (Finding("spec", "t", "text", path, line) for path, line in (("a", 1), ("a", 9), ("", 0)))
    assert fingerprints(here) == fingerprints(below)
    assert fingerprints(nowhere) == []
    twice = fingerprints(here, below)
    assert len(set(twice)) == 2
    assert twice[0] == fingerprints(here)[0]


def test_json():
    said = json.loads(as_json(record()))
    assert {name: said[name] for name in ("version", "status", "built", "cached", "failed", "skipped", "seconds", "saved")} == {
        "version": 1,
        "status": "failed",
        "built": 1,
        "cached": 1,
        "failed": 1,
        "skipped": 0,
        "seconds": 4.5,
        "saved": 60.0,
    }
    assert said["outputs"] == [{"label": "//web:web", "path": "web/dist", "format": "oci", "size": 1_200_000, "digest": DIGEST}]
    assert [one["label"] for one in said["built_actions"]] == ["//web:deps"]
    assert [one["line"] for one in said["findings"]] == [7]
    assert "tokenvalue" not in json.dumps(said)


def test_what_is_no_unicode_does_not_break_a_report():
    odd = record(ActionFinished("//:a", "run", "failed", reason="no \udcff", failure=Failure("x:1", output=("\x1b[31m\udc80",))))
    for text in (markdown(odd), annotations(odd.findings), code_quality(odd.findings).decode(), as_json(odd).decode()):
        assert "\ufffd" in text or "&#65533;" in text
        assert "\x1b" not in text
