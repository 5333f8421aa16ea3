"""Completion: the candidates, and the scripts in the shells that are here."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from graphbuild.cli.completion import SHELLS, complete, script
from graphbuild.values.errors import GraphbuildError

COMMANDS = {
    "run": ("-j=", "--jobs=", "-k", "--keep-going", "--offline", "--progress=auto|tty|plain|quiet", "--store="),
    "explain": ("--json",),
    "completion": (),
}
LABELS = ("//:site", "//web:deps", "//web:web", "//web:t[py=3.11]", "//$(reboot):x", "//a b:c", "//日本:x")


@pytest.mark.parametrize(
    ("words", "candidates"),
    [
        ([], ["completion", "explain", "run"]),
        ([""], ["completion", "explain", "run"]),
        (["r"], ["run"]),
        (["run", "--o"], ["--offline"]),
        (["run", "-"], ["--jobs", "--keep-going", "--offline", "--progress", "--store", "-j", "-k"]),
        (["run", "--progress", ""], ["auto", "plain", "quiet", "tty"]),
        (["run", "--progress=t"], ["--progress=tty"]),
        (["run", "--offline=t"], []),
        (["run", "--store", ""], []),
        (["run", "-k", "//w"], ["//web:deps", "//web:t[py=3.11]", "//web:web"]),
        (["run", "//web:d"], ["//web:deps"]),
        (["run", "-//web:d"], ["-//web:deps"]),
        (["run", "--", "-"], []),
        (["run", "--", ""], ["//:site", "//web:deps", "//web:t[py=3.11]", "//web:web"]),
        (["explain", "--progress", ""], ["//:site", "//web:deps", "//web:t[py=3.11]", "//web:web"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["unknown", ""], []),
    ],
)
def test_candidates(words, candidates):
    assert complete(words, COMMANDS, lambda: LABELS) == candidates


def test_labels_are_not_looked_up_in_vain():
    for words in ([""], ["run", "--"], ["run", "--progress", ""], ["completion", ""]):
        complete(words, COMMANDS, lambda: pytest.fail("labels were read"))


def test_what_a_shell_would_not_read_as_one_word_is_never_offered():
    offered = complete(["run", "//"], COMMANDS, lambda: [*LABELS, "//`x`:y", "//a;b:c", "//a\nb:c", "[x]"])
    assert offered == ["//:site", "//web:deps", "//web:t[py=3.11]", "//web:web"]


def test_a_shell_without_completion():
    with pytest.raises(GraphbuildError, match="no completion for 'csh'"):
        script("csh")


@pytest.fixture
def program(tmp_path):
    """A `graphbuild` that answers `__complete` as the real one does, and an environment that finds it."""
    file = tmp_path / "graphbuild"
    root = Path(__file__).resolve().parents[2]
    file.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(root)!r})\nfrom graphbuild.cli.completion import complete\n"
        f"assert sys.argv[1] == '__complete'\nprint(*complete(sys.argv[2:], {COMMANDS!r}, lambda: {LABELS!r}), sep='\\n', end='')\n"
    )
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}


def in_bash(environment, line, wordbreaks):
    """What bash would insert for the word under the cursor at the end of `line`."""
    driver = (
        f"{script('bash')}\n"
        f"COMP_WORDBREAKS=$'{wordbreaks}'\n"
        'COMP_LINE=$1 COMP_POINT=${#1}\n_graphbuild\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(["bash", "--norc", "-c", driver, "bash", line], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


USUAL = " \\t\\n\"\\'><=;|&(:"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("line", "usual", "without_colon"),
    [
        ("graphbuild r", ["run"], ["run"]),
        ("graphbuild run //web:", ["deps", "t[py=3.11]", "web"], ["//web:deps", "//web:t[py=3.11]", "//web:web"]),
        ("graphbuild run //web:t[py=", ["3.11]"], ["3.11]"]),
        ("graphbuild run -//web:d", ["deps"], ["-//web:deps"]),
        ("graphbuild run --progress=p", ["plain"], ["plain"]),
        ("graphbuild run --progress p", ["plain"], ["plain"]),
        ("graphbuild run --of", ["--offline"], ["--offline"]),
        ("graphbuild completion ", ["bash", "fish", "zsh"], ["bash", "fish", "zsh"]),
    ],
)
def test_the_bash_script(program, line, usual, without_colon):
    assert in_bash(program, line, USUAL) == usual
    assert in_bash(program, line, USUAL.replace(":", "")) == without_colon


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_valid_for_its_shell(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    file = tmp_path / "script"
    file.write_text(script(shell))
    subprocess.run([shell, "-n", str(file)], check=True)


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
def test_the_fish_script(program, tmp_path):
    (tmp_path / "script").write_text(script("fish"))
    command = f"source {tmp_path}/script; complete -C 'graphbuild run //web:d'"
    done = subprocess.run(["fish", "--no-config", "-c", command], env=program, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["//web:deps"]
