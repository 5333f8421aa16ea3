"""Taking secrets' values out of text: what is left says that something was there, never what, nor how long it was.

A value of several lines is also taken out line by line (a terminal turns its newlines into \\r\\n, a tool prints one of
them), where a line is long enough to be told from ordinary words. Values in other encodings (base64 …) are not known here.
"""

import re
from collections.abc import Iterable

MASK = "***"
_LINE = 8  # a single line of a secret is taken out from this length on


def forms(values: Iterable[str]) -> tuple[str, ...]:
    """The texts to look for, longest first."""
    found: set[str] = set()
    for value in values:
        found |= {value, value.strip()}
        found |= {line.strip() for line in value.splitlines() if len(line.strip()) >= _LINE}
    return tuple(sorted(found - {""}, key=lambda form: (-len(form), form)))


def redact(text: str, values: Iterable[str]) -> str:
    """The text without any of the values."""
    wanted = forms(values) if values else ()
    return _pattern(wanted).sub(MASK, text) if wanted else text


class Redactor:
    """`redact` for a stream of bytes that arrives in pieces: a value that is cut in two by a read is found as well.

    Holds back no more than may be the start of a value; a redactor of no values holds back nothing.
    """

    def __init__(self, values: Iterable[str]) -> None:
        texts = forms(values)
        self._forms = tuple(text.encode("utf-8", "surrogateescape") for text in texts)
        self._pattern = re.compile(b"|".join(map(re.escape, sorted(self._forms, key=len, reverse=True)))) if texts else None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What can be shown so far of all that was fed."""
        if self._pattern is None:
            return data
        data = self._held + data
        cut = len(data) - self._may_start(data)
        for match in self._pattern.finditer(data):
            if match.start() < cut < match.end():  # the end of one value is the start of another: wait for what comes
                cut = match.start()
                break
        self._held = data[cut:]
        return self._pattern.sub(MASK.encode(), data[:cut])

    def close(self) -> bytes:
        """The rest, after the last piece."""
        held, self._held = self._held, b""
        return self._pattern.sub(MASK.encode(), held) if self._pattern else held

    def _may_start(self, data: bytes) -> int:
        """The length of the longest end of `data` that is the beginning, not the whole, of a value."""
        return max(_overlap(data, form) for form in self._forms)


def _overlap(data: bytes, form: bytes) -> int:
    """Searches for the first bytes of long forms instead of comparing every end, which would be quadratic."""
    head = form[:16]
    at = data.find(head, max(0, len(data) - len(form) + 1))
    while at != -1:
        if form.startswith(data[at:]):
            return len(data) - at
        at = data.find(head, at + 1)
    shorter = range(min(len(head), len(form)) - 1, 0, -1)
    return next((length for length in shorter if data.endswith(head[:length])), 0)


def _pattern(wanted: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, wanted)))
