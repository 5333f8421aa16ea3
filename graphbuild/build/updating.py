"""What people name when they update build.lock: a rule, one thing that a rule locked, an image, a URL. Names to entries; pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphbuild.build.lockfile import IMAGES, URLS, Key, Refresh, versions
from graphbuild.image.reference import parse_reference
from graphbuild.rules.api import Rule
from graphbuild.spec.problem import suggest
from graphbuild.values.errors import mistake


def refresh_of(names: Iterable[str], entries: Mapping[Key, Any], rules: Iterable[Rule]) -> Refresh:
    """What the names ask for again, of what is locked. GraphbuildError for one that names nothing there, or two things."""
    known = {rule.name: rule for rule in rules if rule.lock}
    found: dict[Key, tuple[str, ...]] = {}
    for name in names:
        whole, parts = _pinned(name, entries), _of_rule(name, entries, known)
        if whole and parts:
            hint = f"an image by its full name, docker.io/library/{name}; or a label"
            raise mistake(f"{name} is an image in build.lock, and something of the rule {name.partition(':')[0]} too", hint=hint)
        if not whole and not parts:
            raise mistake(f"build.lock has nothing that is called {name}", hint=suggest(name, names_in(entries, rules)) or _forms(known))
        for key in whole:
            found[key] = ()
        for key, item in parts.items():
            found[key] = (*found.get(key, ()), item) if item and found.get(key) != () else ()
    return Refresh(entries=found)


def names_in(entries: Mapping[Key, Any], rules: Iterable[Rule]) -> list[str]:
    """Every name that `refresh_of` takes, sorted."""
    partial = {rule.name for rule in rules if rule.lock and rule.partial}
    found: set[str] = set()
    for (rule, request), data in entries.items():
        found.add(rule)
        if rule in (IMAGES, URLS):
            found.add(request)
        elif rule in partial:
            found.update(f"{rule}:{item}" for item in versions(data))
    return sorted(found)


def _pinned(name: str, entries: Mapping[Key, Any]) -> list[Key]:
    """The entries of an image or a URL."""
    full = _full(name)
    return [key for key in entries if (key[0] == URLS and key[1] == name) or (key[0] == IMAGES and full and _full(key[1]) == full)]


def _full(reference: str) -> str:
    try:
        return parse_reference(reference).full
    except ValueError:
        return ""


def _of_rule(name: str, entries: Mapping[Key, Any], rules: Mapping[str, Rule]) -> dict[Key, str]:
    """The entries of a rule, with the one thing of each that `RULE:THING` names; "" for all of it."""
    rule, colon, item = name.partition(":")
    if not colon:
        return {key: "" for key in entries if key[0] == name and (name in rules or name in (IMAGES, URLS))}
    found = {key: item for key, data in entries.items() if key[0] == rule and rule in rules and item in versions(data)}
    if found and not rules[rule].partial:
        raise mistake(f"the rule {rule} updates all that it locked, not {item} alone", hint=f"`graphbuild lock --update {rule}`")
    return found


def _forms(rules: Mapping[str, Rule]) -> str:
    return f"a rule ({', '.join(sorted({*rules, IMAGES, URLS}))}), RULE:PACKAGE, an image reference, a URL or a label"


def split(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Labels and patterns, as far as they look like such, and other names."""
    marks = (":", "//", "-:", "-//", "...")
    names = list(names)
    return [name for name in names if name.startswith(marks) or name.endswith("/...")], list(_others(names, marks))


def _others(names: Iterable[str], marks: tuple[str, ...]) -> Iterator[str]:
    return (name for name in names if not name.startswith(marks) and not name.endswith("/..."))
