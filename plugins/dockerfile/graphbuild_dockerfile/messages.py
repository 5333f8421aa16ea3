"""How BuildKit says things: what counts as a space, quoting, "did you mean", and problems that get their place later.

Knows nothing of Dockerfiles. Go's rules where they differ from Python's, so that messages and splits agree with BuildKit.
"""

from collections.abc import Iterable

from graphbuild.rules import GraphbuildError, Place, Problem

# Go's unicode.IsSpace; Python's str.isspace() also has U+001C to U+001F.
SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"

_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"'}
_FARTHEST = 2  # edits that a suggestion may be away


def quoted(text: str) -> str:
    """The text as Go's %q prints it."""
    return '"' + "".join(_ESCAPES.get(char) or _shown(char) for char in text) + '"'


def _shown(char: str) -> str:
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def nearest(word: str, options: Iterable[str]) -> str:
    """The option that is at most two edits away, nearest first, then by alphabet; "" for none or for an exact match."""
    found = sorted((_edits(word, option), option) for option in set(options))
    return found[0][1] if found and 0 < found[0][0] <= _FARTHEST else ""


def suggesting(message: str, word: str, options: Iterable[str]) -> str:
    """The message, with BuildKit's suggestion where there is one."""
    match = nearest(word, options)
    return f"{message} (did you mean {match}?)" if match else message


def _edits(a: str, b: str) -> int:
    """Levenshtein's distance, or any number above two when it is above two."""
    if abs(len(a) - len(b)) > _FARTHEST:
        return _FARTHEST + 1
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (left != right))
    return row[-1]


def wrong(message: str, hint: str = "") -> GraphbuildError:
    """A mistake whose place only a caller knows; see `placed`."""
    return GraphbuildError(Problem(message, None, hint))


def placed(error: GraphbuildError, place: Place) -> tuple[Problem, ...]:
    """The error's problems, those without a place at `place`."""
    return tuple(Problem(each.message, each.place or place, each.hint, each.notes) for each in error.problems)
