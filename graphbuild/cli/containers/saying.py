"""`logs`: what a container said, as it said it."""

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Iterator

from graphbuild.cli.containers.grammar import Grammar, Parsed, wrong
from graphbuild.cli.containers.times import parse_time, stamp
from graphbuild.engine.containers import wire
from graphbuild.engine.containers.place import Place
from graphbuild.engine.containers.shelf import is_alive
from graphbuild.values.errors import EXIT_OK

_NAP = 0.05  # seconds between looks at a log that grows

Piece = tuple[int, int, bytes]  # when, which stream, a line or the beginning of one


def logs(place: Place, grammar: Grammar, options: Parsed) -> int:
    with place.open() as opened:
        container = opened.shelf.find(options.words[0])
    now = time.time_ns()
    since, until = options.text("since"), options.text("until")
    first = parse_time(since, now) if since else 0
    last = parse_time(until, now) if until else 1 << 62
    tail = _tail(grammar, options)
    stamped = options.flag("timestamps")
    try:
        file = (container.folder / "log").open("rb")
    except FileNotFoundError:
        return EXIT_OK
    with file:
        writer = _Writer(stamped=stamped)
        pieces = (piece for piece in _lines(wire.records(file)) if first <= piece[0] <= last)
        for piece in pieces if tail is None else deque(pieces, tail):
            writer.write(piece)
        while options.flag("follow"):
            alive = is_alive(container.folder)  # asked first: what was said before it died is read
            for piece in _lines(wire.records(file)):
                writer.write(piece)
            sys.stdout.flush()
            if not alive:
                break
            time.sleep(_NAP)
    return EXIT_OK


def _tail(grammar: Grammar, options: Parsed) -> int | None:
    text = options.text("tail")
    if text is None or text == "all":
        return None
    try:
        return max(0, int(text))
    except ValueError:
        raise wrong(grammar, f"--tail is a number or all, not {text!r}") from None


def _lines(records: Iterator[Piece]) -> Iterator[Piece]:
    """Lines, put together from what came in pieces; what does not end in a newline comes last."""
    begun: dict[int, tuple[int, bytes]] = {}
    for when, kind, data in records:
        start, before = begun.pop(kind, (when, b""))
        *whole, rest = (before + data).split(b"\n")
        for line in whole:
            yield start, kind, line + b"\n"
            start = when
        if rest:
            begun[kind] = start, rest
    for kind, (when, rest) in begun.items():
        yield when, kind, rest


class _Writer:
    def __init__(self, *, stamped: bool) -> None:
        self._stamped = stamped

    def write(self, piece: Piece) -> None:
        when, kind, line = piece
        data = f"{stamp(when)} ".encode() + line if self._stamped else line
        number = 2 if kind == wire.STDERR else 1
        with contextlib.suppress(BlockingIOError):
            while data:
                data = data[os.write(number, data) :]
