"""Every case that builds, converted: the build.yaml makes the files and the config that the Dockerfile makes, or it is said why not.

One case in twenty, unless `CONFORMANCE_CONVERT=all`.
"""

import os
import unittest
import zlib
from collections.abc import Iterator
from pathlib import Path

import converted
import ours
import pytest
from bases import Bases, make_bases
from case import Case, File
from cases import groups
from judge import need, scratch
from remote import remote

_ALL = os.environ.get("CONFORMANCE_CONVERT", "") == "all"
_CASES = [
    pytest.param(group, case, id=f"{group}-{case.name}")
    for group, cases in groups().items()
    for case in cases
    if not case.fails and (_ALL or (group != "real" and zlib.crc32(case.name.encode()) % 20 == 0))
]

# What does not convert, by what is said then.
UNCONVERTED: dict[str, str] = {}
# What is not the same, by why.
DIFFERENT = {
    "run-environment-exec": "the variables of an environment have another order, which only /proc shows",
    "tricky-05-proxies": "proxies are those of whoever builds, as the first lines say",
}


@pytest.fixture(scope="session")
def workspace() -> Iterator[Path]:
    with scratch() as made:
        (made / "graphbuild.yaml").write_text("")
        yield made


@pytest.fixture(scope="session")
def bases(workspace: Path) -> Bases:
    try:
        return make_bases(workspace / "bases")
    except unittest.SkipTest as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def urls() -> Iterator[dict[str, str]]:
    with remote() as made:
        yield made


@pytest.mark.parametrize(("group", "case"), _CASES)
def test_a_converted_file_makes_the_same_image(group: str, case: Case, bases: Bases, workspace: Path, urls: dict[str, str]):
    need(bases, case)
    xattrs = [name for entry in case.files.values() if isinstance(entry, File) for name, _ in entry.xattrs]
    if os.geteuid() and any(name.startswith("security.") for name in xattrs):
        pytest.skip("needs root to set a capability")
    if other := converted.words_for(case, urls)[2]:
        pytest.skip(f"convert has no {other[0]}")
    direct = ours.build(case, bases, workspace / "ours" / group / case.name, workspace / "ours" / "store", urls)
    done, text = converted.build(case, bases, workspace / group / case.name, workspace, urls)
    if direct.code:
        assert done.code, f"only what was converted builds\n{text}\n{direct.err}"
        return
    if not text:
        assert case.name in UNCONVERTED, done.err
        assert done.code == 2
        assert UNCONVERTED[case.name] in done.err
        return
    assert case.name not in UNCONVERTED, "it converts now"
    assert not done.code, f"{text}\n{done.err}"
    wrong = ours.complaints(case, done, direct.verdict)
    assert not wrong or case.name in DIFFERENT, "\n".join([text, *wrong])
