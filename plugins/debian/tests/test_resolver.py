"""Which packages are chosen: rules of relations and versions, one by one, on small made-up archives."""

import subprocess
from shutil import which

import pytest
from graphbuild_debian.packages import Index
from graphbuild_debian.relations import Relation, compare, meets, parse_groups
from graphbuild_debian.resolver import install_stages, resolve, subset
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbuild.rules import GraphbuildError


def stanza(name: str, version: str = "1", **fields: str) -> str:
    """A stanza as an archive has it; `pre_depends="a"` becomes `Pre-Depends: a`."""
    known = {
        "Package": name,
        "Version": version,
        "Architecture": "amd64",
        "Filename": f"pool/{name}.deb",
        "Size": "10",
        "SHA256": "ab" * 32,
        **{key.title().replace("_", "-").replace("Sha", "SHA"): value for key, value in fields.items()},
    }
    return "".join(f"{key}: {value}\n" for key, value in known.items())


def archive(*stanzas: str, exclude: tuple[str, ...] = ()) -> Index:
    return Index("amd64", [("http://mirror/debian", "\n".join(stanzas))], exclude)


def names(index: Index, *wanted: str, recommends: bool = False) -> list[str]:
    return sorted(resolve(index, "amd64", (("packages", wanted),), recommends=recommends))


def refused(index: Index, *wanted: str) -> str:
    with pytest.raises(GraphbuildError) as caught:
        names(index, *wanted)
    return "\n".join(line for problem in caught.value.problems for line in (problem.message, problem.hint, *problem.notes))


def test_the_closure_of_depends_and_pre_depends():
    index = archive(stanza("a", depends="b"), stanza("b", pre_depends="c"), stanza("c", depends="a"), stanza("other"))
    assert names(index, "a") == ["a", "b", "c"]


def test_the_leftmost_alternative_that_can_be_had():
    index = archive(stanza("a", depends="missing | old (>= 2) | c | d"), stanza("old"), stanza("c"), stanza("d"))
    assert names(index, "a") == ["a", "c"]


def test_an_alternative_that_is_taken_anyway_wins():
    index = archive(stanza("a", depends="b | c, e"), stanza("b"), stanza("c"), stanza("e", depends="c"))
    assert names(index, "a") == ["a", "c", "e"]


def test_an_alternative_that_is_asked_for_wins():
    assert names(archive(stanza("a", depends="b | c"), stanza("b"), stanza("c")), "a", "c") == ["a", "c"]


def test_an_alternative_that_conflicts_is_passed_over():
    index = archive(stanza("a", depends="b | c"), stanza("b", conflicts="a"), stanza("c"))
    assert names(index, "a") == ["a", "c"]


def test_a_package_of_the_name_comes_before_its_providers():
    index = archive(stanza("a", depends="mta"), stanza("mta"), stanza("aaa", provides="mta"))
    assert names(index, "a") == ["a", "mta"]


def test_of_providers_the_essential_then_the_higher_priority():
    index = archive(
        stanza("a", depends="awk"),
        stanza("gawk", provides="awk", priority="optional"),
        stanza("mawk", provides="awk", priority="required"),
    )
    assert names(index, "a") == ["a", "mawk"]


@pytest.mark.parametrize(
    ("provides", "depends", "met"),
    [
        ("v", "v", True),
        ("v (= 2)", "v (>= 1)", True),
        ("v (= 2)", "v (>= 3)", False),
        ("v", "v (>= 1)", False),  # an unversioned Provides has no version
        ("v (= 1:0)", "v (>> 5)", True),
    ],
)
def test_versioned_provides(provides: str, depends: str, met: bool):
    index = archive(stanza("a", depends=depends), stanza("b", provides=provides))
    if met:
        assert names(index, "a") == ["a", "b"]
    else:
        assert "cannot be met" in refused(index, "a")


@pytest.mark.parametrize(
    ("qualifier", "multi_arch", "met"),
    [("any", "allowed", True), ("any", "same", False), ("any", "", False), ("native", "", True), ("amd64", "", True), ("i386", "", False)],
)
def test_qualifiers(qualifier: str, multi_arch: str, met: bool):
    index = archive(stanza("a", depends=f"b:{qualifier}"), stanza("b", multi_arch=multi_arch))
    if met:
        assert names(index, "a") == ["a", "b"]
    else:
        assert "cannot be met" in refused(index, "a")


def test_the_newest_version_of_all_suites_is_the_candidate():
    base = stanza("a", "1.10-1"), stanza("a", "1.9-1"), stanza("a", "1.10-1~bpo1")
    assert str(resolve(archive(*base), "amd64", (("packages", ["a"]),))["a"].package) == "a 1.10-1"


def test_the_same_file_in_two_suites_has_two_places():
    index = Index("amd64", [("http://one", stanza("a")), ("http://two", stanza("a"))])
    assert resolve(index, "amd64", (("p", ["a"]),))["a"].package.urls == ("http://one/pool/a.deb", "http://two/pool/a.deb")


def test_the_same_version_with_other_bytes_is_another_file():
    index = Index("amd64", [("http://one", stanza("a")), ("http://two", stanza("a").replace("abab", "cdcd"))])
    assert resolve(index, "amd64", (("p", ["a"]),))["a"].package.urls == ("http://one/pool/a.deb",)


def test_recommends_are_taken_when_asked_and_forgiven_when_missing():
    index = archive(stanza("a", recommends="b, missing"), stanza("b"))
    assert names(index, "a") == ["a"]
    assert names(index, "a", recommends=True) == ["a", "b"]


def test_excluded_packages_do_not_exist():
    stanzas = (stanza("a", depends="b | c"), stanza("b"), stanza("c"))
    assert names(archive(*stanzas, exclude=("b",)), "a") == ["a", "c"]


def test_another_architecture_is_not_there():
    assert "there is no package" in refused(archive(stanza("a", architecture="arm64")), "a")


def test_what_cannot_be_met_names_the_chain():
    text = refused(archive(stanza("app", depends="lib"), stanza("lib", depends="core (>= 2)"), stanza("core", "1.5")), "app")
    assert "lib 1 needs core (>= 2), which cannot be met" in text
    assert "core 1.5 is there" in text
    assert "packages → app → lib" in text


def test_conflicts_breaks_and_virtual_conflicts_are_found():
    for fields in ({"conflicts": "b"}, {"breaks": "b (<< 2)"}, {"conflicts": "v"}):
        text = refused(archive(stanza("a", **fields), stanza("b", provides="v")), "a", "b")
        assert "exclude each other" in text
    assert names(archive(stanza("a", breaks="b (<< 1)"), stanza("b")), "a", "b") == ["a", "b"]
    assert names(archive(stanza("a", provides="v", conflicts="v")), "a") == ["a"]  # never with itself


def test_unknown_and_virtual_names():
    index = archive(stanza("python3"), stanza("x", provides="v"), stanza("y", provides="v"), stanza("z", provides="w"))
    assert "did you mean 'python3'?" in refused(index, "pyhton3")
    assert "name one that provides it: x, y" in refused(index, "v")
    assert names(index, "w") == ["z"]


def test_a_subset_is_closed_within_its_solution():
    index = archive(stanza("a", depends="b | c"), stanza("b"), stanza("c"), stanza("d", depends="c"))
    solution = resolve(index, "amd64", (("essential", ["d"]), ("packages", ["a"])))
    assert subset(solution, "amd64", (("packages", ["a"]),)) == {"a": "packages", "c": "a"}


def test_stages_put_pre_depends_before():
    index = archive(
        stanza("base"),
        stanza("a", depends="b", pre_depends="p"),
        stanza("b", depends="a"),
        stanza("p", depends="q"),
        stanza("q"),
        stanza("z", depends="base"),
    )
    solution = resolve(index, "amd64", (("packages", ["base", "a", "z"]),))
    assert install_stages(solution, "amd64", ["base"]) == {"base": 0, "p": 1, "q": 1, "z": 1, "a": 2, "b": 2}


def test_a_circle_of_pre_depends_ends():
    index = archive(stanza("a", pre_depends="b"), stanza("b", pre_depends="a"))
    assert install_stages(resolve(index, "amd64", (("p", ["a"]),)), "amd64", []) == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    "fields",
    [
        {"filename": "../../etc/passwd"},
        {"filename": "/etc/passwd"},
        {"filename": "pool//a.deb"},
        {"filename": "pool/\x1b[2J"},
        {"filename": ""},
        {"size": "99999999999999999999"},
        {"size": "-1"},
        {"size": "ten"},
        {"sha256": "zz" * 32},
        {"sha256": ""},
        {"depends": "b; rm -rf /"},
        {"depends": "b (= )"},
    ],
    ids=str,
)
def test_hostile_fields_are_refused_by_name(fields: dict[str, str]):
    assert "entry of package 'a'" in refused(archive(stanza("a", **fields)), "a")


def test_relations_read_and_written():
    assert parse_groups("a (>= 1.0~rc1), b:any | c ,") == ((Relation("a", "", ">=", "1.0~rc1"),), (Relation("b", "any"), Relation("c")))
    assert str(Relation("a", "any", "<<", "2")) == "a:any (<< 2)"
    assert parse_groups("a (< 2)") == parse_groups("a (<= 2)")


@pytest.mark.parametrize(
    ("operator", "expected"), [("<<", [1, 0, 0]), ("<=", [1, 1, 0]), ("=", [0, 1, 0]), (">=", [0, 1, 1]), (">>", [0, 0, 1])]
)
def test_operators(operator: str, expected: list[int]):
    assert [int(meets(version, Relation("a", "", operator, "2"))) for version in ("1", "2", "3")] == expected


versions = st.from_regex(r"\A([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,4})?\Z")


@pytest.mark.skipif(which("dpkg") is None, reason="dpkg, the oracle of version order, is missing")
@settings(deadline=None)  # a process each
@given(st.lists(st.tuples(versions, versions), min_size=1, max_size=3))
def test_versions_are_ordered_as_dpkg_orders_them(pairs: list[tuple[str, str]]):
    for one, other in pairs:
        operator = {-1: "lt", 0: "eq", 1: "gt"}[compare(one, other)]
        assert subprocess.run(["dpkg", "--compare-versions", one, operator, other], check=False).returncode == 0
