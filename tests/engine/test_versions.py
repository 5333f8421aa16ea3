"""Package expressions, and versions in the order of the managers that they are of."""

import contextlib
import itertools
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbuild.engine.versions import compare, parse_requirement
from graphbuild.values.errors import GraphbuildError

# In order, as apk-tools' test/version.data has them.
APK_ORDER = [
    *("0.1_alpha", "0.1_alpha1", "0.1_beta", "0.1_pre", "0.1_rc", "0.1_rc2", "0.1", "0.1-r0", "0.1-r1", "0.1_cvs", "0.1_git20230717"),
    *(
        "0.1_git20230717-r1",
        "0.1_p1",
        "0.1_p1-r3",
        "0.1a",
        "0.1b",
        "0.1.0_alpha",
        "0.1.0",
        "0.1.1",
        "0.2",
        "0.10",
        "1",
        "1.02",
        "1.1",
        "1.1.3",
        "1.10",
        "2",
    ),
]


@pytest.mark.parametrize(("older", "newer"), list(itertools.combinations(APK_ORDER, 2)))
def test_the_order_of_apk(older: str, newer: str):
    assert compare("apk", older, newer) < 0
    assert compare("apk", newer, older) > 0
    assert compare("apk", older, older) == 0


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg, the judge, is missing")
@settings(max_examples=60, deadline=None)
@given(*[st.from_regex(r"\A([0-2]:)?[0-9][0-9a-c.+~]{0,6}(-[0-9a-c.+~]{1,4})?\Z")] * 2)
def test_the_order_of_dpkg(one: str, other: str):
    found = compare("deb", one, other)
    operator = "lt" if found < 0 else "gt" if found > 0 else "eq"
    assert subprocess.run(["dpkg", "--compare-versions", one, operator, other], check=False).returncode == 0


def test_the_order_of_python():
    order = ["1.0.dev1", "1.0a1", "1.0rc1", "1.0", "1.0.post1", "1.1", "1.10", "1!0.1"]
    for older, newer in itertools.combinations(order, 2):
        assert compare("python", older, newer) < 0
    assert compare("python", "1.0", "1.0.0") == 0


@pytest.mark.parametrize(
    ("expression", "manager", "version", "met"),
    [
        ("libssl3<3.0.15", "deb", "3.0.14-1~deb12u1", True),
        ("libssl3<3.0.15", "deb", "3.0.15-1", False),
        ("libssl3 >= 1:2", "deb", "3", False),
        ("libssl3", "deb", "anything at all", True),
        ("libssl3==1.0", "python", "1.0.0", True),
        ("libssl3!=1.0", "python", "1.0.0", False),
        ("libssl3=1.0-r1", "apk", "1.0-r1", True),
        ("libssl3<=1.0_rc1", "apk", "1.0", False),
        ("libssl3>1.0~beta", "deb", "1.0", True),
    ],
)
def test_what_meets_an_expression(expression: str, manager: str, version: str, met: bool):
    assert parse_requirement(expression).met_by(manager, version) is met


def test_whose_package_an_expression_means():
    assert parse_requirement("a").managers == ("apk", "deb", "python")
    assert parse_requirement("pypi:Typing_Extensions>1").managers == ("python",)
    assert parse_requirement("pypi:Typing_Extensions").name_for("python") == "typing-extensions"
    assert parse_requirement("deb:libstdc++6").name_for("deb") == "libstdc++6"


@pytest.mark.parametrize("wrong", ["", "<1", "a<", "a b", "rpm:a", "a~=1", "deb:a<1_2", "python:a<1.0-1~x", "a<1 2"])
def test_what_is_no_expression(wrong: str):
    with pytest.raises(GraphbuildError) as caught:
        parse_requirement(wrong)
    assert caught.value.exit_code == 2


@given(st.text(max_size=30))
def test_no_text_breaks_it(text: str):
    try:
        parsed = parse_requirement(text)
    except GraphbuildError:
        return
    for manager in parsed.managers:
        with contextlib.suppress(ValueError):  # the version is one of another manager
            assert parsed.met_by(manager, parsed.version) or parsed.operator in ("<", ">", "!=")
