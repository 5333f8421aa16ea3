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
from graphbuild.spec.attributes import convert_common, convert_matrix, convert_platforms, convert_vars, convert_visibility
from graphbuild.spec.convert import convert_attributes
from graphbuild.spec.expand import expand
from graphbuild.spec.extend import blamed
from graphbuild.spec.model import READ_FIRST, SECTIONS, BindMount, Common, Declaration, FilledCache, PackageSpec
from graphbuild.spec.problem import suggest
from graphbuild.spec.workspace import Settings
from graphbuild.values.errors import GraphbuildError, Problem, SpecPath, mistake
from graphbuild.values.label import PLATFORM, Label, is_within, parse_label
from graphbuild.values.platform import normal_platform, this_platform

_NO_PACKAGE = "a build.yaml says what there is to build: docs/tutorial.md begins with one"


class Packages(Protocol):
    """Where packages come from."""

    def load(self, package: str) -> PackageSpec | None:
        """The parsed build.yaml of a folder, or None when it has none. GraphbuildError for a broken one."""
        ...

    def packages(self, under: str) -> Iterable[str]: ...


Builtin = Callable[[str, str, str], str | None]  # (name, package, platform) → the value of a built-in variable


class Configured(msgspec.Struct, frozen=True):
    """A target ready for its rule: everything typed, every label parsed. `named` pairs each label text with its label.

    `platform` is what it is built for. `parts`: of an index, the target of each platform; then it needs nothing else. `is_part` of one.
    """

    label: Label
    declaration: Declaration
    rule: Rule
    common: Common
    attributes: Any
    parents: tuple[Label, ...]
    named: tuple[tuple[str, Label], ...]
    platform: str
    parts: tuple[tuple[str, Label], ...] = ()
    is_part: bool = False

    @property
    def place(self) -> SpecPath:
        return self.declaration.place

    def needs(self) -> tuple[Label, ...]:
        """Every target this one depends on, once."""
        return tuple(dict.fromkeys((*self.parents, *(label for _, label in (*self.named, *self.parts)))))


class Workspace:
    """The targets of a workspace, configured on demand and once."""

    def __init__(
        self,
        packages: Packages,
        rules: Rules,
        given: Mapping[str, str],
        settings: Settings,
        builtin: Builtin,
        platforms: tuple[str, ...] = (),
    ) -> None:
        """`given` is `--set`, `platforms` `--platform`, `settings` the workspace's; `builtin` gives `git.commit` and its like."""
        self.platforms = platforms
        self._platform = platforms[0] if len(platforms) == 1 else this_platform()
        self._packages = packages
        self._rules = rules
        self._given = given
        self._settings = settings
        self._builtin = builtin
        self._configured: dict[Label, Configured] = {}
        self._declared: dict[str, dict[str, Declaration]] = {}  # by package

    def packages(self, under: str) -> Iterable[str]:
        return self._packages.packages(under)

    def labels(self, package: str, sections: Container[str] = SECTIONS) -> Sequence[Label]:
        spec = self._spec(package)
        found = (declaration for declaration in spec.targets if declaration.section in sections and "manual" not in _tags(declaration))
        return [Label(package, declaration.name, cell) for declaration in found for cell in self._cells(declaration)]

    def expand(self, label: Label, place: SpecPath | None = None) -> Sequence[Label]:
        declaration = self.declaration(label, place)
        cells = self._cells(declaration)
        wanted = _pairs(label.variant)
        if said := next((pair for pair in wanted if pair[0] == PLATFORM), None):
            wanted.remove(said)
            platform = (PLATFORM, _platform(said[1], place))  # as everybody writes it: one label for one target
            cells = [_joined({*_pairs(cell), platform}) for cell in _cells(declaration)]
        chosen = [Label(label.package, label.name, cell) for cell in cells if wanted <= _pairs(cell)]
        if not chosen:
            listed = ", ".join(cells) if any(cells) else "it has no matrix"
            raise mistake(f"{label} is no variant of {Label(label.package, label.name)}", place, f"variants: {listed}")
        return chosen

    def declaration(self, label: Label, place: SpecPath | None = None) -> Declaration:
        """What declares a label. GraphbuildError with a suggestion when nothing does."""
        declared = self._declared.get(label.package)
        if declared is None:
            targets = self._spec(label.package, place).targets
            declared = self._declared[label.package] = {declaration.name: declaration for declaration in targets}
        if label.name in declared:
            return declared[label.name]
        listed = f"targets there: {', '.join(list(declared)[:8])}" if declared else "the package declares no targets"
        if label.name == label.package.rpartition("/")[2]:  # most likely nobody wrote the name
            hint = f"//{label.package} is short for //{label.package}:{label.name}; {listed}"
        else:
            hint = suggest(label.name, declared) or listed
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
            there = [f"//{name}" for name in self._packages.packages("")]
            hint = (package and suggest(f"//{package}", there)) or (f"packages there are: {', '.join(there[:8])}" if there else _NO_PACKAGE)
            raise mistake(f"no package //{package}: there is no {package + '/' if package else ''}build.yaml", place, hint)
        return spec

    def visible(self, label: Label, package: str) -> bool:
        """Whether targets of `package` may name a declared label."""
        if package == label.package:
            return True
        own = _visibility(self.declaration(label))
        default = self._spec(label.package).visibility
        allowed = own if own is not None else default if default is not None else self._settings.visibility
        return any(is_within(package, pattern) for pattern in allowed)

    def _configure(self, label: Label) -> Configured:
        declaration = self.declaration(label)
        try:
            return self._typed(label, declaration)
        except GraphbuildError as error:
            raise blamed(error, declaration, label.package) from None

    def _typed(self, label: Label, declaration: Declaration) -> Configured:
        file, path = declaration.file, declaration.path
        _visibility(declaration)  # a mistake in it is one even if nobody else names the target
        cell = dict(_pairs(label.variant))
        platforms = self._platforms(declaration)
        said = cell.pop(PLATFORM, "")
        platform = _platform(said, declaration.place) if said else platforms[0] if len(platforms) == 1 else self._platform
        variables = self._variables(label, declaration, cell, platform)
        known = variables.names()
        plain = {name: value for name, value in declaration.common.items() if name not in READ_FIRST}
        rule = self._rules[SECTIONS[declaration.section], declaration.rule]
        value_path = (*path, declaration.rule)
        try:
            common = convert_common(expand(plain, variables, file, path, known), file=file, path=path)
            value = expand(declaration.value, variables, file, value_path, known)
        except ValueError as error:  # variables in a circle, or too long
            raise mistake(str(error), declaration.place) from None
        if "manual" in common.tags and "manual" not in _tags(declaration):
            where = SpecPath(file, (*path, "tags"))
            raise mistake("`manual` is not for a variable or `select` to say", where, "patterns look for it before these mean anything")
        attributes = convert_attributes(value, rule, file=file, path=value_path)
        if rule.index and not said and len(platforms) > 1:
            parts = tuple((one, Label(label.package, label.name, _joined({*cell.items(), (PLATFORM, one)}))) for one in platforms)
            return Configured(label, declaration, rule, common, attributes, (), (), platform, parts)
        resolve = _Resolver(self, label, cell, declaration.place, platform)
        parents = tuple(resolve(text, "from") for text in common.from_)
        taken = [mount.from_ for mount in common.mounts if isinstance(mount, BindMount | FilledCache) and mount.from_]
        mounted = {text: resolve(text, "mounts") for text in taken}
        named = {text: resolve(text, declaration.rule) for text in rule.dependencies(attributes)}
        is_part = bool(rule.index and said and len(platforms) > 1)
        taken_from = tuple({**mounted, **named}.items())
        return Configured(label, declaration, rule, common, attributes, parents, taken_from, platform, is_part=is_part)

    def part(self, label: Label, platform: str) -> Label:
        """A label as it is for a platform: it says which, where that is not the one that all is built for, or where it would be an index."""
        variant = _pairs(label.variant)
        if any(name == PLATFORM for name, _ in variant):
            return label
        if platform == self._platform and not self._is_index(self.declaration(label)):
            return label
        return Label(label.package, label.name, _joined({*variant, (PLATFORM, platform)}))

    def _platforms(self, declaration: Declaration) -> tuple[str, ...]:
        """The platforms that an output is built for: the command line's, or its own; () for what all is built for."""
        said = declaration.common.get("platforms")
        path = (*declaration.path, "platforms")
        own = convert_platforms(said, file=declaration.file, path=path) if said else ()
        if own and declaration.section != "outputs":
            raise mistake(
                "`platforms` belongs to outputs", SpecPath(declaration.file, path), "what an output stands on is built for its platforms"
            )
        return self.platforms or own if declaration.section == "outputs" else ()

    def _is_index(self, declaration: Declaration) -> bool:
        rule = self._rules[SECTIONS[declaration.section], declaration.rule]
        return rule.index is not None and len(self._platforms(declaration)) > 1

    def _cells(self, declaration: Declaration) -> list[str]:
        """The variants of a target: one for each cell of its matrix and, where it makes no index of them, each platform."""
        cells = _cells(declaration)
        platforms = self._platforms(declaration)
        if len(platforms) < 2 or self._is_index(declaration):
            return cells
        return [_joined({*_pairs(cell), (PLATFORM, platform)}) for cell in cells for platform in platforms]

    def _variables(self, label: Label, declaration: Declaration, cell: Mapping[str, str], platform: str) -> Variables:
        said = declaration.common.get("vars")
        own = convert_vars(said, file=declaration.file, path=(*declaration.path, "vars")) if said else {}
        layers = (cell, self._given, own, self._spec(label.package).vars, self._settings.vars)
        return Variables(layers, lambda name: self._builtin(name, label.package, platform))


class _Resolver:
    """Label texts of one target to labels; a matrix target that names another takes its own variant of it."""

    def __init__(self, workspace: Workspace, label: Label, cell: Mapping[str, str], place: SpecPath, platform: str) -> None:
        self._platform = platform
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
        candidates = list(dict.fromkeys(self._workspace.part(found, self._platform) for found in self._workspace.expand(label, place)))
        if not self._workspace.visible(label, self._label.package):
            declaration = self._workspace.declaration(label)
            where = f"{declaration.file}:{declaration.line}"
            hint = f'add "//{self._label.package}" to its `visibility`, a list, in {where}; or "public"'
            raise mistake(f"{label} is not visible to {self._label}", place, hint)
        if len(candidates) == 1:
            return candidates[0]
        own = {*self._cell.items(), (PLATFORM, self._platform)}
        fitting = [found for found in candidates if all(pair in own for pair in _pairs(found.variant) - _pairs(label.variant))]
        if len(fitting) == 1:
            return fitting[0]
        variants = ", ".join(f"{label.name}[{found.variant}]" for found in candidates)
        raise mistake(f"{text!r} has several variants", place, f"say which: {variants}")


def _pairs(variant: str) -> set[tuple[str, str]]:
    pairs = (pair.partition("=") for pair in variant.split(",")) if variant else ()
    return {(name, value) for name, _, value in pairs}


def _joined(pairs: Iterable[tuple[str, str]]) -> str:
    """(name, value) pairs as a label's variant."""
    return ",".join(f"{name}={value}" for name, value in sorted(pairs))


def _platform(text: str, place: SpecPath | None) -> str:
    try:
        return normal_platform(text)
    except ValueError as error:
        raise mistake(str(error), place, "write os/arch[/variant], such as linux/amd64 or linux/arm/v7") from None


def _tags(declaration: Declaration) -> Sequence[str]:
    tags = declaration.common.get("tags")
    return [str(tag) for tag in tags] if isinstance(tags, list | tuple) else [str(tags)] if tags else []


def _visibility(declaration: Declaration) -> tuple[str, ...] | None:
    """Who a declaration itself says may name it; None where it says nothing."""
    said = declaration.common.get("visibility")
    return None if said is None else convert_visibility(said, file=declaration.file, path=(*declaration.path, "visibility"))


def _cells(declaration: Declaration) -> list[str]:
    """The variants of a target: `os=a,py=3.11` for each combination of its matrix, or [""] without one."""
    if not declaration.common.get("matrix"):
        return [""]
    matrix = convert_matrix(declaration.common["matrix"], file=declaration.file, path=(*declaration.path, "matrix"))
    if any(name == PLATFORM for name, _ in matrix):
        place = SpecPath(declaration.file, (*declaration.path, "matrix", PLATFORM), key=True)
        raise mistake("`platform` is no variable of a matrix", place, "say `platforms: […]` of an output")
    axes = [[(name, value) for value in values] for name, values in sorted(matrix)]
    return [_joined(combination) for combination in itertools.product(*axes)]


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
            problems.extend(error.problems)
            continue
        for need in target.needs():
            if need not in seen:
                seen.add(need)
                queue.append(need)
    if problems:
        raise GraphbuildError(*each_once(problems))
    return configured


def each_once(problems: Iterable[Problem]) -> list[Problem]:
    """The problems, the same thing at the same place only once: of a template, all who extend it have it."""
    found: dict[tuple[str, object], Problem] = {}
    for problem in problems:
        found.setdefault((problem.message, problem.place), problem)
    return list(found.values())
