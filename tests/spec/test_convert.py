"""Plain data as Structs, located mistakes in it, and `${…}`."""

from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.rules.api import Analysis, Rule
from graphbuild.spec.convert import convert, convert_attributes
from graphbuild.spec.expand import expand
from graphbuild.values.errors import GraphbuildError, SpecPath


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    to: str
    size: Annotated[int, msgspec.Meta(ge=1)] = 1
    kind: Literal["file", "folder"] = "file"


class Whole(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    files: str | tuple[str, ...] = ()
    env: dict[str, str] = {}
    deep: dict[str, dict[str, list[Part]]] = {}
    part: Part | None = None
    flag: bool = False
    count: float = 0
    from_: str = ""


def problem(data, type_=Whole):
    with pytest.raises(GraphbuildError) as caught:
        convert(data, type_, file="f", path=("steps", "a"))
    (found,) = caught.value.problems
    return found.message, found.place, found.hint


def at(*path, key=False):
    return SpecPath("f", ("steps", "a", *path), key)


def test_numbers_may_be_text():
    data = {"part": {"to": "/x", "size": "12"}, "count": "90", "flag": "true", "files": ["1"]}
    assert convert(data, Whole, file="f", path=()) == Whole(files=("1",), part=Part("/x", 12), flag=True, count=90.0)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"file": "x"}, ("unknown key 'file'", at("file", key=True), "did you mean 'files'?")),
        ({"form": "x"}, ("unknown key 'form'", at("form", key=True), "did you mean 'from'?")),
        ({"zzzzz": "x"}, ("unknown key 'zzzzz'", at("zzzzz", key=True), "known are count, deep, env, files, flag, from, part")),
        ({"part": {"to": "x", "szie": "1"}}, ("unknown key 'szie'", at("part", "szie", key=True), "did you mean 'size'?")),
        ({"part": {}}, ("missing `to`", at("part"), "add `to: …`")),
        ({"part": {"to": "x", "size": "big"}}, ("expected a whole number, not 'big'", at("part", "size"), "")),
        ({"part": {"to": "x", "size": "0"}}, ("expected a whole number >= 1, not '0'", at("part", "size"), "")),
        ({"part": {"to": "x", "kind": "fodler"}}, ("unknown value 'fodler'", at("part", "kind"), "did you mean 'folder'?")),
        ({"part": {"to": "x", "kind": "z"}}, ("unknown value 'z'", at("part", "kind"), "one of file, folder")),
        ({"part": {"to": None}}, ("expected text, not nothing", at("part", "to"), 'for empty text, write ""')),
        ({"part": "x"}, ("expected a map, not 'x'", at("part"), "")),
        ({"files": {"a": "b"}}, ("expected text or a list, not a map", at("files"), "")),
        ({"files": ["a", True]}, ("expected text, not true", at("files", 1), 'quote it: "true"')),
        ({"env": {"A": "b", "C": True}}, ("expected text, not true", at("env", "C"), 'quote it: "true"')),
        ({"env": {"a.b": "b", "[0]": ["x"]}}, ("expected text, not a list", at("env", "[0]"), "")),
        ({"env": ["A=b"]}, ("expected a map, not a list", at("env"), "")),
        ({"flag": "maybe"}, ("expected true or false, not 'maybe'", at("flag"), "write true or false")),
        ([], ("expected a map, not a list", at(), "")),
        (None, ("expected a map, not nothing", at(), "leave the key out, or give it a value")),
    ],
)
def test_what_does_not_fit(data, expected):
    assert problem(data) == expected


def test_keys_of_maps_are_found():
    good = {"to": "x"}
    deep = {f"k{n}": {"one": [good], "two": [good, good]} for n in range(50)}
    deep["k33"] = {"one": [good], "two": [good, {"to": "x", "tu": "y"}]}
    assert problem({"deep": deep}) == ("unknown key 'tu'", at("deep", "k33", "two", 1, "tu", key=True), "did you mean 'to'?")


@given(st.lists(st.text(max_size=8), min_size=1, max_size=20, unique=True), st.data())
def test_any_bad_key_is_found(keys, data):
    bad = data.draw(st.sampled_from(keys))
    assert problem({"env": {key: ["x"] if key == bad else "x" for key in keys}})[1] == at("env", bad)


def rule(short=""):
    return Rule("part", "step", Part, lambda _context, _attributes: Analysis(), short=short)


def test_short_forms():
    assert convert_attributes("/x", rule("to"), file="f", path=()) == Part("/x")
    assert convert_attributes({"to": "/x"}, rule("to"), file="f", path=()) == Part("/x")


@pytest.mark.parametrize(
    ("value", "short", "message", "path"),
    [
        ("x", "", "`part` takes a map, not 'x'", ()),
        (["x"], "to", "expected text, not a list", ()),
        (None, "to", "missing `to`", ()),
        ({"too": "x", "to": "y"}, "to", "unknown key 'too'", ("too",)),
    ],
)
def test_short_forms_that_do_not_fit(value, short, message, path):
    with pytest.raises(GraphbuildError) as caught:
        convert_attributes(value, rule(short), file="f", path=("steps", "a", "part"))
    (found,) = caught.value.problems
    assert (found.message, found.place.path) == (message, ("steps", "a", "part", *path))


VARS = {"name": "web", "git.commit": "abc", "loop": "${name}"}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("a ${name} b ${git.commit}${name}", "a web b abcweb"),
        ("$${name} $name $$ $", "${name} $name $$ $"),
        ("$$${name}", "$${name}"),
        ("${loop}", "${name}"),
        ("", ""),
    ],
)
def test_expansion(text, expanded):
    assert expand(text, VARS.__getitem__, "f", ()) == expanded


def test_keys_and_other_values_stay():
    data = {"${name}": ["${name}", True, None, {"x": "${name}"}]}
    assert expand(data, VARS.__getitem__, "f", ()) == {"${name}": ["web", True, None, {"x": "web"}]}


def test_only_what_is_mentioned_is_looked_up():
    asked = []
    expand({"a": "${x}", "b": "$${y} $z"}, lambda name: asked.append(name) or "", "f", ())
    assert asked == ["x"]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("${nmae}", "unknown variable 'nmae'", "did you mean 'name'?"),
        ("${HOME}", "unknown variable 'HOME'", "declare it in `vars`, or write $HOME or $${HOME} where the shell is to expand it"),
        ("${x:-y}", "'${x:-y}' is not a variable", "write $${ where the shell is to expand it"),
        ("${}", "'${}' is not a variable", "write $${ where the shell is to expand it"),
        ("${name", "`${` is never closed", "close it with }, or write $${ for the text ${"),
    ],
)
def test_references_that_fail(text, message, hint):
    with pytest.raises(GraphbuildError) as caught:
        expand({"run": [text]}, VARS.__getitem__, "f", ("steps", "a"), VARS)
    (found,) = caught.value.problems
    assert (found.message, found.place, found.hint) == (message, at("run", 0), hint)


def test_all_failing_references_are_told():
    with pytest.raises(GraphbuildError) as caught:
        expand(["${a}", "${b} ${c}"], VARS.__getitem__, "f", ())
    assert len(caught.value.problems) == 3


def test_expansion_is_bounded():
    with pytest.raises(GraphbuildError, match="too much text"):
        expand(["${a}" * 1000] * 1000, lambda _name: "x" * 1000, "f", ())


@given(st.text(alphabet="${}ab.: \n", max_size=40))
def test_escaping_restores_any_text(text):
    assert expand(text.replace("${", "$${"), VARS.__getitem__, "f", ()) == text
