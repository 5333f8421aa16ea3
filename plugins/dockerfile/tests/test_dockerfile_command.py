"""`graphbuild dockerfile` where it builds nothing, and where it is asked for what cannot be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_TEXT = """\
FROM scratch AS files
COPY a /a
FROM scratch
COPY --from=files /a /b
MAINTAINER me
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GRAPHBUILD_STORE": str(folder / "store")}
    command = [sys.executable, "-m", "graphbuild", "dockerfile", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "Dockerfile").write_text(_TEXT)
    (tmp_path / "web" / "a").write_text("a\n")
    return tmp_path


def test_the_graph_shows_what_stands_on_what(context):
    lines = run(context, "web", "--print-graph").stdout.splitlines()
    assert lines[0] == "flowchart TD"
    assert '  s1["1<br/>4 COPY --from=files /a /b<br/>5 MAINTAINER me"]' in lines
    assert "  s0 -. files .-> s1" in lines
    assert not (context / "store").exists()


def test_check_names_what_it_finds_and_fails(context):
    done = run(context, "web", "--check")
    assert (done.returncode, "Dockerfile:5: MaintainerDeprecated: " in done.stdout) == (1, True)
    (context / "web" / "Dockerfile").write_text("FROM scratch\nCOPY a /a\n")
    assert run(context, "web", "--check").returncode == 0


def test_check_knows_what_is_ignored_and_what_platform_it_is(context):
    (context / "web" / "Dockerfile").write_text("# check=experimental=all\nFROM base:$TARGETARCH\nCOPY a /a\n")
    (context / "web" / ".dockerignore").write_text("a\n")
    done = run(context, "web", "--check")
    assert [line.split(":")[2].strip() for line in done.stdout.splitlines() if "Dockerfile:" in line] == ["CopyIgnoredFile"]


def test_a_tree_comes_out_as_a_folder(context):
    done = run(context, "web", "-o", "dir:out")
    assert done.returncode == 0, done.stderr
    assert (context / "out" / "b").read_text() == "a\n"
    assert "MaintainerDeprecated" in done.stderr


def test_explain_names_the_instruction_and_its_line(context):
    words = ("web", "-o", "dir:out", "--explain")
    before = run(context, *words)
    assert (before.returncode, "was never built" in before.stderr) == (1, True)
    assert run(context, *words[:-1]).returncode == 0
    (context / "web" / "a").write_text("another\n")
    assert run(context, *words[:-1]).returncode == 0
    said = run(context, *words).stdout
    assert "//:web files/1 COPY: built in" in said
    assert "\n  web/Dockerfile:2: COPY a /a\n  because file /a changed" in said
    assert "\n  web/Dockerfile:4: COPY --from=files /a /b\n" in said


def test_a_syntax_is_accepted_and_ignored_with_a_word(context):
    (context / "web" / "Dockerfile").write_text("# syntax=docker/dockerfile:1\nFROM scratch AS one\nCOPY a /a\n")
    rule = "{dockerfile: {context: web, target: one}}"
    (context / "build.yaml").write_text(f"steps: {{one: {rule}, two: {rule}}}\n")
    said = run(context, "web", "-o", "dir:out")
    word = "web/Dockerfile: # syntax=docker/dockerfile:1 is not fetched"
    assert (said.returncode, said.stderr.count(word)) == (0, 1)
    environment = {"PATH": os.environ["PATH"], "HOME": str(context), "GRAPHBUILD_STORE": str(context / "store")}
    command = [sys.executable, "-m", "graphbuild", "run", ":one", ":two"]
    both = subprocess.run(command, cwd=context, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (both.returncode, both.stderr.count(word)) == (0, 1)


def test_a_dry_run_names_the_instruction(context):
    assert "COPY\n          web/Dockerfile:2: COPY a /a\n          it was never built here\n" in run(context, "web", "-n").stdout


def test_a_failure_names_the_instruction(context):
    (context / "web" / "Dockerfile").write_text('FROM scratch\nRUN ["/missing", \\\n  "word"]\n')
    done = run(context, "web")
    assert done.returncode == 1
    assert "web/Dockerfile:2\n" in done.stderr
    assert '  instruction: RUN ["/missing", "word"]\n' in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "'nowhere' is not a folder"),
        (("web", "-f", "none"), "no such file: none"),
        (("web", "--target", "none"), 'target stage "none" could not be found'),
        (("web", "-o", "zip:x"), "unknown format 'zip'"),
        (("web", "--build-context", "x=none"), "no such folder: none"),
        (("web", "--platform", "a/b/c/d"), "is no platform"),
    ],
)
def test_what_cannot_be_is_said(context, words, said):
    done = run(context, *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
