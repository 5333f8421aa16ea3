"""Which packages to install: an index and wishes in, a closed and checked set out. Pure; knows nothing of files or mirrors.

As apt decides: what was asked for is taken first, then every dependency that leaves no choice, and only then the choices,
in the order in which they came up: an alternative that is already taken wins, else the leftmost that can be had, a package
of the name before those that provide it. Nothing is taken back; the result is checked as a whole, and what cannot be met is
an error that names the chain that led there.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from graphbuild.rules import GraphbuildError, Problem, mistake
from graphbuild_debian.packages import Index, Package, satisfies
from graphbuild_debian.relations import Group, Relation


class Choice(msgspec.Struct, frozen=True):
    """A package of the solution and who brought it in: a package's name, or the reason a root was given."""

    package: Package
    because: str


Solution = dict[str, Choice]


class Obstacle(msgspec.Struct, frozen=True):
    """Why there is no solution: what is told, and the pairs that do not go together, a package with what it asks for or excludes."""

    problems: tuple[Problem, ...]
    pairs: tuple[tuple[Package, Group], ...]


Roots = Sequence[tuple[str, Sequence[str]]]


def resolve(index: Index, arch: str, roots: Roots, *, recommends: bool = False) -> Solution:
    """The closure of the roots, by name.

    `roots`: (reason, names), each resolved on top of those before it, as if they had been installed one after another.
    GraphbuildError for a name that is not there, a dependency that cannot be met and packages that exclude each other.
    """
    found = attempt(index, arch, roots, recommends=recommends)
    if isinstance(found, Obstacle):
        raise GraphbuildError(*found.problems)
    return found


def attempt(index: Index, arch: str, roots: Roots, *, recommends: bool = False) -> Solution | Obstacle:
    """What `resolve` finds, or what is in the way. GraphbuildError for a name that is not there."""
    search = _Search(index, arch, recommends=recommends)
    for reason, names in roots:
        for package in [_root(index, name) for name in dict.fromkeys(names)]:
            search.take(package, reason)
        obstacle = search.close()
        if obstacle is not None:
            return obstacle
    return check(search.taken, arch) or search.taken


def _root(index: Index, name: str) -> Package:
    package = index.candidate(name)
    if package is not None:
        return package
    providers = [provider.name for provider in index.providers(name)]
    if len(providers) == 1:
        only = index.candidate(providers[0])
        if only is not None:
            return only
    if providers:
        raise mistake(f"package {name!r} is virtual", hint=f"name one that provides it: {', '.join(providers[:10])}")
    import difflib  # only for the hint

    close = difflib.get_close_matches(name, index.names(), n=1, cutoff=0.8)
    raise mistake(f"there is no package {name!r} in these suites", hint=f"did you mean {close[0]!r}?" if close else "")


class _Search:
    """The state of one resolution: what is taken, whose dependencies are not yet looked at, which choices are open."""

    def __init__(self, index: Index, arch: str, *, recommends: bool) -> None:
        self.taken: Solution = {}
        self._index, self._arch, self._recommends = index, arch, recommends
        self._provided: dict[str, list[Package]] = {}
        self._new: deque[Package] = deque()
        self._open: deque[tuple[Package, Group]] = deque()

    def take(self, package: Package, because: str) -> None:
        if package.name in self.taken:
            return
        self.taken[package.name] = Choice(package, because)
        for name, _version in package.provides:
            self._provided.setdefault(name, []).append(package)
        self._new.append(package)

    def close(self) -> Obstacle | None:
        """Take what the taken ones need, until nothing is missing, or something cannot be had."""
        while self._new or self._open:
            while self._new:
                obstacle = self._look(self._new.popleft())
                if obstacle is not None:
                    return obstacle
            if self._open:
                package, group = self._open.popleft()
                if not self._met(group):
                    options = self._options(group)
                    fitting = (option for option in options if not self._excluded(option))
                    self.take(next(fitting, options[0]), package.name)
        return None

    def _look(self, package: Package) -> Obstacle | None:
        for group in package.pre_depends + package.depends:
            if self._met(group):
                continue
            options = self._options(group)
            if not options:
                return self._unmet(package, group)
            if len(options) == 1:
                self.take(options[0], package.name)
            else:
                self._open.append((package, group))
        if self._recommends:
            self._open.extend((package, group) for group in package.recommends if not self._met(group) and self._options(group))
        return None

    def _met(self, group: Group) -> bool:
        return any(self._holders(relation) for relation in group)

    def _holders(self, relation: Relation) -> list[Package]:
        """The taken packages that are what the relation asks for."""
        named = [self.taken[relation.name].package] if relation.name in self.taken else []
        return [one for one in named + self._provided.get(relation.name, []) if satisfies(one, relation, self._arch)]

    def _options(self, group: Group) -> list[Package]:
        found: dict[str, Package] = {}
        for relation in group:
            candidate = self._index.candidate(relation.name)
            for package in ([candidate] if candidate else []) + self._index.providers(relation.name):
                if satisfies(package, relation, self._arch):
                    found.setdefault(package.name, package)
        return list(found.values())

    def _excluded(self, option: Package) -> bool:
        """Whether a taken package and the option exclude each other."""
        return any(
            satisfies(option, relation, self._arch)
            for choice in self.taken.values()
            for group in choice.package.conflicts
            for relation in group
        ) or any(self._holders(relation) for group in option.conflicts for relation in group)

    def _unmet(self, package: Package, group: Group) -> Obstacle:
        wanted = " | ".join(map(str, group))
        chain = " → ".join(chain_of(self.taken, package.name))
        there = [f"{candidate} is there" for relation in group if (candidate := self._index.candidate(relation.name)) is not None] or [
            "no package of these suites has or provides that name"
        ]
        problem = Problem(f"{package} needs {wanted}, which cannot be met", None, "; ".join(there), (f"asked for by: {chain}",))
        return Obstacle((problem,), ((package, group),))


def chain_of(solution: Solution, name: str) -> list[str]:
    """Who brought a package in, from the reason of a root to the package itself."""
    chain = [name]
    while chain[-1] in solution and solution[chain[-1]].because not in chain:
        chain.append(solution[chain[-1]].because)
    return chain[::-1]


def check(solution: Solution, arch: str) -> Obstacle | None:
    """That every dependency is met and no two packages exclude each other; everything that is wrong otherwise."""
    holders: dict[str, list[Package]] = {}
    for choice in solution.values():
        for name in {choice.package.name, *(name for name, _version in choice.package.provides)}:
            holders.setdefault(name, []).append(choice.package)
    found = [
        wrong for choice in solution.values() for wrong in (*_lacks(choice, holders, arch), *_clashes(choice, holders, solution, arch))
    ]
    return Obstacle(tuple(problem for problem, _ in found), tuple(pair for _, pair in found)) if found else None


_Wrong = tuple[Problem, tuple[Package, Group]]


def _lacks(choice: Choice, holders: dict[str, list[Package]], arch: str) -> Iterator[_Wrong]:
    package = choice.package
    for group in package.pre_depends + package.depends:
        if not any(satisfies(one, relation, arch) for relation in group for one in holders.get(relation.name, ())):
            yield Problem(f"{package} needs {' | '.join(map(str, group))}, which the set does not hold"), (package, group)


def _clashes(choice: Choice, holders: dict[str, list[Package]], solution: Solution, arch: str) -> Iterator[_Wrong]:
    package = choice.package
    for relation in (relation for group in package.conflicts for relation in group):
        for other in holders.get(relation.name, ()):
            if other.name != package.name and satisfies(other, relation, arch):
                chains = tuple("asked for by: " + " → ".join(chain_of(solution, one.name)) for one in (package, other))
                problem = Problem(f"{package} and {other} exclude each other ({relation})", None, "", chains)
                yield problem, (package, (Relation(other.name),))


def subset(solution: Solution, arch: str, roots: Sequence[tuple[str, Sequence[str]]]) -> dict[str, str]:
    """The part of a solution that the roots need, all dependencies met within it: name → who brought it in.

    Where alternatives are both in the solution, one that the part already holds wins, else the leftmost.
    """
    part = {name: reason for reason, names in roots for name in names}
    waiting = deque(part)
    while waiting:
        package = solution[waiting.popleft()].package
        for group in package.pre_depends + package.depends:
            able = [
                choice.package.name
                for relation in group
                for choice in _by_name_first(solution, relation)
                if satisfies(choice.package, relation, arch)
            ]
            if not any(name in part for name in able):
                part[able[0]] = package.name
                waiting.append(able[0])
    return part


def _by_name_first(solution: Solution, relation: Relation) -> Iterable[Choice]:
    named = solution.get(relation.name)
    if named is not None:
        yield named
    yield from (choice for choice in solution.values() if any(relation.name == virtual for virtual, _version in choice.package.provides))


def install_stages(solution: Solution, arch: str, first: Iterable[str]) -> dict[str, int]:
    """When to install what: name → stage. Stage 0 is `first`, a set that is complete in itself.

    Each later stage is the largest set whose Pre-Depends are met by the stages before it and whose Depends are met by those
    or by itself: one `dpkg --install` takes it without force. What Pre-Depends in a circle comes last, together.
    """
    stages = dict.fromkeys(first, 0)
    able = {name: _able(solution, choice.package, arch) for name, choice in solution.items() if name not in stages}
    remaining = sorted(able)
    stage = 0
    while remaining:
        stage += 1
        ready = {name for name in remaining if all(group & stages.keys() for group in able[name][0])}
        stuck: set[str] = set(remaining)
        while stuck:
            stuck = {name for name in ready if not all(group & stages.keys() or group & ready for group in able[name][1])}
            ready -= stuck
        stages.update(dict.fromkeys(ready or remaining, stage))
        remaining = [name for name in remaining if name not in stages]
    return stages


def _able(solution: Solution, package: Package, arch: str) -> tuple[list[set[str]], list[set[str]]]:
    """For each group of Pre-Depends, and of Depends: the names in the solution that meet it."""

    def names(group: Group) -> set[str]:
        return {
            one.package.name for relation in group for one in _by_name_first(solution, relation) if satisfies(one.package, relation, arch)
        }

    return [names(group) for group in package.pre_depends], [names(group) for group in package.depends]
