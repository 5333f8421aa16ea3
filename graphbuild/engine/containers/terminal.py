"""The user's own terminal while a container's is shown on it: raw, its size told, and the keys that leave it."""

import contextlib
import os
import signal
import termios
import tty
from collections.abc import Callable, Iterator

from graphbuild.values.errors import mistake

DETACH_KEYS = "ctrl-p,ctrl-q"


def size_of(terminal: int) -> tuple[int, int]:
    """Rows and columns; 24 and 80 where it does not say."""
    try:
        size = os.get_terminal_size(terminal)
    except OSError:
        return 24, 80
    return size.lines, size.columns


@contextlib.contextmanager
def raw(terminal: int, resized: Callable[[int, int], None]) -> Iterator[None]:
    """A terminal that hands on every key, for as long as the context lasts; `resized` is told its size now and whenever it changes."""
    before = termios.tcgetattr(terminal)
    handler = signal.signal(signal.SIGWINCH, lambda _number, _frame: resized(*size_of(terminal)))
    try:
        tty.setraw(terminal)
        resized(*size_of(terminal))
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        signal.signal(signal.SIGWINCH, handler)


def parse_keys(text: str) -> bytes:
    """Docker's `ctrl-p,ctrl-q`, as the bytes that a terminal sends. GraphbuildError for what is none."""
    keys = b""
    for word in filter(None, text.split(",")):
        if len(word) == 1 and word.isascii():
            keys += word.encode()
        elif word.startswith("ctrl-") and len(word) == 6 and (word[5].islower() or word[5] in "@[\\]^_"):
            keys += bytes((ord(word[5].upper()) & 0x1F,))
        else:
            raise mistake(f"unknown key {word!r} in --detach-keys", hint="for example ctrl-p,ctrl-q")
    return keys


class Leaving:
    """Finds the keys that leave in what is typed; what might become them is held back."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to hand on, and whether to leave."""
        if not self._keys:
            return data, False
        out = b""
        for byte in data:
            self._held += bytes((byte,))
            while self._held and not self._keys.startswith(self._held):
                out += self._held[:1]
                self._held = self._held[1:]
            if self._held == self._keys:
                return out, True
        return out, False
