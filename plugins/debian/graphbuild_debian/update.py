"""Updating some packages of a lock: they become the newest, what they must bring along does too, and all else stays as it was. Pure.

What was locked is held at its version as long as the archive lists that. A held package is let go when it stands in the way: it is too old for
what another needs, or another is too new for it. So little changes, but more than was named where dependencies say so.
"""

from collections.abc import Callable, Iterable, Sequence

from graphbuild.rules import GraphbuildError
from graphbuild_debian.packages import Index, Package
from graphbuild_debian.records import Lock
from graphbuild_debian.resolver import Obstacle, Solution

Attempt = Callable[[Index], Solution | Obstacle]


def is_newer(index: Index, locked: Lock, names: Iterable[str]) -> bool:
    """Whether the archive has another candidate of a name than the locked one, or none any more."""
    known = {one.name: one for one in (*locked.packages, *locked.tools)}
    for name in names:
        candidate = index.candidate(name)
        if candidate is None or name not in known or (candidate.version, candidate.sha256) != (known[name].version, known[name].sha256):
            return True
    return False


def update(index: Index, locked: Lock, names: Sequence[str], attempt: Attempt, report: Callable[[str], object]) -> Solution:
    """The packages with those names at their newest versions. GraphbuildError where that cannot be, whatever else is let go.

    `report` is told what cannot stay, for the archive has not got that version any more.
    """
    held: dict[str, Package] = {}
    for one in (*locked.packages, *locked.tools):
        if one.name in names:
            continue
        package = index.version(one.name, one.version, one.sha256)
        newest = index.candidate(one.name)
        if package is not None:
            held[one.name] = package
        elif newest is not None:
            report(f"{one.name} {one.version} cannot stay: the archive has only {newest.version} now")
        else:
            report(f"{one.name} {one.version} cannot stay: the archive has no {one.name} any more")
    while True:
        found = attempt(index.held(held))
        if not isinstance(found, Obstacle):
            return found
        freed = _in_the_way(index, held, found)
        if not freed:
            raise GraphbuildError(*found.problems)
        for name in freed:
            del held[name]


def _in_the_way(index: Index, held: dict[str, Package], obstacle: Obstacle) -> set[str]:
    """The held packages to let go: what is asked for, or in the way, where there is a newer one; else who asks."""
    freed: set[str] = set()
    for package, group in obstacle.pairs:
        wanted = {relation.name for relation in group}
        asked = {name for name, one in held.items() if name in wanted or wanted.intersection(virtual for virtual, _version in one.provides)}
        freed |= _replaceable(index, held, asked) or _replaceable(index, held, {package.name})
    return freed


def _replaceable(index: Index, held: dict[str, Package], names: Iterable[str]) -> set[str]:
    return {name for name in names if name in held and (newest := index.candidate(name)) is not None and newest != held[name]}
