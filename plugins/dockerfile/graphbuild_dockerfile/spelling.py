"""A package's data as the text of a build.yaml, formatted as people write it.

Short maps and lists stand on one line, texts of several lines are block scalars, and whatever readers of YAML could take for something
else is quoted. Knows nothing of targets but that comments may stand above them.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

WIDTH = 110
_NUMBERS = r"[-+]?[0-9.][0-9_.:]*([eE][-+]?[0-9]+)?|[-+]?0[xob][0-9a-fA-F_]+|[-+]?\.(inf|nan)|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*"
_TRAP = re.compile(rf"(?i:yes|no|on|off|y|n|true|false|null|~|<<|=|{_NUMBERS})")
_PLAIN = re.compile(r"(?:-(?=[\w-])|[^\s\-?:,\[\]{}#&*!|>'\"%@`=<~])[^\n]*")
_PLAIN_INSIDE = re.compile(r"[\w./+@*$ ()<>|&;=^~!%'\"\\-]+")
_HIDDEN = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def package_text(head: Sequence[str], sections: Mapping[str, Mapping[str, Any]], comments: Mapping[tuple[str, str], Sequence[str]]) -> str:
    """The whole file; `comments` are lines above `(section, name)`."""
    lines = [*head]
    for section, entries in sections.items():
        if not entries:
            continue
        lines += ([""] if lines else []) + [f"{section}:"]
        for number, (name, value) in enumerate(entries.items()):
            above = [f"  {line}".rstrip() for line in comments.get((section, name), ())]
            if number and section in ("steps", "outputs") and above:
                lines.append("")
            lines += above + list(_entry(name, value, 2, wide=section in ("vars", "bases")))
    return "\n".join(lines) + "\n"


def _entry(name: str, value: Any, indent: int, *, wide: bool = True) -> Iterator[str]:
    """`name: value`, on one line where it is `wide` and fits."""
    margin = " " * indent
    key = f"{margin}{scalar(name)}:"
    if isinstance(value, str) and _is_block(value):
        yield f"{key} |{'' if value.endswith(chr(10)) else '-'}"
        yield from (f"{margin}  {line}" if line else "" for line in value.removesuffix("\n").split("\n"))
        return
    if not isinstance(value, dict | list) or not value:
        yield f"{key} {flow(value) if isinstance(value, dict | list) else scalar(value)}"
        return
    short = flow(value) if wide and not _has_block(value) and not _is_deep(value) else None
    if short is not None and len(key) + 1 + len(short) <= WIDTH:
        yield f"{key} {short}"
    elif isinstance(value, dict):
        yield key
        for inner, item in value.items():
            yield from _entry(inner, item, indent + 2)
    else:
        yield key
        for item in value:
            yield from _listed(item, indent + 2)


def _listed(item: Any, indent: int) -> Iterator[str]:
    margin = " " * indent
    if isinstance(item, dict) and (_has_block(item) or indent + 2 + len(flow(item)) > WIDTH):
        lines = [line for name, value in item.items() for line in _entry(name, value, indent + 2)]
        yield f"{margin}- {lines[0].lstrip()}"
        yield from lines[1:]
    elif isinstance(item, str) and _is_block(item):
        yield from (line.replace(f"{margin}x:", f"{margin}-", 1) if not at else line for at, line in enumerate(_entry("x", item, indent)))
    else:
        yield f"{margin}- {flow(item) if isinstance(item, dict | list) else scalar(item)}"


def _is_deep(value: Any) -> bool:
    """Whether a map holds several maps, or one that does."""
    inner = [item for item in value.values() if isinstance(item, dict) and item] if isinstance(value, dict) else []
    return len(inner) > 1 or any(map(_is_deep, inner))


def _has_block(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_block, value.values()))
    if isinstance(value, list):
        return any(map(_has_block, value))
    return isinstance(value, str) and _is_block(value)


def _is_block(text: str) -> bool:
    """Whether a text is written as a block scalar: it has several lines, and none that such a scalar would not keep."""
    if "\n" not in text or text.endswith("\n\n") or _CONTROL.search(text):
        return False
    return text[0] not in " \t\n" and bool(text.strip())


def flow(value: Any) -> str:
    """On one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(name, inside=True)}: {flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return scalar(value, inside=True)


def scalar(value: Any, *, inside: bool = False) -> str:
    """A text, number or truth value; `inside` of braces or brackets."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):  # readers disagree on what stands there
        return f'"{value}"'
    text: str = value
    if _is_plain(text, inside=inside):
        return text
    if ("\\" in text or '"' in text) and "'" not in text and "\n" not in text and not _CONTROL.search(text) and "\t" not in text:
        return f"'{text}'"
    quoted = json.dumps(text, ensure_ascii=False)
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", quoted)


def _is_plain(text: str, *, inside: bool) -> bool:
    if not _PLAIN.fullmatch(text) or _TRAP.fullmatch(text) or text != text.strip() or _CONTROL.search(text) or "\t" in text:
        return False
    if ": " in text or " #" in text or text.endswith(":"):
        return False
    return not inside or bool(_PLAIN_INSIDE.fullmatch(text))
