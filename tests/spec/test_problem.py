"""Rendering: file, line, column, source, caret, hint; nothing forges a terminal."""

import pytest

from graphbuild.spec.problem import reader, render, suggest
from graphbuild.values.errors import Place, Problem, SpecPath

SOURCE = "steps:\n  deps:\n    from: b\n        rnu: pip install .\n"


def rendered(problem, text=SOURCE, *, color=False):
    return render(problem, color, lambda _file: text)


def test_golden():
    problem = Problem("unknown rule 'rnu'", Place("app/build.yaml", 4, 9, 3), "did you mean 'run'?")
    assert rendered(problem) == ("app/build.yaml:4:9: unknown rule 'rnu'\n    rnu: pip install .\n    ^^^\n  hint: did you mean 'run'?")


def test_golden_in_color():
    problem = Problem("wrong", Place("f", 1, 1, 5), "right")
    assert rendered(problem, color=True) == (
        "\x1b[1mf:1:1:\x1b[0m wrong\n    steps:\n    \x1b[1;31m^^^^^\x1b[0m\n  \x1b[36mhint:\x1b[0m right"
    )


def test_without_a_place():
    assert rendered(Problem("no store", None, "make one", ("note",))) == "no store\nnote\n  hint: make one"


def test_a_path_of_the_spec_is_looked_up():
    text = "steps:\n  a: {run: x}\n"
    assert rendered(Problem("no", SpecPath("f", ("steps", "a", "run"))), text) == "f:2:12: no\n    a: {run: x}\n             ^"


def test_notes_stand_before_the_hint():
    assert rendered(Problem("m", Place("f", 1), "h\nmore", ("one", "two"))).split("\n")[3:] == ["one", "two", "  hint: h", "        more"]


@pytest.mark.parametrize(
    ("line", "column", "length", "source", "caret"),
    [
        ("\tkey:\tvalue", 7, 5, "key: value", "     ^^^^^"),
        ("漢字: x", 5, 1, "漢字: x", "      ^"),
        ("a: 漢字", 4, 2, "a: 漢字", "   ^^^^"),
        ("e\u0301: x", 5, 1, "e\u0301: x", "   ^"),
        ("  a: b   ", 6, 1, "a: b", "   ^"),
        ("a: b", 50, 3, "a: b", "    ^"),
        ("a: b", 4, 50, "a: b", "   ^"),
        ("a: \x1b[31m\u202e", 4, 1, "a: \ufffd[31m\ufffd", "   ^"),
        ("a: b\r", 4, 1, "a: b", "   ^"),
    ],
)
def test_the_caret_stands_below_what_it_marks(line, column, length, source, caret):
    assert rendered(Problem("m", Place("f", 1, column, length)), line).split("\n") == [f"f:1:{column}: m", "    " + source, "    " + caret]


@pytest.mark.parametrize(("column", "length"), [(1, 1), (2000, 3), (3000, 1), (2999, 500), (1, 3000), (1500, 1)])
@pytest.mark.parametrize("character", ["x", "漢"])
def test_long_lines_are_cut_around_the_caret(column, length, character):
    _, source, caret = rendered(Problem("m", Place("f", 1, column, length)), character * 3000).split("\n")
    width = 2 if character == "漢" else 1
    assert len(source.replace("漢", "xx")) <= 4 + 101
    marked = caret.strip()
    assert len(caret) <= 4 + 101
    assert len(marked) == min(length * width, len(marked))
    assert "…" in source


def test_what_cannot_be_read_has_no_excerpt(tmp_path):
    problem = Problem("m", Place("gone.yaml", 3, 2), "h")
    assert render(problem, read=reader(tmp_path)) == "gone.yaml:3:2: m\n  hint: h"
    assert render(Problem("m", SpecPath("gone.yaml", ("a",))), read=reader(tmp_path)) == "gone.yaml:1:1: m"


def test_files_are_relative_to_the_root(tmp_path):
    (tmp_path / "b.yaml").write_text("a: b\n")
    assert "    a: b\n    ^" in render(Problem("m", Place("b.yaml", 1)), read=reader(tmp_path))


def test_messages_cannot_forge_the_terminal():
    assert "\x1b" not in rendered(Problem("a\x1b[2Jb", Place("f\x1b", 1), "\x1b]0;x", ("\x1b",)))


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [("rnu", ["run", "copy"], "did you mean 'run'?"), ("RUN", ["run"], "did you mean 'run'?"), ("zzz", ["run"], ""), ("x", [], "")],
)
def test_suggest(word, known, hint):
    assert suggest(word, known) == hint
