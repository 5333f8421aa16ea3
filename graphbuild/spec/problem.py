"""Problems as people read them: `file:line:col: message`, the source line, a caret, a hint.

Pure but for `read`, which is an argument. Nothing that a file says reaches the terminal as a control sequence. Does not
know what the problems are about.
"""

import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

from graphbuild.spec.model import MAX_BYTES
from graphbuild.values.errors import Place, Problem, SpecPath

Read = Callable[[str], str | None]

_WIDTH = 100  # columns of source that are shown
_BOLD, _RED, _CYAN, _RESET = "\x1b[1m", "\x1b[1;31m", "\x1b[36m", "\x1b[0m"


def suggest(word: str, known: Iterable[str]) -> str:
    """`did you mean 'run'?`, or "" when nothing known is near."""
    from difflib import get_close_matches

    names = sorted(set(known))
    folded = {name.casefold(): name for name in reversed(names)}
    close = get_close_matches(word[:100].casefold(), folded, n=1, cutoff=0.6 if len(word) > 2 else 0.5)
    return f"did you mean {folded[close[0]]!r}?" if close else ""


def reader(root: Path) -> Read:
    """Reads files whose names are relative to `root`; None for what cannot be read."""

    def read(file: str) -> str | None:
        try:
            with (root / file).open("rb") as stream:
                return stream.read(MAX_BYTES + 1).decode("utf-8-sig", "replace")
        except (OSError, ValueError):
            return None

    return read


def find_place(place: Place | SpecPath, text: str | None) -> Place:
    """Line and column of a place, given its file's text (None: unknown, then the file's first line)."""
    if isinstance(place, Place):
        return place
    if text is None:
        return Place(place.file, 1)
    from graphbuild.spec.yaml import locate

    return locate(text, place)


def render(problem: Problem, color: bool = False, read: Read | None = None) -> str:
    """One problem as lines of text, without the last newline. `read` gives the text of a file; default: relative to here."""
    paint = _paint if color else _leave
    message = _printable(problem.message, keep="\n")
    tail = [_printable(note) for note in problem.notes]
    tail += [f"  {paint('hint:', _CYAN)} {line}" if not index else f"        {line}" for index, line in enumerate(_hint_lines(problem))]
    if problem.place is None:
        return "\n".join((message, *tail))
    text = (read or reader(Path()))(problem.place.file)
    place = find_place(problem.place, text)
    head = paint(_printable(f"{place.file}:{place.line}:{place.column}:"), _BOLD) + f" {message}"
    return "\n".join((head, *_excerpt(place, text, paint), *tail))


def _hint_lines(problem: Problem) -> list[str]:
    return [_printable(line) for line in problem.hint.split("\n")] if problem.hint else []


def _excerpt(place: Place, text: str | None, paint: Callable[[str, str], str]) -> list[str]:
    """The source line and its caret line; nothing where there is no such line."""
    lines = text.split("\n", place.line) if text is not None else []
    if not 1 <= place.line <= len(lines):
        return []
    line = lines[place.line - 1].rstrip("\r")
    if not line.strip():
        return []
    start = min(place.column - 1, len(line))
    indent = min(len(line) - len(line.lstrip()), start)
    before, marked, after = _clip(line[indent:start], line[start : start + place.length], line[start + place.length :].rstrip())
    caret = " " * _columns(before) + paint("^" * max(_columns(marked), 1), _RED)
    return [f"    {before}{marked}{after}", f"    {caret}"]


def _clip(before: str, marked: str, after: str) -> tuple[str, str, str]:
    """The three parts of a line, printable, cut to a window around the marked one."""
    before, marked, after = (_printable(part.replace("\t", " ")) for part in (before[-_WIDTH * 2 :], marked[: _WIDTH * 2], after[:_WIDTH]))
    if _columns(before + marked + after) <= _WIDTH:
        return before, marked, after
    if _columns(marked) > _WIDTH * 3 // 4:
        marked = _head(marked, _WIDTH * 3 // 4) + "…"
        after = ""
    room = _WIDTH - _columns(marked)
    if _columns(before) > (keep := max(room // 2, room - _columns(after))):
        before = "…" + _head(before[::-1], keep - 1)[::-1]
    room -= _columns(before)
    return before, marked, after if _columns(after) <= room else _head(after, room - 1) + "…"


def _head(text: str, columns: int) -> str:
    """As much of the text as fits into so many columns."""
    used = 0
    for index, character in enumerate(text):
        used += _columns(character)
        if used > columns:
            return text[:index]
    return text


def _columns(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return len(text) if text.isascii() else sum(_character_columns(character) for character in text)


def _character_columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _printable(text: str, keep: str = "") -> str:
    """The text without control, direction and surrogate characters, which could forge what a terminal shows."""
    if text.isprintable():
        return text
    return "".join(c if c in keep or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else "\ufffd" for c in text)


def _paint(text: str, style: str) -> str:
    return f"{style}{text}{_RESET}"


def _leave(text: str, _style: str) -> str:
    return text
