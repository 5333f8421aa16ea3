"""Debian's relationship fields and version order (policy 7, deb-version(7)), as values. Pure."""

import functools
import re

import msgspec

_RELATION = re.compile(
    r"\s*([a-z0-9][a-z0-9+.-]*)(?::([a-z0-9-]+))?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([0-9][A-Za-z0-9.+~:-]*)\s*\))?\s*",
)
# `<` and `>` are what old packages wrote for `<=` and `>=`.
_OPERATORS = {"<": "<=", ">": ">="}


class Relation(msgspec.Struct, frozen=True, gc=False):
    """`name[:qualifier] (operator version)`; absent parts are ""."""

    name: str
    qualifier: str = ""
    operator: str = ""
    version: str = ""

    def __str__(self) -> str:
        name = f"{self.name}:{self.qualifier}" if self.qualifier else self.name
        return f"{name} ({self.operator} {self.version})" if self.operator else name


Group = tuple[Relation, ...]  # alternatives, left to right


def parse_groups(text: str) -> tuple[Group, ...]:
    """`a (>= 1), b | c` as groups of alternatives. ValueError names the part that is none."""
    return tuple(tuple(_relation(part) for part in group.split("|")) for group in text.split(",") if group.strip())


def _relation(text: str) -> Relation:
    match = _RELATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text.strip()[:80]!r} is not a package relation")
    name, qualifier, operator, version = match.groups(default="")
    return Relation(name, qualifier, _OPERATORS.get(operator, operator), version)


@functools.lru_cache(maxsize=65536)
def compare(one: str, other: str) -> int:
    """Below, at or above 0, as `one` is older than, equal to or newer than `other`. ValueError for what is no version."""
    if one == other:
        return 0
    from debian.debian_support import NativeVersion  # a slow import, needed only to lock

    first, second = NativeVersion(one), NativeVersion(other)
    return -1 if first < second else int(first > second)


def meets(version: str, relation: Relation) -> bool:
    """Whether a package of that version is what the relation asks for, its name and qualifier aside."""
    if not relation.operator:
        return True
    order = compare(version, relation.version)
    match relation.operator:
        case "<<":
            return order < 0
        case "<=":
            return order <= 0
        case "=":
            return order == 0
        case ">=":
            return order >= 0
        case _:
            return order > 0
