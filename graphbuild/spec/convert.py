"""Plain data as Structs. What does not fit is a located problem in words of the spec, not of Python.

msgspec converts and says where it failed, but not under which key of a map; the key is found by converting parts again.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_args, get_origin

import msgspec

from graphbuild.rules.api import Rule
from graphbuild.spec.problem import suggest
from graphbuild.values.errors import GraphbuildError, Problem, SpecPath, clipped, mistake

T = TypeVar("T")
Path = tuple[str | int, ...]

_LOCATED = re.compile(r"(.*?)(?: - at (`key` in )?`\$(.*)`)?", re.DOTALL)
_TOKEN = re.compile(r"\[(\.\.\.|\d+)\]|\.([^.\[]+)")
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a map",
    "null": "nothing",
}


def convert(data: Any, type: type[T], *, file: str, path: Path) -> T:  # noqa: A002 - msgspec calls it so
    """Convert plain data; numbers may be text. GraphbuildError places what is wrong at `path` and below."""
    try:
        return msgspec.convert(data, type, strict=False, str_keys=True)
    except msgspec.ValidationError as error:
        raise GraphbuildError(_explain(error, data, type, file, path)) from None


def convert_attributes(value: Any, rule: Rule, *, file: str, path: Path) -> Any:
    """The value of a rule's key as the rule's Struct: a map, the short form of one, or nothing."""
    if value is None:
        return convert({}, rule.attributes, file=file, path=path)
    if isinstance(value, dict):
        return convert(value, rule.attributes, file=file, path=path)
    if not rule.short:
        raise mistake(f"`{rule.name}` takes a map, not {_got(value)}", SpecPath(file, path), _known_hint(rule.attributes))
    try:
        return msgspec.convert({rule.short: value}, rule.attributes, strict=False, str_keys=True)
    except msgspec.ValidationError as error:
        problem = _explain(error, {rule.short: value}, rule.attributes, file, ())
        where = problem.place.path if isinstance(problem.place, SpecPath) else ()
        below = where[1:] if where[:1] == (rule.short,) else where
        raise GraphbuildError(msgspec.structs.replace(problem, place=SpecPath(file, path + below))) from None


def _explain(error: msgspec.ValidationError, data: Any, type_: Any, file: str, path: Path) -> Problem:
    found = _LOCATED.fullmatch(str(error))
    message, in_key, located = (found[1], found[2], found[3] or "") if found else (str(error), None, "")
    below = _recover(str(error), located, data, type_)
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", message, re.DOTALL):
        known = sorted(_fields(_type_at(type_, below)))
        hint = suggest(unknown[1], known) or f"known are {', '.join(known) or 'none'}"
        return Problem(f"unknown key {clipped(unknown[1])}", SpecPath(file, (*path, *below, unknown[1]), key=True), hint)
    where = SpecPath(file, path + below, key=bool(in_key))
    return Problem(*_reworded(message, _at(data, below), _type_at(type_, below), where))


def _reworded(message: str, value: Any, type_: Any, where: SpecPath) -> tuple[str, SpecPath, str]:
    """Message, place and hint for what msgspec said about one value."""
    if missing := re.fullmatch(r"Object missing required field `(.*)`", message):
        return f"missing `{missing[1]}`", where, f"add `{missing[1]}: …`"
    if message.startswith("Invalid enum value"):
        known = sorted(_literals(type_))
        return f"unknown value {clipped(str(value))}", where, suggest(str(value), known) or f"one of {', '.join(known)}"
    if expected := re.match(r"Expected `([^`]*)`( [<>]=? -?[0-9]+)?", message):
        names = [_WORDS.get(word, word) for word in expected[1].split(" | ") if word != "null" or expected[1] == "null"]
        names.sort(key=lambda name: name != "text")
        return f"expected {' or '.join(names)}{expected[2] or ''}, not {_got(value)}", where, _retype_hint(names, value)
    return message[:1].lower() + message[1:], where, ""


def _retype_hint(names: list[str], value: Any) -> str:
    if isinstance(value, bool) and "text" in names:
        return f'quote it: "{str(value).lower()}"'
    if value is None:
        return 'for empty text, write ""' if "text" in names else "leave the key out, or give it a value"
    if isinstance(value, str) and names == ["a list"]:
        return "put it in brackets: […]"
    return "write true or false" if names == ["true or false"] else ""


def _got(value: Any) -> str:
    if isinstance(value, str):
        return clipped(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "a map" if isinstance(value, Mapping) else "a list" if isinstance(value, (list, tuple)) else "nothing"


def _at(data: Any, path: Path) -> Any:
    for step in path:
        data = data.get(step) if isinstance(data, Mapping) else data[step] if isinstance(data, (list, tuple)) else None  # type: ignore[index]
    return data


def _recover(said: str, located: str, data: Any, type_: Any) -> Path:
    """msgspec's path with the map keys it leaves out (`[...]`): of each map, the shortest prefix that fails the same way."""
    path: Path = ()
    for index, field in _TOKEN.findall(located):
        here = _at(data, path)
        if index == "..." and isinstance(here, Mapping):
            keys = list(here)
            low, high = 1, len(keys)
            while low < high:
                middle = (low + high) // 2
                part = {key: here[key] for key in keys[:middle]}
                low, high = (low, middle) if _fails(_replaced(data, path, part), type_, said) else (middle + 1, high)
            path = (*path, keys[low - 1])
            data = _replaced(data, path[:-1], {path[-1]: here[path[-1]]})
        else:
            path = (*path, field or int(index))
    return path


def _fails(data: Any, type_: Any, said: str) -> bool:
    try:
        msgspec.convert(data, type_, strict=False, str_keys=True)
    except msgspec.ValidationError as error:
        return str(error) == said
    return False


def _replaced(data: Any, path: Path, value: Any) -> Any:
    """A copy of the data with another value at a path."""
    if not path:
        return value
    inner = _replaced(data[path[0]], path[1:], value)
    if isinstance(data, Mapping):
        return {**data, path[0]: inner}
    return [inner if index == path[0] else item for index, item in enumerate(data)]


def _type_at(type_: Any, path: Path) -> Any:
    """The declared type at a path of a Struct; None where it cannot be told."""
    for step in path:
        type_ = next((found for member in _members(type_) if (found := _step(member, step)) is not None), None)
    return type_


def _step(type_: Any, step: str | int) -> Any:
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return next((field.type for field in msgspec.structs.fields(type_) if field.encode_name == step), None)
    arguments = get_args(type_)
    if get_origin(type_) is dict:
        return arguments[1]
    return arguments[0] if get_origin(type_) in (list, tuple) and arguments and isinstance(step, int) else None


def _members(type_: Any) -> tuple[Any, ...]:
    """The alternatives of a type: of a union its members, of an Annotated the type itself."""
    if hasattr(type_, "__metadata__"):
        return _members(get_args(type_)[0])
    if get_origin(type_) in (None, dict, list, tuple) or not get_args(type_) or _is_literal(type_):
        return (type_,)
    return tuple(member for argument in get_args(type_) for member in _members(argument))


def _is_literal(type_: Any) -> bool:
    return bool(get_args(type_)) and all(isinstance(argument, (str, int)) for argument in get_args(type_))


def _literals(type_: Any) -> set[str]:
    return {str(value) for member in _members(type_) if _is_literal(member) for value in get_args(member)}


def _fields(type_: Any) -> set[str]:
    return {name for member in _members(type_) for name in getattr(member, "__struct_encode_fields__", ())}


def _known_hint(type_: Any) -> str:
    return f"known are {', '.join(sorted(_fields(type_))) or 'none'}"
