"""A build.yaml's text as a PackageSpec: which targets there are, and which rule each one uses.

All problems of a file are reported at once, up to MAX_PROBLEMS. Values are kept as plain data; what a rule makes of its value is not known here.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from graphbuild.rules.api import workspace_path
from graphbuild.spec.attributes import NAME_HINT, convert_vars, convert_visibility, kind_of
from graphbuild.spec.model import COMMON_ATTRIBUTES, SECTIONS, Declaration, PackageSpec, Section
from graphbuild.spec.problem import suggest
from graphbuild.spec.yaml import MAX_PROBLEMS, Document, load
from graphbuild.values.errors import GraphbuildError, Problem, SpecPath, clipped, mistake
from graphbuild.values.label import NAME

Rules = Mapping[str, str | tuple[str, ...]]

_SECTION_OF = {kind: section for section, kind in SECTIONS.items()}


def parse_package(text: bytes, file: str, package: str, rules: Rules) -> PackageSpec:
    """Parse a build.yaml. `rules` gives the kind ("base", "step", "output", "test") of every rule by its name, or its kinds.

    `file` is what problems call it. GraphbuildError holds everything that is wrong.
    """
    document = load(text, file)
    problems: list[Problem] = []
    top = document.data if document.data is not None else {}
    if not isinstance(top, dict):
        hint = "start with one of `bases:`, `steps:`, `outputs:`, `tests:`"
        raise GraphbuildError(Problem("a build.yaml must be a map of sections", SpecPath(file), hint))
    sections: dict[str, dict[str, Any]] = {}
    said: dict[str, Any] = {}  # what is no section
    for key, value in top.items():
        if len(problems) >= MAX_PROBLEMS:
            break
        try:
            if key in _READERS:
                said[key] = _READERS[key](value, file=file, path=(key,))
            else:
                sections[key] = _section(key, value, file)
        except GraphbuildError as error:
            problems.extend(error.problems)
    partial = bool(said.get("extends"))
    targets = tuple(_targets(sections, file, rules, document, problems, partial=partial))
    if problems:
        raise GraphbuildError(*problems[:MAX_PROBLEMS])
    return PackageSpec(package, file, said.get("vars", {}), targets, said.get("extends", ()), said.get("visibility"))


def _section(key: str, value: Any, file: str) -> dict[str, Any]:
    if key not in SECTIONS:
        known = (*_READERS, *SECTIONS)
        hint = suggest(key, known) or f"the sections are {', '.join(known)}"
        raise mistake(f"unknown section {clipped(key)}", SpecPath(file, (key,), key=True), hint)
    if value is not None and not isinstance(value, dict):
        raise mistake(f"`{key}` must be a map, not {kind_of(value)}", SpecPath(file, (key,)), "write one target a name")
    return value or {}


def _extends(value: Any, *, file: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """The templates that a file extends, as paths from the workspace's root."""
    where = SpecPath(file, path)
    hint = "for example `extends: //templates/python.yaml`"
    texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    if not texts:
        raise mistake(f"`extends` must be a file, or a list of files, not {kind_of(value)}", where, hint)
    found: list[str] = []
    for index, text in enumerate(texts):
        place = where if isinstance(value, str) else SpecPath(file, (*path, index))
        try:
            named = workspace_path(text, file.rpartition("/")[0]) if isinstance(text, str) else ""
        except ValueError as error:
            raise mistake(str(error), place, "paths are relative to the package; // starts at the workspace root") from None
        if named == file:
            raise mistake(f"{clipped(named)} extends itself", place, "name another file, or remove it")
        if not named.endswith((".yaml", ".yml")):
            raise mistake(f"{clipped(str(text))} is no file to extend", place, hint)
        if named in found:
            raise mistake(f"{clipped(str(text))} is there twice", place, "remove one of them")
        found.append(named)
    return tuple(found)


_READERS: dict[str, Callable[..., Any]] = {"extends": _extends, "visibility": convert_visibility, "vars": convert_vars}


def _targets(
    sections: Mapping[str, dict[str, Any]], file: str, rules: Rules, document: Document, problems: list[Problem], *, partial: bool
) -> Iterator[Declaration]:
    """`partial`: a target may say no rule, and change the attributes of an inherited one alone."""
    seen: dict[str, str] = {}
    for section, targets in sections.items():
        here = sorted(rule for rule in rules if SECTIONS[section] in _kinds(rules[rule]))
        for name, value in targets.items():
            if len(problems) >= MAX_PROBLEMS:
                return
            where = SpecPath(file, (section, name), key=True)
            if not NAME.fullmatch(name):
                problems.append(Problem(f"{clipped(name)} is not a name", where, NAME_HINT))
            elif name == "all":
                problems.append(Problem("'all' cannot be a name: it selects every target of a package", where, "choose another name"))
            if name in seen:
                hint = f"names are unique in a package; it is in `{seen[name]}` too, in line {_line(document, seen[name], name)}"
                problems.append(Problem(f"{name!r} is declared twice", where, hint))
            seen.setdefault(name, section)
            if partial and isinstance(value, dict) and value and all(key in COMMON_ATTRIBUTES for key in value):
                found: str | None = ""
            else:
                found = _rule(name, value, where, rules, here, problems)
            if found is not None:
                common = {key: item for key, item in value.items() if key != found} if isinstance(value, dict) else {}
                body = value[found] if found and isinstance(value, dict) else None
                yield Declaration(cast("Section", section), name, found, body, common, file, _line(document, section, name))


def _line(document: Document, section: str, name: str) -> int:
    """The line of a target's name; in a section that is an alias, where the name was written."""
    lines = document.lines
    return lines.get((section, name)) or next((line for (_, other), line in lines.items() if other == name), 1)


def _rule(name: str, value: Any, where: SpecPath, rules: Rules, here: list[str], problems: list[Problem]) -> str | None:
    """The one rule that a target uses, of those `here` in its section; None after appending to `problems` why there is none."""
    section = str(where.path[0])
    if isinstance(value, str):
        if section == "bases" and value in here:
            return value
        problems.append(_bare(section, value, SpecPath(where.file, where.path), rules, here))
        return None
    if not isinstance(value, dict):
        what = "says nothing" if value is None else f"must be a map, not {kind_of(value)}"
        problems.append(Problem(f"target {name!r} {what}", where, f"give it a rule: {_listed(here)}"))
        return None
    used: list[str] = [key for key in value if key in rules and key not in COMMON_ATTRIBUTES]
    unknown = [key for key in value if key not in rules and key not in COMMON_ATTRIBUTES]
    if len(used) == 1 and used[0] in here and not unknown:
        return used[0]
    problems.extend(_unknown(where, unknown[:MAX_PROBLEMS], used, here))
    problems.extend(_misplaced(where, key, section, rules, name) for key in used if key not in here)
    problems.extend(
        Problem(f"target {name!r} has two rules: {used[0]!r} and {key!r}", _inside(where, key), "make two targets of it")
        for key in used[1:]
    )
    if not used and not unknown:
        problems.append(Problem(f"target {name!r} has no rule", where, f"add one of {_listed(here)}"))
    return None


def _bare(section: str, value: str, where: SpecPath, rules: Rules, here: list[str]) -> Problem:
    if value in here or section != "bases":
        return Problem(
            f"a target must be a map with a rule, not {clipped(value)}", where, f"for example `{here[0] if here else 'rule'}: …`"
        )
    if value in rules:
        return Problem(f"rule {value!r} does not belong in `bases`", where, f"it belongs in {_homes(rules[value])}")
    hint = suggest(value, here) or f"give it a rule: {_listed(here)}"
    return Problem(f"unknown rule {clipped(value)}", where, hint)


def _unknown(where: SpecPath, unknown: list[str], used: list[str], here: list[str]) -> Iterator[Problem]:
    """Keys that are neither rules nor attributes. Where no rule is used, one of them was probably meant as it."""
    meant = next((key for key in unknown if suggest(key, here)), unknown[0] if unknown else "") if not used else ""
    if meant and suggest(meant, COMMON_ATTRIBUTES) and not suggest(meant, here):
        yield Problem(f"target {where.path[-1]!r} has no rule", where, f"add one of {_listed(here)}")
        meant = ""
    for key in unknown:
        if key == meant:
            hint = suggest(key, here) or f"the rules here are {_listed(here)}"
            yield Problem(f"unknown rule {clipped(key)}", _inside(where, key), hint)
        else:
            hint = suggest(key, (*COMMON_ATTRIBUTES, *here)) or f"besides its rule, a target may say {_listed(list(COMMON_ATTRIBUTES))}"
            yield Problem(f"unknown key {clipped(key)}", _inside(where, key), hint)


def _misplaced(where: SpecPath, rule: str, section: str, rules: Rules, name: str) -> Problem:
    hint = f"move {name!r} to {_homes(rules[rule])}"
    return Problem(f"rule {rule!r} does not belong in `{section}`", _inside(where, rule), hint)


def _inside(where: SpecPath, key: str) -> SpecPath:
    return SpecPath(where.file, (*where.path, key), key=True)


def _kinds(kinds: str | tuple[str, ...]) -> tuple[str, ...]:
    return (kinds,) if isinstance(kinds, str) else kinds


def _homes(kinds: str | tuple[str, ...]) -> str:
    return " or ".join(f"`{_SECTION_OF[kind]}`" for kind in _kinds(kinds))


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "(no rules)"
