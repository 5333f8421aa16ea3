"""Glob patterns as one compiled regular expression.

Patterns match whole paths, relative and `/`-separated, as bytes. `*` and `?` stay within a name, `**` crosses folders,
`[a-z]` is a class. The last pattern that matches decides: `!` takes away what an earlier one chose. A pattern that
matches a folder takes all below it. An ignore file reads as gitignore(5): unanchored without a slash, `dir/` for folders only.
"""

import re
from collections.abc import Callable, Sequence

Match = Callable[[bytes], bool]

_SPECIAL = re.compile(r"[*?\[]")


def literal_prefix(pattern: str) -> str:
    """The folders before the first wildcard: where a search for the pattern may start. A literal pattern gives itself."""
    found = _SPECIAL.search(pattern)
    return pattern if found is None else pattern[: found.start()].rpartition("/")[0]


def is_literal(pattern: str) -> bool:
    return _SPECIAL.search(pattern) is None


def escape(name: str) -> str:
    """A pattern that matches a name and nothing else."""
    return _SPECIAL.sub(lambda found: f"[{found[0]}]", name)


def matcher(patterns: Sequence[str]) -> Match:
    """Whether a path is chosen by the patterns. One search of one expression a path: the last alternative's group decides."""
    # Alternatives are tried from left to right: turned round, the first that matches is the last that was written.
    alternatives = []
    for number, pattern in enumerate(reversed(patterns)):
        body = f"(?:{_translate(pattern.removeprefix('!').strip('/'))})(?:/.*)?\\Z"
        alternatives.append(f"(?P<no{number}>){body}" if pattern.startswith("!") else body)
    expression = re.compile("|".join(alternatives).encode("utf-8", "surrogateescape"), re.DOTALL)

    def chosen(path: bytes) -> bool:
        found = expression.match(path)
        return found is not None and found.lastgroup is None

    return chosen


def path_matcher(pattern: str) -> Match:
    """Whether a path is what one pattern says, and not below that."""
    expression = re.compile(_translate(pattern.strip("/")).encode("utf-8", "surrogateescape"), re.DOTALL)
    return lambda path: expression.fullmatch(path) is not None


def ignore_matcher(lines: Sequence[str]) -> Callable[[bytes, bool], bool]:
    """Whether `(path, is_folder)` is ignored, by the lines of an ignore file. Callers do not descend into what is."""
    rules = [rule for rule in (_ignore_rule(line) for line in lines) if rule is not None]

    def ignored(path: bytes, folder: bool) -> bool:
        for expression, negative, folders_only in reversed(rules):
            if (folder or not folders_only) and expression.fullmatch(path):
                return not negative
        return False

    return ignored


def _ignore_rule(line: str) -> tuple[re.Pattern[bytes], bool, bool] | None:
    text = line.rstrip("\r\n").rstrip(" ")
    if not text or text.startswith("#"):
        return None
    negative = text.startswith("!")
    text = text.removeprefix("!").removeprefix("\\")
    folders_only = text.endswith("/")
    text = text.rstrip("/")
    anchored = "/" in text
    body = _translate(text.lstrip("/"))
    expression = body if anchored else f"(?:.*/)?{body}"
    return re.compile(expression.encode("utf-8", "surrogateescape"), re.DOTALL), negative, folders_only


def _translate(pattern: str) -> str:
    """The regular expression of one glob."""
    result: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        if pattern.startswith("**/", position):
            result.append("(?:[^/]+/)*")
            position += 3
            continue
        if pattern.startswith("**", position):
            result.append(".*")
            position += 2
            continue
        if character == "[" and (end := pattern.find("]", position + 2)) > 0:
            result.append(_class(pattern[position + 1 : end]))
            position = end + 1
            continue
        result.append({"*": "[^/]*", "?": "[^/]"}.get(character) or re.escape(character))
        position += 1
    return "".join(result)


def _class(body: str) -> str:
    negative = body[:1] in ("!", "^")
    escaped = re.sub(r"([\\\]\[&~|^])", r"\\\1", body[1:] if negative else body)
    return f"(?!/)[{'^' if negative else ''}{escaped}]"
