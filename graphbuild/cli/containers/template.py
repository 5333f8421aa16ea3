"""The part of Go's templates that people use in `--format`: `{{.Field.Sub}}`, `{{json .Field}}`, `{{index .Map "key"}}`, text between.

What goes beyond it (range, if, functions) is refused with a hint, not guessed.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from graphbuild.values.errors import mistake

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_PATH = re.compile(r"\.|(\.[A-Za-z_]\w*)+")
_INDEX = re.compile(r'index\s+(\S+)\s+(?:"([^"]*)"|(\d+))')
_CHANGES: Mapping[str, Callable[[str], str]] = {"upper": str.upper, "lower": str.lower}


def render(template: str, value: Any) -> str:
    """The template filled with a value of maps, lists and scalars. GraphbuildError for what is not understood or not there."""
    text = template.replace("\\t", "\t").replace("\\n", "\n")
    return _ACTION.sub(lambda found: _action(found[1], value), text)


def _action(text: str, value: Any) -> str:
    name, _, rest = text.partition(" ")
    if name == "json":
        return json.dumps(_look(rest.strip(), value), ensure_ascii=False, separators=(",", ":"))
    if name in _CHANGES:
        return _CHANGES[name](_shown(_look(rest.strip(), value)))
    if name == "len":
        return str(len(_look(rest.strip(), value)))
    if found := _INDEX.fullmatch(text):
        holder = _look(found[1], value)
        try:
            return _shown(holder[int(found[3])] if found[3] else holder[found[2]])
        except (KeyError, IndexError, TypeError):
            return ""
    return _shown(_look(text, value))


def _look(path: str, value: Any) -> Any:
    if not _PATH.fullmatch(path):
        raise mistake(
            f"--format: {{{{{path}}}}} is not understood", hint="fields, json, index, len, upper and lower are; else use json and jq"
        )
    for name in filter(None, path.split(".")):
        if not isinstance(value, Mapping) or name not in value:
            known = ", ".join(sorted(value)) if isinstance(value, Mapping) else "nothing"
            raise mistake(f"--format: there is no field {name}", hint=f"there is {known}")
        value = value[name]
    return value


def _shown(value: Any) -> str:
    match value:
        case None:
            return "<no value>"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{' '.join(map(_shown, value))}]"
        case Mapping():
            return f"map[{' '.join(f'{name}:{_shown(each)}' for name, each in sorted(value.items()))}]"
        case _:
            return str(value)


def table(rows: list[list[str]], gap: int = 3) -> str:
    """Rows in columns, the first one the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["".join(cell.ljust(width + gap) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "".join(f"{line}\n" for line in lines)
