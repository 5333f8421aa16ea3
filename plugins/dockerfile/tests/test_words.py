"""Expansion and splitting of words. What Docker 28.5.2 makes of the same words is in test_docker_verdicts.py."""

import pytest
from graphbuild_dockerfile.words import HEREDOC, MAX_SIZE, Mode, expand, expand_words, expansion
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.rules import GraphbuildError

ENV = {"X": "abc", "E": "", "P": "/a/b.c.tar.gz", "S": " a  b ", "U": "über", "Q": "a'b\"c", "STAR": "a*c"}


def mistake(word: str, escape: str = "\\") -> str:
    with pytest.raises(GraphbuildError) as caught:
        expand(word, ENV, escape)
    return caught.value.problems[0].message


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("$X${X}x", "abcabcx"),
        ("$Xx", ""),
        ("he$1x", "hex"),
        ("$", "$"),
        ("a$", "a$"),
        ("$.", "$."),
        ("$$", ""),
        ("$@x$*$?$-$!$0", "x"),
        ("$12x", "x"),
        ("\\$X", "$X"),
        ("\\\\$X", "\\abc"),
        ("'$X'", "$X"),
        ("'a\\'", "a\\"),
        ('"$X"', "abc"),
        ('"\\$X\\"\\\\\\a"', '$X"\\\\a'),
        ("a\"b c\"d'e f'", "ab cde f"),
        ("\\a", "a"),
        ("a\\", "a"),
        ('"a\\', None),
        ("$S", " a  b "),
        ("$Q", "a'b\"c"),
        ("ü$U", "üüber"),
        ("\ufeffa", "a"),
        ("\ufeff$X", "abc"),
    ],
)
def test_quotes_and_escapes_go_and_variables_are_replaced(word: str, expected: str | None):
    if expected is None:
        assert "matching double-quote" in mistake(word)
    else:
        assert expand(word, ENV) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("${X:-d}${E:-d}${N:-d}", "abcdd"),
        ("${X-d}${E-d}${N-d}", "abcd"),
        ("${X:+d}|${E:+d}|${N:+d}", "d||"),
        ("${X+d}|${E+d}|${N+d}", "d|d|"),
        ("${X:?m}${X?m}${E?m}", "abcabc"),
        ("${N:-$X}", "abc"),
        ("${N:-${M:-${X}}}", "abc"),
        ("${N:-'a b'\"$X\"}", "a babc"),
        ("${N:-a\\}b}", "a}b"),
        ("${N:-}", ""),
        ("${P#*.}", "c.tar.gz"),
        ("${P##*.}", "gz"),
        ("${P%.*}", "/a/b.c.tar"),
        ("${P%%.*}", "/a/b"),
        ("${P%/*}", "/a"),
        ("${X#?}", "bc"),
        ("${X#b}", "abc"),
        ("${X%c}", "ab"),
        ("${X##*}|${X#*}", "|abc"),
        ("${STAR#a\\*}", "c"),
        ("${STAR%\\*c}", "a"),
        ("${P/\\//-}", "-a/b.c.tar.gz"),
        ("${P//\\//-}", "-a-b.c.tar.gz"),
        ("${P//./}", "/a/bctargz"),
        ("${P/b*r/X}", "/a/X.gz"),
        ("${X/b/$P}", "a/a/b.c.tar.gzc"),
        ("${X//b/[\\$0]}", "a[\\b]c"),
        ("${X//b/'$0'}", "abc"),
        ("${X//**//}", "/"),
        ("${X//z/y}", "abc"),
        ("${N#a}${N/a/b}", ""),
        ("${X/[/}", "abc"),
        ("${X%.}", "abc"),
        ("${U/ü/ue}", "ueber"),
    ],
)
def test_modifiers(word: str, expected: str):
    assert expand(word, ENV) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("${", "syntax error: missing '}'"),
        ("${X", "syntax error: missing '}'"),
        ("${X:-", "syntax error: missing '}'"),
        ("${X:-'", "syntax error: missing '}'"),
        ("${X/a", "syntax error: missing '/' in ${}"),
        ("${X/a/b", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${{X}}", "syntax error: bad substitution"),
        ("${:X}", "syntax error: bad substitution"),
        ("${X^}", "unsupported modifier (^) in substitution"),
        ("${X:^a}", "unsupported modifier (:^) in substitution"),
        ("${X:#a}", "unsupported modifier (:#) in substitution"),
        ("${X:%a", "unsupported modifier (:%) in substitution"),
        ("${X:/a/b}", "unsupported modifier (:/) in substitution"),
        ("${X[0]}", "unsupported modifier ([) in substitution"),
        ("'", "unexpected end of statement while looking for matching single-quote"),
        ('"', "unexpected end of statement while looking for matching double-quote"),
        ("${N?}", "N: is not allowed to be unset"),
        ("${N:?}", "N: is not allowed to be unset"),
        ("${E:?}", "E: is not allowed to be empty"),
        ("a${N?no $X}", "N: no abc"),
        ("${X#\\a}", "invalid pattern (\\a) in substitution: invalid escape '\\a'"),
    ],
)
def test_mistakes_are_said_in_the_words_of_buildkit(word: str, expected: str):
    message = mistake(word)
    assert message.startswith("failed to process ")
    assert message.endswith(f": {expected}")


def test_the_word_is_shown_as_go_quotes_it():
    assert mistake('"\t\\').startswith('failed to process "\\"\\t\\\\": ')


def test_the_escape_character_is_that_of_the_file():
    assert expand("`$X \\$X `` \\", ENV, "`") == "$X \\abc ` \\"
    assert expand("${N:-a`}b}", ENV, "`") == "a}b"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ("$S", ["a", "b"]),
        ('"$S"', [" a  b "]),
        ("x$S", ["x", "a", "b"]),
        ("'a b'c d", ["a bc", "d"]),
        ("a\\ b c", ["a b", "c"]),
        ("'' \"\" a", ["a"]),
        ("$N", []),
        ("", []),
        ("a << b c", ["a", "<< b", "c"]),
        ("${X} ${P}", ["abc", "/a/b.c.tar.gz"]),
        ("a\u2003b\u001cc", ["a", "b\u001cc"]),
    ],
)
def test_words_split_where_no_quotes_are(word: str, expected: list[str]):
    assert expand_words(word, ENV) == expected


def test_names_are_told_apart_by_whether_they_were_set():
    found = expansion("$X${N:-$E}${M+a}$1", ENV)
    assert (found.used, found.unset) == (("E", "X"), ("1", "M", "N"))


def test_raw_modes_leave_things_as_they_are():
    text = "$X '$N' \"${N:-a}${N/b/c}\" \\d ${N#*e} $N"
    assert expansion(text, ENV, "\\", Mode(raw_quotes=True, raw_escapes=True, skip_unset=True)).text == text.replace("$X", "abc")


def test_in_a_heredoc_quotes_are_ordinary_and_escapes_work():
    assert expansion("'$X' \"$N\" \\$X \\\\ it's", ENV, "\\", HEREDOC).text == "'abc' \"\" $X \\ it's"


def test_deep_nesting_is_refused():
    assert "nested too deeply" in mistake("${N:-" * 5000 + "}" * 5000)


def test_what_doubles_too_often_is_refused():
    env = {"A": "x" * (MAX_SIZE // 2 + 1)}
    with pytest.raises(GraphbuildError, match="longer than"):
        expand("$A$A", env)


def test_many_stars_do_not_take_forever():
    assert expand("${A%%" + "*a" * 40 + "b}", {"A": "a" * 2000}) == "a" * 2000
    assert expand("${A//" + "*a" * 40 + "b/}", {"A": "a" * 300}) == "a" * 300


PLAIN = st.text(st.characters(exclude_characters="$'\"\\\ufeff", exclude_categories=["Cs"]))


@given(PLAIN)
def test_a_word_without_anything_special_is_itself(word: str):
    assert expand(word, ENV) == word


@given(PLAIN)
def test_what_is_quoted_is_itself(word: str):
    assert expand(f"'{word}'", ENV) == expand(f'"{word}"', ENV) == word


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_escaped_is_itself(word: str):
    assert expand("".join(f"\\{char}" for char in word), ENV) == word


WILD = st.text(st.sampled_from("$X{}EN:-+?#%/*'\"\\ab \t`<.ü"), max_size=25)


@given(WILD, st.sampled_from("\\`"), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_nothing_but_a_mistake_is_ever_raised(word: str, escape: str, quotes: bool, escapes: bool, skip: bool, unset: bool):
    try:
        found = expansion(word, ENV, escape, Mode(quotes, escapes, skip, unset))
    except GraphbuildError:
        return
    assert all(found.words)
    assert set(found.used) <= set(ENV)
    assert set(found.unset).isdisjoint(ENV)


@given(WILD)
def test_the_fast_way_and_the_long_way_agree(word: str):
    if not any(char in word for char in "$'\"\\"):
        assert "".join(expand_words(word, {})) == "".join(expand_words(word + '""', {}))
