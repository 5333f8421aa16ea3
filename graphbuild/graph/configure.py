"""Declarations to configured targets: matrix cells, `${}` expansion, typed attributes, and the labels they name.

Everything a mistake can be blamed on is here still text with a place. One target's mistakes do not hide another's.
"""

import itertools
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from graphbuild.graph.variables import Variables
from graphbuild.rules.api import Rule
from graphbuild.rules.registry import Rules
from graphbuild.spec.attributes import convert_common, convert_matrix
from graphbuild.spec.convert import convert_attributes, expand
from graphbuild.spec.model import SECTIONS, BindMount, Common, Declaration, FilledCache, PackageSpec
from graphbuild.spec.problem import suggest
from graphbuild.values.errors import GraphbuildError, Problem, SpecPath, mistake
from graphbuild.values.label import Label, parse_label


class Packages(Protocol):
    """Where packages come from."""

    def load(self, package: str) -> PackageSpec | None:
        """The parsed build.yaml of a folder, or None when it has none. GraphbuildError for a broken one."""
        ...

    def packages(self, under: str) -> Iterable[str]: ...


class Configured(msgspec.Struct, frozen=True):
    """A target ready for its rule: everything typed, every label parsed. `named` pairs each label text with its label."""

    label: Label
    declaration: Declaration
    rule: Rule
    common: Common
    attributes: Any
    parents: tuple[Label, ...]
    named: tuple[tuple[str, Label], ...]

    @property
    def place(self) -> SpecPath:
        return SpecPath(self.declaration.file, self.declaration.path)

    def needs(self) -> tuple[Label, ...]:
        """Every target this one depends on, once."""
        return tuple(dict.fromkeys((*self.parents, *(label for _, label in self.named))))


class Workspace:
    """The targets of a workspace, configured on demand and once."""

    def __init__(
        self,
        packages: Packages,
        rules: Rules,
        settings: Mapping[str, str],
        variables: Mapping[str, str],
        builtin: Callable[[str, str], str | None],
    ) -> None:
        """`settings` are `--set`, `variables` the workspace's vars; `builtin(name, package)` gives `git.commit` and its like."""
        self._packages = packages
        self._rules = rules
        self._settings = settings
        self._variables = variables
        self._builtin = builtin
        self._configured: dict[Label, Configured] = {}

    def packages(self, under: str) -> Iterable[str]:
        return self._packages.packages(under)

    def labels(self, package: str, sections: Container[str] = SECTIONS) -> Sequence[Label]:
        spec = self._spec(package)
        found = (declaration for declaration in spec.targets if declaration.section in sections and "manual" not in _tags(declaration))
        return [Label(package, declaration.name, cell) for declaration in found for cell in _cells(declaration)]

    def expand(self, label: Label, place: SpecPath | None = None) -> Sequence[Label]:
        declaration = self.declaration(label, place)
        cells = _cells(declaration)
        wanted = _pairs(label.variant)
        chosen = [Label(label.package, label.name, cell) for cell in cells if wanted <= _pairs(cell)]
        if not chosen:
            listed = ", ".join(cells) if any(cells) else "it has no matrix"
            raise mistake(f"{label} is no variant of {Label(label.package, label.name)}", place, f"variants: {listed}")
        return chosen

    def declaration(self, label: Label, place: SpecPath | None = None) -> Declaration:
        """What declares a label. GraphbuildError with a suggestion when nothing does."""
        spec = self._spec(label.package, place)
        for declaration in spec.targets:
            if declaration.name == label.name:
                return declaration
        names = [declaration.name for declaration in spec.targets]
        near = suggest(label.name, names)
        hint = near or (f"targets there: {', '.join(names[:8])}" if names else "the package declares no targets")
        raise mistake(f"no target {label.name!r} in package //{label.package}", place, hint)

    def configure(self, label: Label) -> Configured:
        """The configured target of an expanded label (one with all its matrix values). GraphbuildError for its mistakes."""
        known = self._configured.get(label)
        if known is None:
            known = self._configured[label] = self._configure(label)
        return known

    def _spec(self, package: str, place: SpecPath | None = None) -> PackageSpec:
        spec = self._packages.load(package)
        if spec is None:
            hint = suggest(package, [f"{name}" for name in self._packages.packages("")])
            hint = hint or ("" if package else "a build.yaml says what there is to build: docs/tutorial.md begins with one")
            raise mistake(f"no package //{package}: there is no {package + '/' if package else ''}build.yaml", place, hint)
        return spec

    def _configure(self, label: Label) -> Configured:
        declaration = self.declaration(label)
        spec = self._spec(label.package)
        file, path = declaration.file, declaration.path
        cell = dict(pair.split("=", 1) for pair in label.variant.split(",")) if label.variant else {}
        variables = Variables(cell, self._settings, spec.vars, self._variables, lambda name: self._builtin(name, label.package))
        known = variables.names()
        plain = {name: value for name, value in declaration.common.items() if name != "matrix"}
        rule = self._rules[SECTIONS[declaration.section], declaration.rule]
        value_path = (*path, declaration.rule)
        try:
            common = convert_common(expand(plain, variables, file, path, known), file=file, path=path)
            value = expand(declaration.value, variables, file, value_path, known)
        except ValueError as error:  # variables in a circle
            raise mistake(str(error), SpecPath(file, path)) from None
        attributes = convert_attributes(value, rule, file=file, path=value_path)
        resolve = _Resolver(self, label, cell, SpecPath(file, path))
        parents = tuple(resolve(text, "from") for text in common.from_)
        taken = [mount.from_ for mount in common.mounts if isinstance(mount, BindMount | FilledCache) and mount.from_]
        mounted = {text: resolve(text, "mounts") for text in taken}
        named = {text: resolve(text, declaration.rule) for text in rule.dependencies(attributes)}
        return Configured(label, declaration, rule, common, attributes, parents, tuple({**mounted, **named}.items()))


class _Resolver:
    """Label texts of one target to labels; a matrix target that names another takes its own variant of it."""

    def __init__(self, workspace: Workspace, label: Label, cell: Mapping[str, str], place: SpecPath) -> None:
        self._workspace = workspace
        self._label = label
        self._cell = cell
        self._place = place

    def __call__(self, text: str, attribute: str) -> Label:
        place = SpecPath(self._place.file, (*self._place.path, attribute))
        try:
            label = parse_label(text, self._label.package)
        except ValueError as error:
            raise mistake(str(error), place, "for example //web:app or :app") from None
        candidates = self._workspace.expand(label, place)
        if len(candidates) == 1:
            return candidates[0]
        own = set(self._cell.items())
        fitting = [found for found in candidates if all(pair in own for pair in _pairs(found.variant) - _pairs(label.variant))]
        if len(fitting) == 1:
            return fitting[0]
        variants = ", ".join(f"{label.name}[{found.variant}]" for found in candidates)
        raise mistake(f"{text!r} has several variants", place, f"say which: {variants}")


def _pairs(variant: str) -> set[tuple[str, str]]:
    pairs = (pair.partition("=") for pair in variant.split(",")) if variant else ()
    return {(name, value) for name, _, value in pairs}


def _tags(declaration: Declaration) -> Sequence[str]:
    tags = declaration.common.get("tags")
    return [str(tag) for tag in tags] if isinstance(tags, list | tuple) else [str(tags)] if tags else []


def _cells(declaration: Declaration) -> list[str]:
    """The variants of a target: `os=a,py=3.11` for each combination of its matrix, or [""] without one."""
    if not declaration.common.get("matrix"):
        return [""]
    matrix = convert_matrix(declaration.common["matrix"], file=declaration.file, path=(*declaration.path, "matrix"))
    axes = [[f"{name}={value}" for value in values] for name, values in sorted(matrix)]
    return [",".join(combination) for combination in itertools.product(*axes)]


def configure_all(workspace: Workspace, start: Iterable[Label]) -> dict[Label, Configured]:
    """Every target that `start` needs, configured. All mistakes at once, in one GraphbuildError."""
    configured: dict[Label, Configured] = {}
    problems: list[Problem] = []
    queue = list(start)
    seen = set(queue)
    for label in queue:  # grows while it is walked
        try:
            target = configured[label] = workspace.configure(label)
        except GraphbuildError as error:
            problems.extend(problem for problem in error.problems if problem not in problems)
            continue
        for need in target.needs():
            if need not in seen:
                seen.add(need)
                queue.append(need)
    if problems:
        raise GraphbuildError(*problems)
    return configured
