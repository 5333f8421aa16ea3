"""YAML as plain data: what is read, what is refused, and that hostile text costs little."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.spec.package import parse_package
from graphbuild.spec.problem import find_place, render
from graphbuild.spec.yaml import MAX_BYTES, MAX_DEPTH, MAX_PROBLEMS, load, locate
from graphbuild.values.errors import GraphbuildError, Place, SpecPath

both = pytest.mark.parametrize("pure", [False, True], ids=["libyaml", "pure"])


def said(data, *, pure=False):
    with pytest.raises(GraphbuildError) as caught:
        load(data, "f.yaml", pure=pure)
    return [(problem.place.line, problem.place.column, problem.message) for problem in caught.value.problems]


@both
@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", None),
        ("# only a comment\n", None),
        ("a: b", {"a": "b"}),
        ("a: true\nb: false", {"a": True, "b": False}),
        ("a: null\nb: ~\nc:", {"a": None, "b": None, "c": None}),
        ("a: 1000\nb: -5\nc: 0", {"a": "1000", "b": "-5", "c": "0"}),
        ("a: 'yes'\nb: \"1.10\"\n'on': x", {"a": "yes", "b": "1.10", "on": "x"}),
        (
            "a: 1.2.3\nb: v1.0\nc: 3.11-slim\nd: 8080:80\ne: 1000:1000",
            {"a": "1.2.3", "b": "v1.0", "c": "3.11-slim", "d": "8080:80", "e": "1000:1000"},
        ),
        ("a: yesterday\nb: .hidden\nc: ...x", {"a": "yesterday", "b": ".hidden", "c": "...x"}),
        ("a: |\n  x\n  \ty\n", {"a": "x\n\ty\n"}),
        ("a: >-\n  x\n  y\n", {"a": "x y"}),
        ("- [a, {b: c}]\n- []\n- {}", [["a", {"b": "c"}], [], {}]),
        ("a: &x [b]\nc: *x", {"a": ["b"], "c": ["b"]}),
        ("---\na: b\n...\n", {"a": "b"}),
        ("a: b\r\nc: d\r\n", {"a": "b", "c": "d"}),
        ('"a b": "\\u00e9\\n"', {"a b": "é\n"}),
        ("\ufeffa: é", {"a": "é"}),
    ],
)
def test_plain_data(text, data, pure):
    assert load(text.encode(), "f.yaml", pure=pure).data == data


def test_lines_of_the_second_level():
    document = load(b"steps:\n  a: {run: x}\n\n  b:\n    run: y z\nbases: {c: d}", "f.yaml")
    assert document.lines == {("steps", "a"): 2, ("steps", "b"): 4, ("bases", "c"): 6}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: \xff", (1, 4, "not UTF-8")),
        ("é: é\nb: ".encode() + b"\xc3", (2, 4, "not UTF-8")),
        (b"a:\n  \x00", (2, 3, "control character U+0000")),
        (b"a: \x1b[31m", (1, 4, "control character U+001B")),
        (b"a: b\rc: d", (1, 5, "control character U+000D")),
        ("a: \u2028".encode(), (1, 4, "control character U+2028")),
        ("a: \u0085".encode(), (1, 4, "control character U+0085")),
        ("a: b\ufeff".encode(), (1, 5, "control character U+FEFF")),
        (b"a: b\n" + b"#" * MAX_BYTES, (1, 1, "larger than 4 MiB")),
        ("a: b".encode("utf-16"), (1, 1, "not UTF-8")),
        (rb'a: "\0"', (1, 4, "text with a NUL or half a surrogate pair")),
    ],
)
def test_bytes_that_are_no_text(data, expected):
    assert said(data) == [expected]


def test_what_is_missing_at_the_end_is_told_there():
    assert said(b"# x\na: b\n[\n\n") == [(3, 1, "expected `:` after the key")]
    assert said(b"[") == [(1, 1, "expected a value")]


@both
@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_depth(opening, pure):
    line, column, message = said(opening.encode() * 5000, pure=pure)[-1]
    assert (line, message) == (1, f"nested more than {MAX_DEPTH} levels deep")
    assert column in (MAX_DEPTH * len(opening) + 1, 1001)  # PyYAML 6.0.4's libyaml looks ahead in lists, up to a limit of its own


@both
def test_a_bomb_of_aliases(pure):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 12)]
    assert [message for _, _, message in said("\n".join(lines).encode(), pure=pure)] == ["aliases expand to too much"]


def test_a_tower_of_aliases():
    lines = ["a0: &a0 " + "[" * 40 + "]" * 40, "a1: &a1 " + "[" * 40 + "*a0" + "]" * 40]
    assert said("\n".join(lines).encode()) == [(2, 49, "aliases expand to too much")]


def test_problems_end_somewhere():
    assert len(said(b"- yes\n" * 1000)) == MAX_PROBLEMS
    unknown = "".join(f"  a{number}: {{x{number}: b}}\n" for number in range(1000))
    for text in (
        "steps:\n" + unknown,
        unknown.replace("  a", "a"),
        "vars:\n" + unknown,
        "steps: {a: {" + unknown.replace("\n", ",") + "}}",
    ):
        assert len(problems_of(parse_package, text.encode(), "p", RULES)) == MAX_PROBLEMS


@pytest.mark.parametrize("text", ["a: yes", "a: 1\na: 2", "a: [1", "a: 'x", "a: *nope", "a: !!str x", "a: @x", "a: - b"])
def test_both_parsers_agree_on_what_is_broken(text):
    assert said(text.encode()) == said(text.encode(), pure=True)


TEXT = """\
vars: {a: "b"}
steps:
  deps:
    from: [x, 'y z']
    run: |
      one
    env:
      A: b
    mounts:
      - {bind: p, to: /q}
      - cache: pip
    empty:
"""


@pytest.mark.parametrize(
    ("path", "key", "place"),
    [
        ((), False, (1, 1, 1)),
        (("vars",), False, (1, 7, 1)),
        (("vars", "a"), False, (1, 11, 3)),
        (("vars", "a"), True, (1, 8, 1)),
        (("steps",), False, (2, 1, 5)),
        (("steps", "deps"), False, (3, 3, 4)),
        (("steps", "deps", "from", 1), False, (4, 15, 5)),
        (("steps", "deps", "run"), False, (5, 10, 1)),
        (("steps", "deps", "env", "A"), True, (8, 7, 1)),
        (("steps", "deps", "env", "A"), False, (8, 10, 1)),
        (("steps", "deps", "mounts", 0, "to"), False, (10, 23, 2)),
        (("steps", "deps", "mounts", 1), False, (11, 9, 1)),
        (("steps", "deps", "mounts", 1, "cache"), True, (11, 9, 5)),
        (("steps", "deps", "empty"), False, (12, 5, 5)),
        (("steps", "deps", "gone", "x"), False, (3, 3, 4)),
        (("nothing",), True, (1, 1, 1)),
    ],
)
def test_locate(path, key, place):
    assert locate(TEXT, SpecPath("f.yaml", path, key)) == Place("f.yaml", *place)


def test_locate_in_broken_text_answers_with_what_is_before():
    assert locate("a: {b: c}\nd: [", SpecPath("f", ("a", "b"))) == Place("f", 1, 8)


RULES = {"run": "step", "copy": "step", "scratch": "base", "image": "output"}
PIECES = """steps bases vars outputs run copy from a b : [ ] { } , ' " # ${x} yes 1.10 null é 漢 \\ --- << % @ scratch"""
pieces = st.sampled_from([*PIECES.split(), ": ", "\n", "\n  ", "\n    ", "- ", "&x ", "*x", "!t ", "|\n", "\t", "? ", "\r\n", "\u2028"])


def problems_of(parse, data, *arguments):
    """What is wrong with the data; anything but GraphbuildError is a failure."""
    try:
        parse(data, "f.yaml", *arguments)
    except GraphbuildError as error:
        return error.problems
    return ()


@given(st.lists(pieces, max_size=60).map("".join) | st.text(max_size=200))
def test_any_text_is_a_spec_or_a_mistake(text):
    for problem in problems_of(parse_package, text.encode("utf-8", "surrogatepass"), "p", RULES):
        assert render(problem, read=lambda _file: text).startswith("f.yaml:")
        assert problem.hint
        assert find_place(problem.place, text).line <= text.count("\n") + 1


@given(st.lists(pieces, max_size=60).map("".join))
def test_the_pure_parser_too(text):
    problems_of(lambda data, file: load(data, file, pure=True), text.encode())


@given(st.binary(max_size=200))
def test_any_bytes(data):
    problems_of(parse_package, data, "p", RULES)


scalars = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=20)
trees = st.recursive(
    scalars | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(scalars, inner, max_size=4),
    max_leaves=20,
)


@given(trees)
def test_what_json_says_is_what_is_read(tree):
    import json

    assert load(json.dumps(tree, ensure_ascii=False).encode(), "f.yaml").data == tree
