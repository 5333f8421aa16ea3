"""The rules of a build by kind and name, checked as they are registered: whatever is wrong with a plugin is said here, by its name."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from graphbuild.rules.api import Rule
from graphbuild.values.errors import EXIT_USAGE, GraphbuildError, Problem
from graphbuild.values.label import NAME

KINDS = ("base", "step", "output", "test")

Rules = Mapping[tuple[str, str], Rule]  # (kind, name): a base and an output may be of one name


def register(plugins: Iterable[tuple[str, Any]], reserved: Iterable[str]) -> Rules:
    """All rules by kind and name. `plugins` pairs each plugin's name with its `RULES`; `reserved` are attribute names rules may not take.

    GraphbuildError lists everything that is wrong with any of them.
    """
    rules: dict[tuple[str, str], Rule] = {}
    owners: dict[tuple[str, str], str] = {}
    problems: list[Problem] = []
    taken = set(reserved)
    for plugin, exported in plugins:
        if not isinstance(exported, tuple):
            problems.append(_blame(plugin, f"RULES is a {type(exported).__name__}, not a tuple of Rule"))
            continue
        for rule in exported:
            faults = list(_faults(rule, taken))
            if not faults and (rule.kind, rule.name) in rules:
                faults = [f"rule {rule.name!r} is already a rule of plugin {owners[rule.kind, rule.name]!r}"]
            problems.extend(_blame(plugin, fault) for fault in faults)
            if not faults:
                rules[rule.kind, rule.name] = rule
                owners[rule.kind, rule.name] = plugin
    if problems:
        raise GraphbuildError(*problems, exit_code=EXIT_USAGE)
    return rules


def _blame(plugin: str, fault: str) -> Problem:
    return Problem(f"plugin {plugin!r}: {fault}", hint="docs/plugins.md says what a plugin exports")


def _faults(rule: Any, reserved: set[str]) -> Iterable[str]:
    if not isinstance(rule, Rule):
        yield f"RULES holds a {type(rule).__name__}, not a Rule"
        return
    name = f"rule {rule.name!r}"
    if not isinstance(rule.name, str) or not NAME.fullmatch(rule.name):
        yield f"{name}: not a name (letters, digits, _ . + -)"
    elif rule.name in reserved:
        yield f"{name}: the name is an attribute that every target has"
    if rule.kind not in KINDS:
        yield f"{name}: kind {rule.kind!r} is none of {', '.join(KINDS)}"
    attributes: Any = rule.attributes
    if not (isinstance(attributes, type) and issubclass(attributes, msgspec.Struct)):
        yield f"{name}: `attributes` is not a msgspec.Struct class"
        return
    config = attributes.__struct_config__
    if not config.frozen or not config.forbid_unknown_fields:
        yield f"{name}: its Struct must be frozen=True and forbid_unknown_fields=True"
    if rule.short and rule.short not in attributes.__struct_encode_fields__:
        yield f"{name}: `short` names {rule.short!r}, which is no field of its Struct"
    if rule.partial and rule.lock is None:
        yield f"{name}: `partial` is about `lock`, which it has not"
    for attribute, count in (("analyze", 2), ("dependencies", 1), ("lock", 2), ("lock_key", 2), ("pins", 2), ("index", 3)):
        yield from _signature(name, attribute, getattr(rule, attribute), count)


def _signature(name: str, attribute: str, function: object, count: int) -> Iterable[str]:
    if function is None:
        return
    if not callable(function):
        yield f"{name}: `{attribute}` cannot be called"
        return
    code = getattr(function, "__code__", None)
    if code is not None and code.co_argcount == count and not code.co_kwonlyargcount:
        return  # a plain function, as nearly all are: inspect costs more to import than all rules to check
    import inspect

    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        yield f"{name}: `{attribute}` must take {count} argument{'s' * (count > 1)}"
