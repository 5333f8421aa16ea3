"""The two pattern languages of Dockerfiles, as regular expressions over paths: .dockerignore's, and Go's filepath.Match.

Paths are bytes, relative, `/`-separated; they are matched as UTF-8, a `?` is one character. Sources: moby/patternmatcher (and its ignorefile reader), Go's path/filepath.
"""

import os
import posixpath
import re
from collections.abc import Iterable, Sequence

import msgspec


class Pattern(msgspec.Struct, frozen=True):
    """One line: `expression` matches whole paths; `negative` brings back what earlier ones took; `prefix` has no wildcard."""

    text: str
    expression: re.Pattern[str]
    negative: bool
    prefix: bytes


class Patterns:
    """A list of patterns: the last that matches a path, or a folder above it, decides."""

    def __init__(self, texts: Iterable[str]) -> None:
        """ValueError names the pattern that is none."""
        self._patterns = tuple(_pattern(text) for text in texts)
        self._negatives = tuple(pattern for pattern in self._patterns if pattern.negative)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def matches(self, path: bytes) -> bool:
        """Whether the patterns choose the path, by itself or by a folder that it is in."""
        chosen = False
        name = os.fsdecode(path)
        for pattern in self._patterns:
            if pattern.negative is chosen and pattern.expression.match(name):
                chosen = not pattern.negative
        return chosen

    def may_except(self, folder: bytes) -> bool:
        """Whether something below a folder that the patterns choose may be brought back."""
        inside = folder + b"/"
        return any(pattern.prefix.startswith(inside) or inside.startswith(pattern.prefix) for pattern in self._negatives)

    def may_match_below(self, folder: bytes) -> bool:
        """Whether a positive pattern may choose something below a folder."""
        inside = folder + b"/"
        return any(
            pattern.prefix.startswith(inside) or inside.startswith(pattern.prefix) for pattern in self._patterns if not pattern.negative
        )


def read_ignore_file(text: str) -> tuple[str, ...]:
    """The patterns of a .dockerignore, cleaned as Docker cleans them."""
    patterns = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#"):
            continue
        pattern = line.strip()
        negative = pattern.startswith("!")
        pattern = pattern.removeprefix("!").strip() if negative else pattern
        if pattern:
            pattern = _clean(pattern)
            if len(pattern) > 1:
                pattern = pattern.removeprefix("/")
        if pattern or negative:
            patterns.append(f"!{pattern}" if negative else pattern)
    return tuple(patterns)


def _clean(path: str) -> str:
    """Go's filepath.Clean."""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def _pattern(text: str) -> Pattern:
    stripped = text.strip()
    negative = stripped.startswith("!")
    body = _clean(stripped.removeprefix("!")) if stripped.removeprefix("!") else ""
    if not body:
        raise ValueError(f"illegal exclusion pattern: {text!r}")
    try:
        expression = re.compile(f"(?:{_ignore_expression(body)})(?:/.*)?\\Z", re.DOTALL)
    except (ValueError, re.error) as error:
        raise ValueError(f"bad pattern {text!r}: {error}") from None
    raw = os.fsencode(body)
    special = re.search(rb"[*?\[\\]", raw)
    return Pattern(text, expression, negative, raw[: special.start()] if special else raw + b"/")


def _ignore_expression(pattern: str) -> str:
    result: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if pattern.startswith("**", at):
            at += 2
            if pattern.startswith("/", at):
                at += 1
            result.append(".*" if at >= len(pattern) else "(?:.*/)?")
            continue
        if character == "[":
            end, body = _class(pattern, at)
            result.append(body)
            at = end
            continue
        if character == "\\":
            at += 1
            character = pattern[at : at + 1] or "\\"
            result.append(re.escape(character))
        else:
            result.append({"*": "[^/]*", "?": "[^/]"}.get(character) or re.escape(character))
        at += 1
    return "".join(result)


def go_match(pattern: str) -> re.Pattern[str]:
    """The expression of Go's filepath.Match pattern. ValueError for a malformed one."""
    result: list[str] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        if character == "[":
            at, body = _class(pattern, at)
            result.append(body)
            continue
        if character == "\\":
            at += 1
            if at == len(pattern):
                raise ValueError("syntax error in pattern")
            result.append(re.escape(pattern[at]))
        else:
            result.append({"*": "[^/]*", "?": "[^/]"}.get(character) or re.escape(character))
        at += 1
    try:
        return re.compile("".join(result) + r"\Z", re.DOTALL)
    except re.error:
        raise ValueError("syntax error in pattern") from None


def _class(pattern: str, start: int) -> tuple[int, str]:
    """The class that begins at `start`: where it ends, and its expression. ValueError for one that is never closed."""
    at = start + 1
    negative = pattern[at : at + 1] == "^"
    at += negative
    parts: list[str] = []
    while True:
        if at >= len(pattern):
            raise ValueError("syntax error in pattern: [ is never closed")
        if pattern[at] == "]" and parts:
            break
        if pattern[at] in "]-" and not parts:
            raise ValueError("syntax error in pattern: an empty or broken class")
        low, at = _character(pattern, at)
        high = low
        if pattern[at : at + 1] == "-":
            high, at = _character(pattern, at + 1)
        parts.append(f"{re.escape(low)}-{re.escape(high)}")
    return at + 1, f"[{'^' if negative else ''}{''.join(parts)}]"


def _character(pattern: str, at: int) -> tuple[str, int]:
    if pattern[at : at + 1] == "\\":
        at += 1
    if at >= len(pattern):
        raise ValueError("syntax error in pattern: [ is never closed")
    return pattern[at], at + 1


def is_wild(path: str) -> bool:
    """Whether a path has one of filepath.Match's wildcards, not escaped."""
    skip = False
    for character in path:
        if skip:
            skip = False
        elif character == "\\":
            skip = True
        elif character in "*?[":
            return True
    return False


def split_wild(path: str) -> tuple[str, Sequence[str]]:
    """A path's folders before its first wildcard, and the components from there on."""
    parts = [part for part in path.split("/") if part]
    for number, part in enumerate(parts):
        if is_wild(part):
            return "/".join(parts[:number]), parts[number:]
    return "/".join(parts), ()
