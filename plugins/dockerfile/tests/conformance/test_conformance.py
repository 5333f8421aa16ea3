"""Every case, built by graphbuild, against what Docker was recorded to make of it; and the recordings against Docker itself.

`CONFORMANCE_LIVE=all` lets the engines judge all cases again instead of one in sixteen; `CONFORMANCE_LIVE=none` none.
"""

import os
import unittest
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from age import OTHERWISE
from bases import Bases, make_bases
from case import Case, File
from cases import groups
from engines import docker_engine, judge_is_made, judging_engine
from judge import Verdict, judge, need, scratch
from ours import build, complaints, expectation
from record import read
from remote import remote

_GROUPS = groups()
_CASES = [pytest.param(group, case, id=f"{group}-{case.name}") for group, cases in _GROUPS.items() for case in cases]
_LIVE = os.environ.get("CONFORMANCE_LIVE", "")


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    with scratch() as made:
        yield made


@pytest.fixture(scope="session")
def bases(folder: Path) -> Bases:
    try:
        return make_bases(folder / "bases")
    except unittest.SkipTest as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def urls() -> Iterator[dict[str, str]]:
    with remote() as made:
        yield made


@pytest.mark.parametrize(("group", "case"), _CASES)
def test_as_docker_builds_it(group: str, case: Case, bases: Bases, folder: Path, request: pytest.FixtureRequest):
    need(bases, case)
    _need_rights(case)
    servers = request.getfixturevalue("urls") if _is_remote(case) else {}
    expected = expectation(case, read(group), bases)
    done = build(case, bases, folder / group / case.name, folder / "store", servers)
    wrong = complaints(case, done, expected)
    assert not wrong, "\n".join([case.why, _text(case), *wrong])


def _text(case: Case) -> str:
    return case.dockerfile if isinstance(case.dockerfile, str) else repr(case.dockerfile)


def _is_remote(case: Case) -> bool:
    return any("@" in text and ("@HTTP@" in text or "@GIT@" in text) for text in (_text(case), *case.args))


def _need_rights(case: Case) -> None:
    xattrs = [name for entry in case.files.values() if isinstance(entry, File) for name, _ in entry.xattrs]
    if os.geteuid() and any(name.startswith("security.") for name in xattrs):
        pytest.skip("needs root to set a capability")


def _sample() -> list[tuple[str, Case]]:
    """Always the same cases, of all groups."""
    able = [(group, case) for group, cases in _GROUPS.items() for case in cases if not case.skip_engine]
    return able if _LIVE == "all" else [pair for pair in able if zlib.crc32(pair[1].name.encode()) % 16 == 0]


def _mistaken(case: Case, live: Verdict, recorded: Verdict) -> list[str]:
    if live.fails != recorded.fails:
        return [f"{case.name}: recorded as {'failing' if recorded.fails else 'building'}, but: {live.said or 'it builds'}"]
    if live.fails or (live.tree == recorded.tree and live.config == recorded.config):
        return []
    return [f"{case.name}: another image\n  recorded {recorded}\n  now      {live}"]


@pytest.mark.skipif(_LIVE == "none", reason="CONFORMANCE_LIVE=none")
@pytest.mark.timeout(3600)
def test_the_recordings_are_what_the_judge_says(bases: Bases, urls: dict[str, str]):
    if not judge_is_made():
        pytest.skip("the root of the judging engine is not made: run `python engines.py` in this folder once")
    cases = {case.name: group for group, case in _sample() if _can(bases, case)}
    with judging_engine() as engine:
        verdicts = list(judge(engine, [case for _, case in _sample() if case.name in cases], bases, urls))
    wrong = [line for case, live in verdicts for line in _mistaken(case, live, read(cases[case.name])[case.name].verdict)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.skipif(_LIVE == "none", reason="CONFORMANCE_LIVE=none")
@pytest.mark.timeout(3600)
def test_an_engine_of_another_age_agrees(bases: Bases, urls: dict[str, str]):
    """Where it knows the syntax: what it refuses is no verdict, and what it does otherwise has its reason in age.py."""
    cases = {case.name: group for group, case in _sample() if _can(bases, case) and not case.contexts and case.name not in OTHERWISE}
    with docker_engine() as engine:
        verdicts = list(judge(engine, [case for _, case in _sample() if case.name in cases], bases, urls))
    wrong = [line for case, live in verdicts if not live.fails for line in _mistaken(case, live, read(cases[case.name])[case.name].verdict)]
    assert not wrong, "\n".join(wrong)


def test_what_another_age_does_otherwise_is_about_cases():
    assert set(OTHERWISE) <= {case.name for cases in _GROUPS.values() for case in cases}


def _can(bases: Bases, case: Case) -> bool:
    try:
        need(bases, case)
    except unittest.SkipTest:
        return False
    return True
