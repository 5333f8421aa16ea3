"""The names that `lock --update` takes, as entries of build.lock."""

import msgspec
import pytest

from graphbuild.build.lockfile import Change, Refresh, told
from graphbuild.build.updating import names_in, refresh_of, split
from graphbuild.rules.api import Analysis, Rule
from graphbuild.values.errors import GraphbuildError
from graphbuild.values.label import Label


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


def rule(name: str, *, partial: bool) -> Rule:
    return Rule(name, "base", Nothing, lambda _context, _attributes: Analysis(), lock=lambda _context, _attributes: {}, partial=partial)


RULES = (rule("debian", partial=True), rule("motd", partial=False))
LIB, URL = {"name": "libssl3", "version": "1"}, "https://example.org/root.tar"
ENTRIES = {
    ("debian", "one"): {"packages": [LIB], "tools": [{"name": "perl", "version": "2"}]},
    ("debian", "two"): {"packages": [{"name": "zlib", "version": "1"}]},
    ("motd", "x"): {"name": "quote", "version": "7"},
    ("image", "debian:12"): {"name": "debian:12", "version": "sha256:1"},
    ("image", "docker.io/library/alpine:3.20"): {"name": "docker.io/library/alpine:3.20", "version": "sha256:2"},
    ("url", URL): {"name": URL, "version": "sha256:3"},
}


def asked(*names: str) -> dict:
    return dict(refresh_of(names, ENTRIES, RULES).entries)


def test_a_first_answer_of_many_things_is_one_line_and_every_change_of_a_version_has_its_own():
    base, tool = Label("", "base"), Label("", "tool")
    first = [Change(base, ("debian", "one"), f"p{number:02}", "", "1") for number in range(11)]
    few = [Change(tool, ("debian", "two"), "zlib", "", "1")]
    assert told([*first, *few]) == ["//:base: p00 and 10 more (new)", "//:tool: zlib (new) → 1"]
    updated = Change(base, ("debian", "one"), "p11", "1", "2")
    assert told([*first, updated]) == [str(change) for change in (*first, updated)]


def test_what_names_stand_for():
    assert asked("debian") == {("debian", "one"): (), ("debian", "two"): ()}
    assert asked("debian:libssl3") == {("debian", "one"): ("libssl3",)}
    assert asked("debian:libssl3", "debian:perl") == {("debian", "one"): ("libssl3", "perl")}
    assert asked("debian:libssl3", "debian") == asked("debian", "debian:libssl3") == asked("debian")
    assert asked("debian:12", "motd") == {("image", "debian:12"): (), ("motd", "x"): ()}
    assert asked("alpine:3.20") == asked("docker.io/library/alpine:3.20") == {("image", "docker.io/library/alpine:3.20"): ()}
    assert asked("image") == {key: () for key in ENTRIES if key[0] == "image"}
    assert asked(URL) == asked("url") == {("url", URL): ()}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("debian:libssl", "did you mean 'debian:libssl3'?"),
        ("motd:quote", "updates all that it locked"),
        ("rpm", "build.lock has nothing"),
        ("", "build.lock has nothing"),
        ("https://example.org/root", "did you mean"),
    ],
)
def test_names_that_are_none(name: str, said: str):
    with pytest.raises(GraphbuildError) as caught:
        asked(name)
    assert said in f"{caught.value.problems[0].message} {caught.value.problems[0].hint}"


def test_a_name_that_means_two_things():
    entries = {**ENTRIES, ("image", "debian:libssl3"): {"name": "debian:libssl3", "version": "sha256:4"}}
    with pytest.raises(GraphbuildError) as caught:
        refresh_of(["debian:libssl3"], entries, RULES)
    assert caught.value.problems[0].hint.startswith("an image by its full name, docker.io/library/debian:libssl3")
    found = refresh_of(["docker.io/library/debian:libssl3"], entries, RULES)
    assert dict(found.entries) == {("image", "debian:libssl3"): ()}


def test_every_name_is_taken():
    for name in names_in(ENTRIES, RULES):
        assert asked(name)
    assert "motd:quote" not in names_in(ENTRIES, RULES)


def test_labels_are_told_apart():
    assert split([":a", "//b:c", "-//d:e", "...", "svc/...", "debian", "x:y"]) == (
        [":a", "//b:c", "-//d:e", "...", "svc/..."],
        ["debian", "x:y"],
    )


def test_what_is_asked_again():
    assert Refresh().names(("a", "b")) is None
    assert Refresh(everything=True).names(("a", "b")) == ()
