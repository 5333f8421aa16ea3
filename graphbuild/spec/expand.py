"""`${name}` and `select` in plain data: what a target says, once it is known what the variables are."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from graphbuild.spec.convert import Path
from graphbuild.spec.problem import suggest
from graphbuild.values.errors import GraphbuildError, Problem, SpecPath, clipped, mistake

MAX_PROBLEMS = 20
MAX_EXPANDED = 16 << 20  # characters that one call of `expand` may produce

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}\n]*)(\}?)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.+-]*")
_SELECT = "select"
_DEFAULT = "default"
_CASE_HINT = "a case is NAME=VALUE, several with commas between; `default` is for when none holds"

Variables = Callable[[str], str]


def expand(data: Any, variables: Variables, file: str, path: Path, known: Iterable[str] = ()) -> Any:
    """The data with `${name}` replaced in all text but keys, and each `select` by what it chooses; `$${` stands for `${`, and `$name` for itself.

    `variables` is called for names that are mentioned and raises KeyError for one it does not know; `known` are names to
    suggest. GraphbuildError holds every reference that fails.
    """
    expansion = _Expansion(variables, file, known)
    result = expansion.walk(data, path)
    if expansion.problems:
        raise GraphbuildError(*expansion.problems)
    return result


class _Expansion:
    """One call of `expand`, and what was wrong in it."""

    def __init__(self, variables: Variables, file: str, known: Iterable[str]) -> None:
        self.problems: list[Problem] = []
        self._variables = variables
        self._file = file
        self._known = known
        self._left = MAX_EXPANDED

    def walk(self, value: Any, where: Path) -> Any:
        if isinstance(value, str):
            return self._text(value, where) if "${" in value else value
        if isinstance(value, dict):
            return self._choice(value, where) if _is_select(value) else dict(self._pairs(value, where))
        if isinstance(value, list):
            return list(self._items(value, where))
        return value

    def _pairs(self, value: dict[str, Any], where: Path) -> Iterator[tuple[str, Any]]:
        """What a map says; a key whose `select` chooses nothing is not said."""
        for key, item in value.items():
            found = self.walk(item, (*where, key))
            if found is not None or item is None:
                yield key, found

    def _items(self, value: list[Any], where: Path) -> Iterator[Any]:
        """The items of a list; of a `select` that chooses a list, all that are in it."""
        for index, item in enumerate(value):
            found = self.walk(item, (*where, index))
            if not (isinstance(item, dict) and _is_select(item)):
                yield found
            elif isinstance(found, list):
                yield from found
            elif found is not None:
                yield found

    def _choice(self, value: dict[str, Any], where: Path) -> Any:
        """The first case of a `select` that holds, or its default."""
        cases = value[_SELECT]
        inside = (*where, _SELECT)
        for case, item in cases.items():
            if case != _DEFAULT and self._holds(case, SpecPath(self._file, (*inside, case), key=True)):
                return self.walk(item, (*inside, case))
        if _DEFAULT in cases:
            return self.walk(cases[_DEFAULT], (*inside, _DEFAULT))
        if not self.problems:
            names = dict.fromkeys(name for case in cases for name, _ in _conditions(case))
            now = ", ".join(f"{name} is {self._variables(name)!r}" for name in names)
            hint = f"{now}: add a case, or a `default`" if now else "add a case, or a `default`"
            self.problems.append(Problem("no case of `select` holds", SpecPath(self._file, inside), hint))
        return None

    def _holds(self, case: str, where: SpecPath) -> bool:
        holds = True
        for name, wanted in _conditions(case):
            if not _VARIABLE.fullmatch(name) or wanted is None:
                self._wrong(f"{clipped(case)} is no case of a `select`", where, _CASE_HINT)
                return False
            holds = self._value(name, where, "declare it in `vars`, with the value that it has when nobody says one") == wanted and holds
        return holds

    def _text(self, value: str, where: Path) -> str:
        def replace(found: re.Match[str]) -> str:
            name = found[1]
            if name is None:
                return "${"
            place = SpecPath(self._file, where)
            if not found[2]:
                self._wrong("`${` is never closed", place, "close it with }, or write $${ for the text ${")
                return ""
            if not _VARIABLE.fullmatch(name):
                self._wrong(f"{clipped(found[0])} is not a variable", place, "write $${ where the shell is to expand it")
                return ""
            shell = f"declare it in `vars`, or write ${name} or $${{{name}}} where the shell is to expand it"
            expanded = self._value(name, place, shell)
            self._left -= len(expanded)
            if self._left < 0:
                raise mistake("variables expand to too much text", place, f"at most {MAX_EXPANDED >> 20} Mi characters")
            return expanded

        return _REFERENCE.sub(replace, value)

    def _value(self, name: str, where: SpecPath, otherwise: str) -> str:
        """A variable's value; `otherwise` is the hint where there is none, and no other of nearly that name."""
        try:
            return self._variables(name)
        except KeyError:
            self._wrong(f"unknown variable {clipped(name)}", where, suggest(name, self._known) or otherwise)
        except GraphbuildError as error:  # a built-in that has no value here
            self.problems.extend(msgspec.structs.replace(problem, place=problem.place or where) for problem in error.problems)
        return ""

    def _wrong(self, message: str, where: SpecPath, hint: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(message, where, hint))


def _is_select(value: dict[str, Any]) -> bool:
    return len(value) == 1 and isinstance(value.get(_SELECT), dict)


def _conditions(case: str) -> list[tuple[str, str | None]]:
    """The (variable, value) pairs of a case; value None for what is no pair."""
    found: list[tuple[str, str | None]] = []
    for text in case.split(",") if case != _DEFAULT else ():
        name, equals, value = text.partition("=")
        found.append((name.strip(), value.strip() if equals else None))
    return found
