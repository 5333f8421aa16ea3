"""Versions in the order of the package manager that they are of, and expressions such as `libssl3<3.0.15`. Pure.

Sources: deb-version(7), by python-debian; PEP 440, by packaging; apk's order as apk-tools' `src/version.c` has it (apk-package(5)).
"""

import operator
import re
from collections.abc import Callable
from typing import Literal

import msgspec

from graphbuild.values.errors import mistake

Manager = Literal["apk", "deb", "python"]
MANAGERS: tuple[Manager, ...] = ("apk", "deb", "python")

_OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
}
_EXPRESSION = re.compile(r"(?:(apk|deb|python|pypi):)?([A-Za-z0-9][A-Za-z0-9+._-]*)\s*(?:(<=|>=|!=|==|=|<|>)\s*([^\s<>=!]\S*))?")
_APK = re.compile(r"(\d+)((?:\.\d+)*)([a-z]?)((?:_[a-z]+\d*)*)(~[0-9a-f]+)?(?:-r(\d+))?")
_SUFFIXES = {"alpha": -4, "beta": -3, "pre": -2, "rc": -1, "cvs": 1, "svn": 2, "git": 3, "hg": 4, "p": 5}


class Requirement(msgspec.Struct, frozen=True):
    """A package by name, and what its version must be. `managers`: whose package it may be; `operator` is "" where any version does."""

    text: str
    managers: tuple[Manager, ...]
    name: str
    operator: str = ""
    version: str = ""

    def name_for(self, manager: Manager) -> str:
        """The name as that manager's packages are looked up (`normalized`)."""
        return normalized(manager, self.name)

    def met_by(self, manager: Manager, version: str) -> bool:
        """Whether that manager's package of the name has such a version. ValueError where one of the two is no version of it."""
        if not self.operator or (version == self.version and self.operator == "="):
            return True
        return _OPERATORS[self.operator](compare(manager, version, self.version), 0)


def parse_requirement(text: str) -> Requirement:
    """`[deb:|python:|pypi:|apk:]NAME[OP VERSION]`. GraphbuildError for anything else, and for what is no version of the manager it names."""
    match = _EXPRESSION.fullmatch(text.strip())
    if match is None:
        raise mistake(
            f"{text!r} is no package expression",
            hint="NAME, or NAME with <, <=, =, >=, > or != and a version: 'libssl3<3.0.15', 'python:flask>=2'",
        )
    kind, name, relation, version = match.groups(default="")
    managers: tuple[Manager, ...] = tuple(one for one in MANAGERS if one == {"pypi": "python"}.get(kind, kind)) or MANAGERS
    problems = [problem for manager in managers if version and (problem := _problem(manager, version))]
    if len(problems) == len(managers):
        raise mistake(f"{text!r}: {problems[0]}")
    return Requirement(text.strip(), managers, name, "=" if relation == "==" else relation, version)


def normalized(manager: Manager, name: str) -> str:
    """A name as its manager compares names: Python's by PEP 503, the others as they are."""
    return re.sub(r"[-_.]+", "-", name).lower() if manager == "python" else name


def _problem(manager: Manager, version: str) -> str:
    try:
        compare(manager, version, version)
    except ValueError as error:
        return str(error)
    return ""


def compare(manager: Manager, one: str, other: str) -> int:
    """Below, at or above 0, as `one` is older than, equal to or newer than `other`. ValueError, which names it, for what is no version."""
    match manager:
        case "deb":
            return _compare_deb(one, other)
        case "python":
            return _compare_python(one, other)
        case "apk":
            return _compare_apk(one, other)


def _compare_deb(one: str, other: str) -> int:
    from debian.debian_support import NativeVersion  # only who compares versions waits for it

    try:
        return _sign(NativeVersion(one), NativeVersion(other))
    except ValueError:
        raise ValueError(f"{one!r} or {other!r} is no version of a Debian package") from None


def _compare_python(one: str, other: str) -> int:
    from packaging.version import InvalidVersion, Version

    try:
        return _sign(Version(one), Version(other))
    except InvalidVersion as error:
        raise ValueError(f"{str(error).partition(': ')[2]} is no version by PEP 440") from None


def _sign(one: object, other: object) -> int:
    less: Callable[[object, object], bool] = lambda first, second: first < second  # type: ignore[operator]  # noqa: E731
    return -1 if less(one, other) else int(less(other, one))


# The parts of an apk version in the order in which they may come. Where one version has another part than the other, that of the
# later kind is the older version, the end being the latest; but what a suffix such as _rc begins is older than anything.
_NUMBER, _LETTER, _SUFFIX, _SUFFIX_NUMBER, _HASH, _REVISION, _END = range(7)
_Part = tuple[int, str | int]


def _compare_apk(one: str, other: str) -> int:
    for first, second in zip(_apk_parts(one), _apk_parts(other), strict=False):
        if first[0] != second[0]:
            early = [part[0] == _SUFFIX and isinstance(part[1], int) and part[1] < 0 for part in (first, second)]
            if early[0] != early[1]:
                return -1 if early[0] else 1
            return -1 if first[0] > second[0] else 1
        found = _compare_parts(first, second)
        if found:
            return found
    return 0


def _compare_parts(first: _Part, second: _Part) -> int:
    one, other = first[1], second[1]
    if first[0] == _NUMBER and not str(one).startswith("0") and not str(other).startswith("0"):
        one, other = int(one), int(other)
    return _sign(one, other)


def _apk_parts(version: str) -> list[_Part]:
    match = _APK.fullmatch(version)
    suffixes = re.findall(r"_([a-z]+)(\d*)", match[4]) if match else []
    if match is None or any(name not in _SUFFIXES for name, _ in suffixes):
        raise ValueError(f"{version!r} is no version of an apk package")
    parts: list[_Part] = [(_NUMBER, int(match[1]))]
    parts += [(_NUMBER, number) for number in match[2].split(".")[1:]]
    parts += [(_LETTER, match[3])] if match[3] else []
    for name, number in suffixes:
        parts += [(_SUFFIX, _SUFFIXES[name]), *([(_SUFFIX_NUMBER, int(number))] if number else [])]
    parts += [(_HASH, match[5])] if match[5] else []
    parts += [(_REVISION, int(match[6]))] if match[6] else []
    return [*parts, (_END, 0)]
