"""`extends`: what a file says, on top of what the templates that it names say, as if all had been written in it.

Paths and labels of a template are those of the package that extends it. Vars and targets are merged by name, maps in them key by key;
all else, lists too, is taken from who comes last: the templates in their order, then the file itself.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from graphbuild.spec.model import BUILD_FILE, Below, Declaration, PackageSpec
from graphbuild.values.errors import GraphbuildError, Problem, SpecPath, clipped, mistake

_DEEPEST = 16  # templates that extend templates


def file_of(package: str) -> str:
    """The path of a package's build.yaml from the workspace's root."""
    return f"{package}/{BUILD_FILE}" if package else BUILD_FILE


class Specs:
    """The packages of a workspace with all that they inherit: each file parsed, and each template put together, when it is first asked for."""

    def __init__(self, read: Callable[[str], bytes | None], parse: Callable[[bytes, str, str], PackageSpec]) -> None:
        """`read` gives a file's text by its path from the workspace's root, None where there is none; `parse` takes (text, file, package)."""
        self._read = read
        self._parse = parse
        self._packages: dict[str, PackageSpec | None] = {}
        self._templates: dict[str, PackageSpec] = {}

    def load(self, package: str) -> PackageSpec | None:
        """The build.yaml of a folder with what it inherits, or None where it has none.

        GraphbuildError for a broken one, a template that is not there, a circle, and a target that has no rule.
        """
        if package not in self._packages:
            spec = self._file(file_of(package), package)
            self._packages[package] = self._whole(spec) if spec else None
        return self._packages[package]

    def _whole(self, spec: PackageSpec) -> PackageSpec:
        whole = self._extended(spec, ())
        if spec.extends and (lost := [target for target in whole.targets if not target.rule]):
            hint = f"no target of that name in {', '.join(spec.extends)}: give it a rule"
            raise GraphbuildError(
                *(Problem(f"target {target.name!r} has no rule", SpecPath(target.file, target.path, key=True), hint) for target in lost)
            )
        return whole

    def _extended(self, spec: PackageSpec, chain: tuple[str, ...]) -> PackageSpec:
        """A file over the templates that it names. `chain`: the files that extend it, each the one after it."""
        if not spec.extends:
            return spec
        chain = (*chain, spec.file)
        inherited = PackageSpec(spec.package, spec.file, {}, ())
        for index, path in enumerate(spec.extends):
            inherited = _over(inherited, self._template(path, chain, SpecPath(spec.file, ("extends", index))))
        return _over(inherited, spec)

    def _template(self, path: str, chain: tuple[str, ...], place: SpecPath) -> PackageSpec:
        """A template with what it extends itself; `place` is where `path` is named."""
        if path in chain:
            raise mistake(f"templates extend each other in a circle: {' → '.join((*chain, path))}", place)
        if len(chain) > _DEEPEST:
            raise mistake(f"templates extend each other more than {_DEEPEST} deep", place, "name them in one list")
        if path not in self._templates:
            try:
                spec = self._file(path, path.rpartition("/")[0])
            except GraphbuildError as error:
                problems = (msgspec.structs.replace(problem, place=problem.place or place) for problem in error.problems)
                raise GraphbuildError(*problems, exit_code=error.exit_code) from None
            if spec is None:
                hint = "a path is relative to the package; // starts at the workspace root"
                raise mistake(f"there is no file {clipped(path)} to extend", place, hint)
            self._templates[path] = self._extended(spec, chain)
        return self._templates[path]

    def _file(self, path: str, package: str) -> PackageSpec | None:
        text = self._read(path)
        return None if text is None else self._parse(text, path, package)


def _over(below: PackageSpec, top: PackageSpec) -> PackageSpec:
    targets = {target.name: target for target in below.targets}
    for target in top.targets:
        inherited = targets.get(target.name)
        targets[target.name] = _merged(inherited, target) if inherited else target
    visibility = below.visibility if top.visibility is None else top.visibility
    return PackageSpec(top.package, top.file, {**below.vars, **top.vars}, tuple(targets.values()), top.extends, visibility)


def _merged(below: Declaration, top: Declaration) -> Declaration:
    if below.section != top.section:
        hint = f"write it there, or choose another name: it is inherited from {below.file}:{below.line}"
        raise mistake(f"{top.name!r} is in `{below.section}` of what is extended", SpecPath(top.file, top.path, key=True), hint)
    elsewhere = dict(top.elsewhere)
    common = _both(below.common, top.common, (), below, elsewhere)
    rule, value = top.rule or below.rule, top.value
    if not top.rule or top.rule == below.rule:
        both = _both({rule: below.value}, {rule: top.value} if top.rule else {}, (), below, elsewhere)
        value = both[rule]
    return msgspec.structs.replace(top, rule=rule, value=value, common=common, elsewhere=elsewhere)


def _both(
    below: Mapping[str, Any], top: Mapping[str, Any], path: Below, origin: Declaration, elsewhere: dict[Below, str]
) -> dict[str, Any]:
    """One map over another; `elsewhere` learns the file of what `origin` alone says."""
    found = dict(top)
    for key, value in below.items():
        here = (*path, key)
        if key not in top:
            found[key] = value
            elsewhere[here] = origin.file
            elsewhere.update((place, file) for place, file in origin.elsewhere.items() if place[: len(here)] == here)
        elif isinstance(value, dict) and isinstance(top[key], dict):
            found[key] = _both(value, top[key], here, origin, elsewhere)
    return found


def blamed(error: GraphbuildError, target: Declaration, package: str) -> GraphbuildError:
    """The error of a target of `package` with each problem in the file that says what is wrong, and a note who inherited it."""
    own = file_of(package)

    def told(problem: Problem) -> Problem:
        place = problem.place
        if not isinstance(place, SpecPath) or place.file != target.file or place.path[:2] != target.path:
            return problem
        below = place.path[2:]
        files = (target.elsewhere.get(below[:length]) for length in range(len(below), 0, -1))
        file = next((file for file in files if file), target.file)
        notes = problem.notes if file == own else (*problem.notes, f"    as //{package}:{target.name} inherits it")
        return msgspec.structs.replace(problem, place=SpecPath(file, place.path, place.key), notes=notes)

    return GraphbuildError(*map(told, error.problems), exit_code=error.exit_code)
