"""Styled lines on a stream, and a region at the bottom of a terminal that is drawn over.

Invariants: the cursor rests in column 0 of the line below the region; a line of the region never reaches the last column, so
nothing wraps; the region is lower than the terminal, so its top can always be reached. A stream that breaks (closed, full)
is given up silently: a build does not die of its display. It does not know what the lines say.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

import msgspec

from graphbuild.ui.text import clip, width

_STYLES = {"": "", "bold": "1", "dim": "2", "good": "32", "bad": "1;31", "warn": "33"}

Span = tuple[str, str]  # style, clean text
Line = tuple[Span, ...]
Size = Callable[[], tuple[int, int]]  # columns, rows


class Symbols(msgspec.Struct, frozen=True):
    """The marks that a stream's encoding can show."""

    good: str
    bad: str
    dot: str
    bar: str
    ellipsis: str


UNICODE = Symbols("✓", "✗", "·", "│", "…")
ASCII = Symbols("ok", "FAILED", "-", "|", "...")


def symbols(encoding: str | None) -> Symbols:
    return UNICODE if (encoding or "").lower().replace("-", "").startswith("utf") else ASCII


def measured(size: Size) -> tuple[int, int]:
    """Columns and rows; 80 by 24 where the terminal says 0, as serial lines and some pseudo-terminals do."""
    columns, rows = size()
    return max(columns or 80, 2), max(rows or 24, 2)


def size_of(stream: TextIO) -> Size:
    """The size of the stream's terminal, asked anew at each call."""

    def size() -> tuple[int, int]:
        try:
            found = os.get_terminal_size(stream.fileno())
        except (OSError, ValueError):
            return 0, 0
        return found.columns, found.lines

    return size


def clip_line(line: Line, cells: int, ellipsis: str) -> Line:
    """A line cut to at most so many cells."""
    clipped: list[Span] = []
    for style, text in line:
        kept = clip(text, cells, ellipsis)
        clipped.append((style, kept))
        if kept != text:
            break
        cells -= width(text)
    return tuple(clipped)


def paint(line: Line, *, color: bool) -> str:
    """A line as text, with SGR sequences where `color`."""
    return "".join(f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if color and style and text else text for style, text in line)


class Output:
    """Writes lines to a stream until it breaks."""

    def __init__(self, stream: TextIO, *, color: bool) -> None:
        self._stream = stream
        self._color = color
        self._broken = False

    def lines(self, lines: Iterable[Line]) -> None:
        self.write("".join(paint(line, color=self._color) + "\n" for line in lines))

    def write(self, text: str) -> None:
        if self._broken or not text:
            return
        try:
            self._stream.write(_encodable(text, self._stream.encoding))
            self._stream.flush()
        except (OSError, ValueError):  # ValueError: a closed file
            self._broken = True


class Region:
    """The live region. `draw` puts lines above it, where they scroll away, and replaces its content, in one write."""

    def __init__(self, stream: TextIO, size: Size, *, color: bool) -> None:
        self._output = Output(stream, color=color)
        self._size = size
        self._color = color
        self._ellipsis = symbols(stream.encoding).ellipsis
        self._widths: tuple[int, ...] = ()  # of the lines that are on the screen

    def draw(self, above: Sequence[Line], lines: Sequence[Line]) -> None:
        """Lines of the region are clipped to the terminal, in both directions; those above wrap as any text does."""
        if not (above or lines or self._widths):
            return
        columns, rows = measured(self._size)
        shown = [clip_line(line, columns - 1, self._ellipsis) for line in lines[: rows - 1]]
        top = self._to_top(columns, erase=bool(above) or not shown)
        scrolled = "".join(paint(line, color=self._color) + "\n" for line in above)
        live = "".join(paint(line, color=self._color) + "\x1b[K\n" for line in shown)
        self._widths = tuple(sum(width(text) for _, text in line) for line in shown)
        self._output.write(top + scrolled + live + ("\x1b[J" if above or shown else ""))

    def _to_top(self, columns: int, *, erase: bool) -> str:
        """A terminal that became narrower has wrapped what was on it: count the rows it takes now.

        Rows are erased one by one: where all of the screen is erased at once, some terminals keep a copy in their history.
        """
        rows = sum(max(1, -(-cells // columns)) for cells in self._widths)
        up = f"\r\x1b[{rows}A" if rows else ""
        return up + "\x1b[K\n" * rows + up if erase else up


def _encodable(text: str, encoding: str | None) -> str:
    return text.encode(encoding, "backslashreplace").decode(encoding) if encoding else text
