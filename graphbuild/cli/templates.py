"""`--format` as Docker has it: a text with `{{.Field}}`s, nested ones, `json`, `index`, `join` and `len` of them.

What a field holds is written as Go's templates write it: lists as `[a b]`, maps as `map[a:b]`, what is not there as `<no value>`.
Of Go's language nothing else is understood; `--format json` and a tool such as jq do the rest.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from graphbuild.values.errors import mistake

_ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_WORD = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|`[^`]*`|[^\s"`]+)""")
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PATH = re.compile(r"\.(?:\w+(?:\.\w+)*)?")
_HINT = "{{.Field}}, {{.Field.Field}}, {{json .Field}}, {{index .Field KEY}}, {{upper .Field}}, {{lower .Field}}, {{join .Field SEPARATOR}} and {{len .Field}} are understood"


def fill(template: str, fields: Mapping[str, object]) -> str:
    """A template with its fields filled in. GraphbuildError for a field that there is not, and for what is not understood."""
    if "{{" in _ACTION.sub("", template):
        raise mistake(f"--format {template!r}: a {{{{ is not closed", hint=_HINT)
    return _ACTION.sub(lambda match: _evaluate(match[1], fields), template)


def heading(template: str, heads: Mapping[str, str]) -> str:
    """The same template with the names of its fields: the head of a table."""
    return _ACTION.sub(lambda match: _head(match[1], heads), template)


def unescaped(template: str) -> str:
    """What a shell's user writes as `\\t` and `\\n`."""
    return template.replace("\\t", "\t").replace("\\n", "\n")


def _head(action: str, heads: Mapping[str, str]) -> str:
    name = action.strip().rpartition(".")[2]
    return heads.get(name, _CAPITAL.sub(" ", name).upper())


def _evaluate(action: str, fields: Mapping[str, object]) -> str:
    words = _words(action)
    match words:
        case [path]:
            return _written(_value(path, fields))
        case ["json", path]:
            return json.dumps(_value(path, fields), ensure_ascii=False)
        case ["len", path]:
            value = _value(path, fields)
            return str(len(value) if isinstance(value, str | list | tuple | dict) else 0)
        case ["upper" | "lower" as change, path]:
            return str.upper(_written(_value(path, fields))) if change == "upper" else str.lower(_written(_value(path, fields)))
        case ["join", path, separator]:
            value = _value(path, fields)
            return _literal(separator).join(map(_written, value if isinstance(value, list | tuple) else []))
        case ["index", path, *keys]:
            return _written(_index(_value(path, fields), keys))
    raise mistake(f"--format: {{{{{action}}}}} is not understood", hint=_HINT)


def _words(action: str) -> list[str]:
    words, at, action = [], 0, action.strip()
    while at < len(action):
        found = _WORD.match(action, at)
        if found is None:
            raise mistake(f"--format: {{{{{action}}}}} is not understood", hint=_HINT)
        words.append(found[1])
        at = found.end()
    return words


def _value(path: str, fields: Mapping[str, object]) -> Any:
    if not _PATH.fullmatch(path):
        raise mistake(f"--format: {path!r} is not understood", hint=_HINT)
    value: Any = fields
    for depth, name in enumerate(path.split(".")[1:]):
        if not name:
            return dict(fields)
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif depth == 0:
            raise mistake(f"--format: there is no field {name}", hint=f"there are {', '.join(fields)}")
        else:
            return None
    return value


def _index(value: Any, keys: list[str]) -> Any:
    for key in keys:
        if isinstance(value, list | tuple):
            if not key.isdecimal() or int(key) >= len(value):
                raise mistake(f"--format: there is no element {key} of {len(value)}", hint="they count from 0")
            value = value[int(key)]
        else:
            value = value.get(_literal(key), "") if isinstance(value, Mapping) else None
    return value


def _literal(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, str):
        raise mistake(f"--format: {text!r} is not a text", hint='write it in quotes: {{join .RepoTags ","}}')
    return found


def _written(value: Any) -> str:
    """A value as Go's templates print it."""
    match value:
        case None:
            return "<no value>"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{' '.join(map(_written, value))}]"
        case Mapping():
            return f"map[{' '.join(f'{key}:{_written(value[key])}' for key in sorted(value))}]"
    return str(value)
