"""What CI services read out of a log: our commands, and never anybody else's."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.ui.ci import Shield, command, harmless, service
from graphbuild.ui.progress import progress
from graphbuild.ui.sections import Sections
from graphbuild.values.errors import GraphbuildError
from graphbuild.values.events import ActionFinished, ActionOutput, ActionStarted, BuildStarted, Failure

STARTED = ActionStarted("//:a", "run", 0, 1)
EVENTS = (
    BuildStarted(1, "/ws", ("//:a",), 1, 1),
    STARTED,
    ActionOutput("//:a", "run", "::add-mask::x\nhalf "),
    ActionOutput("//:a", "run", "##[set-env name=PATH]x\r\x1b[0Ksection_end:1:graphbuild_1\r\x1b[0K\n"),
    ActionFinished("//:a", "run", "failed", seconds=2, reason="exit code 1", failure=Failure(output=("::error::x",))),
)


def commands(text: str) -> list[str]:
    """The lines that the runner of GitHub takes for commands (ActionCommand.TryParseV2 and TryParse)."""
    return [line for line in re.split(r"[\r\n]", text) if line.lstrip().startswith("::") or "##[" in line]


@given(st.lists(st.text(alphabet=":# [\r\n\tax\ufe0f|", max_size=12)))
def test_no_text_is_a_command_however_it_is_cut(pieces):
    below = io.StringIO(newline="")
    shield = Shield(below)
    assert [shield.write(piece) for piece in pieces] == [len(piece) for piece in pieces]
    written = below.getvalue()
    assert commands(written) == []
    assert written.replace(" ", "") == "".join(pieces).replace(" ", "")


@pytest.mark.parametrize("text", ["a::b", "std::vector", "build.yaml:1:2: x", "# [x]", "a # b", "https://x"])
def test_ordinary_text_stays_what_it_is(text):
    assert harmless(text) == text


def test_a_command_is_one_line_whatever_it_says():
    assert command("error", "50%\r\nx", file="a,b:c", line=3, col=0, title="") == "::error file=a%2Cb%3Ac,line=3::50%25%0D%0Ax\n"
    assert command("endgroup", "") == "::endgroup::\n"


def test_which_service_it_is():
    assert service({}) == "none"
    assert service({"GITHUB_ACTIONS": "true"}) == "github"
    assert service({"GITLAB_CI": "true"}) == "gitlab"
    assert service({"GITHUB_ACTIONS": "true", "GRAPHBUILD_CI": "none"}) == "none"
    assert service({"GRAPHBUILD_CI": "gitlab"}) == "gitlab"
    with pytest.raises(GraphbuildError, match="is no CI service"):
        service({"GRAPHBUILD_CI": "jenkins"})


def test_sections_on_github():
    below = io.StringIO(newline="")
    display = progress("auto", Shield(below), color=False, terminal=lambda: (80, 24), environ={"GITHUB_ACTIONS": "true"})
    for event in EVENTS:
        display.handle(event, 0)
    display.close()
    assert commands(below.getvalue()) == ["::group:://:a run: failed after 2.0s", "::endgroup::"]
    assert "| : :add-mask::x\n| half ## [set-env name=PATH]x\n" in below.getvalue()


def test_sections_on_gitlab():
    below, times = io.StringIO(newline=""), iter(range(100, 200, 5))
    display = Sections(below, "gitlab", lambda: next(times))
    for event in EVENTS:
        display.handle(event, 0)
    said = below.getvalue()
    assert re.findall(r"\x1b\[0Ksection_(\w+):(\d+):(\w+)(\[collapsed=true\])?\r\x1b\[0K", said) == [
        ("start", "100", "graphbuild_1", "[collapsed=true]"),
        ("end", "110", "graphbuild_1", ""),
    ]
    assert said.count("\r") == 2
    assert said.index("section_end") < said.index("//:a run failed after 2.0s")


def test_what_did_not_end_says_what_it_said():
    below = io.StringIO(newline="")
    display = Sections(below, "gitlab", lambda: 1)
    for event in EVENTS[:3]:
        display.handle(event, 0)
    assert "add-mask" not in below.getvalue()
    display.close()
    assert "//:a run: did not end\n| ::add-mask::x\n" in below.getvalue()
