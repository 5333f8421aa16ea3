"""A build.yaml's text as a PackageSpec: which targets there are, and which rule each one uses.

All problems of a file are reported at once, up to MAX_PROBLEMS. Values are kept as plain data; what a rule makes of its value is not known here.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from graphbuild.spec.model import COMMON_ATTRIBUTES, SECTIONS, Declaration, PackageSpec, Section
from graphbuild.spec.problem import suggest
from graphbuild.spec.yaml import MAX_PROBLEMS, Document, load
from graphbuild.values.errors import GraphbuildError, Problem, SpecPath, clipped
from graphbuild.values.label import NAME

Rules = Mapping[str, str | tuple[str, ...]]

_TOP = ("vars", *SECTIONS)
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
    for key, value in top.items():
        if len(problems) >= MAX_PROBLEMS:
            break
        if key not in _TOP:
            hint = suggest(key, _TOP) or f"the sections are {', '.join(_TOP)}"
            problems.append(Problem(f"unknown section {clipped(key)}", SpecPath(file, (key,), key=True), hint))
        elif value is not None and not isinstance(value, dict):
            hint = "write one `name: value` a line" if key == "vars" else "write one target a name"
            problems.append(Problem(f"`{key}` must be a map, not {_kind(value)}", SpecPath(file, (key,)), hint))
        else:
            sections[key] = value or {}
    variables = parse_vars(sections.pop("vars", {}), SpecPath(file, ("vars",)), problems)
    targets = tuple(_targets(sections, file, rules, document, problems))
    if problems:
        raise GraphbuildError(*problems[:MAX_PROBLEMS])
    return PackageSpec(package, file, variables, targets)


def parse_vars(data: Mapping[str, Any], where: SpecPath, problems: list[Problem]) -> dict[str, str]:
    """The variables of a `vars:` map; appends to `problems` what is none."""
    found = {}
    for name, value in data.items():
        path = SpecPath(where.file, (*where.path, name))
        if not NAME.fullmatch(name):
            problems.append(Problem(f"{clipped(name)} is not a name", SpecPath(path.file, path.path, key=True), _NAME_HINT))
        elif isinstance(value, bool):
            found[name] = "true" if value else "false"
        elif isinstance(value, str):
            found[name] = value
        else:
            problems.append(Problem(f"variable {name!r} must be text, not {_kind(value)}", path, 'for nothing, write ""'))
    return found


_NAME_HINT = "letters, digits, _ . + -, and none of . + - at the start"


def _targets(
    sections: Mapping[str, dict[str, Any]], file: str, rules: Rules, document: Document, problems: list[Problem]
) -> Iterator[Declaration]:
    seen: dict[str, str] = {}
    for section, targets in sections.items():
        here = sorted(rule for rule in rules if SECTIONS[section] in _kinds(rules[rule]))
        for name, value in targets.items():
            if len(problems) >= MAX_PROBLEMS:
                return
            where = SpecPath(file, (section, name), key=True)
            if not NAME.fullmatch(name):
                problems.append(Problem(f"{clipped(name)} is not a name", where, _NAME_HINT))
            elif name == "all":
                problems.append(Problem("'all' cannot be a name: it selects every target of a package", where, "choose another name"))
            if name in seen:
                hint = f"names are unique in a package; it is in `{seen[name]}` too, in line {_line(document, seen[name], name)}"
                problems.append(Problem(f"{name!r} is declared twice", where, hint))
            seen.setdefault(name, section)
            found = _rule(name, value, where, rules, here, problems)
            if found is not None:
                common = {key: item for key, item in value.items() if key != found} if isinstance(value, dict) else {}
                body = value[found] if isinstance(value, dict) else None
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
        what = "says nothing" if value is None else f"must be a map, not {_kind(value)}"
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


def _kind(value: Any) -> str:
    return {dict: "a map", list: "a list", str: "text", bool: "true or false"}.get(type(value), "nothing")
