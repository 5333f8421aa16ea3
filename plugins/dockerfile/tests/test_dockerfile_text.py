"""A Dockerfile's text as nodes."""

import pytest
from graphbuild_dockerfile.text import Heredoc, Node, Script, heredoc_of, read

from graphbuild.rules import GraphbuildError, Place


def node(text: str) -> Node:
    (only,) = read(text, "Dockerfile").nodes
    return only


def nodes(text: str) -> Script:
    return read(text, "Dockerfile")


def problems(text: str) -> list[tuple[str, int]]:
    with pytest.raises(GraphbuildError) as caught:
        read(text, "Dockerfile")
    return [(each.message, each.place.line) for each in caught.value.problems]


def test_an_instruction_knows_its_spelling_its_lines_and_what_it_says():
    found = node("\n  From  alpine \\\n   AS base  \n")
    assert (found.keyword, found.spelling, found.words) == ("FROM", "From", ("alpine", "AS", "base"))
    assert (found.line, found.end_line, found.code) == (2, 3, "From  alpine    AS base  ")
    assert found.source == ("  From  alpine \\", "   AS base  ")
    assert (found.rest, found.is_array, found.flags) == ("alpine    AS base", False, ())


def test_comments_and_blank_lines_inside_a_continuation_vanish():
    found = node("RUN a \\\n# comment\n\n  # another \\\n && b\n")
    assert found.words == ("a  && b",)
    assert (found.line, found.end_line, found.empty_continuation) == (1, 5, 5)


def test_a_blank_line_inside_is_noticed_at_the_end_of_the_logical_line_not_of_its_heredoc():
    found = node("RUN <<EOF \\\n\n  x\nbody\nEOF\n")
    assert (found.empty_continuation, found.end_line) == (3, 5)


def test_spaces_may_follow_a_continuation_and_are_kept_before_it():
    assert node("RUN a  \\ \t\n  b").words == ("a    b",)


def test_a_doubled_escape_does_not_continue():
    assert [each.keyword for each in nodes("ENV a=b\\\\\nRUN x\n").nodes] == ["ENV", "RUN"]


def test_a_continuation_at_the_end_of_the_file_ends_with_it():
    assert node("RUN a \\").words == ("a",)


def test_a_line_of_only_an_escape_continues_into_the_next():
    assert node("\\\n\nRUN x\n").words == ("x",)


def test_the_escape_directive_changes_what_continues_and_what_escapes_in_flags():
    found = node("# escape=`\nRUN --network=n`one `\n a\\\n")
    assert (found.flags, found.words) == (("--network=none",), ("a\\",))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (
            "# syntax=docker/dockerfile:1 extra\n# check=skip=all;error=true\n#escape = `\n",
            ("docker/dockerfile:1", "skip=all;error=true", "`"),
        ),
        ("#Syntax=a\n\n# check=skip=all\n", ("a", "", "\\")),
        ("# comment\n# check=skip=all\n", ("", "", "\\")),
        ("# unknown=1\n# check=skip=all\n", ("", "", "\\")),
        ("#!/usr/bin/env x\n# check=skip=all\n# escape=`\n", ("", "skip=all", "\\")),
        (" # check=skip=all\n# escape=`\n", ("", "", "`")),
        ("\ufeff# check=skip=all\n", ("", "skip=all", "\\")),
    ],
)
def test_directives_are_the_first_lines_only(head: str, expected: tuple[str, str, str]):
    found = nodes(head + "FROM x\n").directives
    assert (found.syntax, found.check, found.escape) == expected


def test_the_line_of_the_check_directive_is_known():
    assert nodes("# syntax=x\n# check=skip=all\nFROM x").directives.check_line == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ("the Dockerfile cannot be empty", 1)),
        ("\n# only a comment\n", ("file with no instructions", 2)),
        ("# escape=x\nFROM x\n", ("invalid escape token 'x' does not match ` or \\", 1)),
        ("# escape=`\n# escape=`\nFROM x\n", ("only one escape parser directive can be used", 2)),
        ("FROM x\nRUN <<EOF\nabc\n", ("unterminated heredoc", 2)),
        ("FROM x\nENV a\n", ("ENV must have two arguments", 2)),
        ("FROM x\nENV a=b c\n", ('Syntax error - can\'t find = in "c". Must be of the form: name=value', 2)),
        ("FROM x\nCMD [1]\n", ("when using JSON array syntax, arrays must be comprised of strings only", 2)),
        ("FRM x\n", ("unknown instruction: FRM (did you mean FROM?)", 1)),
        ("frmo x\n", ("unknown instruction: frmo (did you mean from?)", 1)),
        ("XYZZY x\n", ("unknown instruction: XYZZY", 1)),
        ("FROM x\nRUN " + "a" * 65532, ("dockerfile line greater than max allowed size of 65535", 2)),
    ],
)
def test_mistakes_are_said_in_the_words_of_buildkit(text: str, expected: tuple[str, int]):
    assert problems(text) == [expected]


def test_a_line_of_exactly_the_limit_is_read():
    assert len(node("RUN " + "a" * 65531 + "\n").words[0]) == 65531


def test_the_limit_counts_bytes():
    assert problems("RUN " + "é" * 40000)[0][0].startswith("dockerfile line greater")


def test_all_mistakes_are_told_at_once():
    assert [line for _, line in problems("FRM x\nENV a\nCMD [1]\nRUN <<E\n")] == [1, 2, 3, 4]


def test_a_file_of_windows_is_read_as_if_its_lines_ended_as_ours():
    ours, theirs = nodes("FROM a\nRUN b \\\n c\nENV x=y\n"), nodes("FROM a\r\nRUN b \\\r\n c\r\nENV x=y\r\n")
    assert [each.words for each in ours.nodes] == [each.words for each in theirs.nodes]
    assert theirs.nodes[1].source == ("RUN b \\", " c")


def test_comments_above_an_instruction_are_kept_as_they_stand_and_directives_are_not():
    first, second = nodes("# escape=`\n# one\n\n  #two\nFROM a\nRUN b\n").nodes
    assert (first.comments, second.comments) == (("# one", "  #two"), ())


@pytest.mark.parametrize(
    ("rest", "flags", "words"),
    [
        ("--a=b --c d", ("--a=b", "--c"), ("d",)),
        ("--a='b c'\"d\" x", ("--a=b cd",), ("x",)),
        ("--a=b\\ c x", ("--a=b c",), ("x",)),
        ("-- --a=b x", (), ("--a=b x",)),
        ("x --a", (), ("x --a",)),
        ("--a", ("--a",), ()),
        ("--", (), ()),
        ("-a x", (), ("-a x",)),
        ("--a=\\", ("--a=",), ()),
        ("--a=é\u00a0x", ("--a=é",), ("x",)),
    ],
)
def test_flags_are_the_first_words_with_two_dashes(rest: str, flags: tuple[str, ...], words: tuple[str, ...]):
    found = node(f"RUN {rest}")
    assert (found.flags, found.words) == (flags, words)


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ('["a", "b\\u0041\\n"]', ("a", "bA\n")),
        (' [ "a" ] ', ("a",)),
        ("[]", ()),
        ('["\\ud800"]', ("\ufffd",)),
    ],
)
def test_an_array_of_json_is_taken_as_one(rest: str, expected: tuple[str, ...]):
    found = node(f"CMD {rest}")
    assert (found.is_array, found.words) == (True, expected)


@pytest.mark.parametrize(
    "rest",
    ["['a']", '["a",]', '["a" "b"]', '["a"] b', "[", '["a\tb"]', "[NaN]", "[-Infinity]", "[1e999]", "[01]", '["\\x"]', '{"a":1}', '"a"'],
)
def test_what_is_no_json_is_text_for_a_shell(rest: str):
    found = node(f"CMD {rest}")
    assert (found.is_array, found.words) == (False, (rest,))


@pytest.mark.parametrize("rest", ["[1]", '["a", null]', "[[]]", "[{}]", "[true]", "[" * 5000 + "]" * 5000])
def test_an_array_of_anything_but_strings_is_a_mistake(rest: str):
    assert problems(f"CMD {rest}") == [("when using JSON array syntax, arrays must be comprised of strings only", 1)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ENV a b  c ", ("a", "b  c", "")),
        ("ENV a b=c", ("a", "b=c", "")),
        ("ENV a=b c=", ("a", "b", "=", "c", "", "=")),
        ("ENV a=\"b c\" 'd e'=f\\ g", ("a", '"b c"', "=", "'d e'", "f\\ g", "=")),
        ("LABEL a=b=c", ("a", "b=c", "=")),
        ('ARG a b=c "d"=e', ("a", "b=c", '"d"=e')),
        ("EXPOSE  80\t90 ", ("80", "90")),
        ("USER a  b ", ("a  b",)),
        ("VOLUME a b", ("a", "b")),
        ('VOLUME ["a b"]', ("a b",)),
        ("COPY [a b", ("[a", "b")),
        ("HEALTHCHECK CMD a  b", ("CMD", "a  b")),
        ('HEALTHCHECK cmd ["a"]', ("cmd", "a")),
        ("HEALTHCHECK NONE", ("NONE",)),
        ('ONBUILD run ["a"]', ("run", "a")),
        ("ONBUILD foo a", ("foo",)),
        ("RUN", ()),
    ],
)
def test_each_instruction_splits_its_words_in_its_own_way(text: str, words: tuple[str, ...]):
    assert node(text).words == words


def test_heredocs_are_read_in_the_order_of_their_announcement():
    found = node("COPY <<one <<-'two' 3<<three /dest/\n# a\none\n\tb\n\ttwo\nc \\\nthree\n")
    assert found.heredocs == (
        Heredoc("one", "# a\n"),
        Heredoc("two", "\tb\n", expand=False, chomp=True),
        Heredoc("three", "c \\\n", fd=3),
    )
    assert found.heredocs[1].body == "b\n"
    assert (found.line, found.end_line, found.code) == (1, 7, "COPY <<one <<-'two' 3<<three /dest/")


def test_a_heredoc_keeps_the_line_ends_it_has():
    assert node("RUN <<E\r\na\r\nb\nE\r\n").heredocs[0].content == "a\r\nb\n"


def test_only_tabs_are_stripped_and_only_where_asked_for():
    assert Heredoc("E", "\t\ta\n \tb\n\t\n", chomp=True).body == "a\n \tb\n\n"
    assert Heredoc("E", "\ta\n").body == "\ta\n"


@pytest.mark.parametrize(
    ("word", "name", "expand"),
    [
        ("<<EOF", "EOF", True),
        ("<< EOF", "EOF", True),
        ("<<'EOF'", "EOF", False),
        ('<<"EOF"', "EOF", False),
        ("<<E'O'F", "EOF", False),
        ("<<E\\'F", "E'F", True),
        ("<<\\EOF", "EOF", True),
        ("<<'E F'", "E F", False),
        ("<<$X", "$X", True),
        ("<<EOF)", "EOF)", True),
    ],
)
def test_a_quoted_name_of_a_heredoc_forbids_expansion(word: str, name: str, expand: bool):
    assert heredoc_of(word) == Heredoc(name, "", expand)


@pytest.mark.parametrize("word", ["<<", "<<-", "<<<EOF", "a<<EOF", "<<a<b", "EOF", "", "<<a b"])
def test_other_words_announce_no_heredoc(word: str):
    assert heredoc_of(word) is None


@pytest.mark.parametrize(
    "line",
    [
        'RUN ["<<EOF"]',
        'RUN "<<EOF"',
        "RUN '<<EOF'",
        "RUN cat \\<<EOF",
        "RUN cat<<EOF",
        "RUN <<<EOF",
        "RUN cat <<EOF'",
        "RUN <<- EOF",
        "ENV a=<<EOF",
        "CMD <<EOF",
        "ONBUILD CMD <<EOF",
    ],
)
def test_what_only_looks_like_a_heredoc_takes_no_lines(line: str):
    assert [each.keyword for each in nodes(f"{line}\nUSER EOF\n").nodes][1:] == ["USER"]


def test_a_trigger_can_hold_a_heredoc():
    assert node("ONBUILD RUN <<E\nx\nE\n").heredocs == (Heredoc("E", "x\n"),)


def test_a_place_is_where_a_fragment_first_stands():
    found = node("# c\n  RUN --mount=type=x \\\n --network=none y\n")
    assert found.place("f", "--network") == Place("f", 3, 2, 9)
    assert found.place("f") == Place("f", 2, 3, 3)
    assert found.place("f", "nowhere") == found.place("f")
