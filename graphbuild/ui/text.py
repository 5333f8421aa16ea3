"""Text for people: sizes, durations, and lines that fit a terminal whatever a step wrote into them.

Widths are terminal cells: East Asian wide characters take two, combining marks none (Unicode TR 11). `clean` is the only
way for a step's output onto a terminal: nothing it returns can move a cursor, change a colour or reorder what is read.
"""

import re
import unicodedata

_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*+[ -/]*+[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_][^\x07\x1b]*+(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC up to their terminator: titles, links, clipboard
    r"|\x1b[ -/]*+[0-~]",  # all shorter ones
)
_ODD = re.compile(r"[^\x20-\x7e]")


def size(count: int) -> str:
    """Bytes as `999 B`, `1.2 kB`, `34 MB` (powers of 1000)."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 9.95:
            return f"{value:.1f} {unit}"
        if value < 999.5:
            return f"{value:.0f} {unit}"
    return f"{value:.0f} TB"


def duration(seconds: float) -> str:
    """`0.3s`, `12s`, `2m05s`, `1h02m`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes, left = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{left:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m"


def clock(seconds: float) -> str:
    """`0:12`, `61:05`: time that runs."""
    minutes, left = divmod(int(max(seconds, 0)), 60)
    return f"{minutes}:{left:02}"


def clean(text: str) -> str:
    """One line without escape sequences, control, format and line-breaking characters; tabs become spaces."""
    if not _ODD.search(text):
        return text
    text = _SEQUENCES.sub("", text.expandtabs()) if "\x1b" in text else text.expandtabs()
    return "".join(map(_visible, text))


def _visible(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cs":
        return "\ufffd"
    return "" if category in ("Cc", "Cf", "Zl", "Zp") else char


def width(text: str) -> int:
    """The cells a clean text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def clip(text: str, cells: int, ellipsis: str = "…") -> str:
    """A clean text cut to at most so many cells, with an ellipsis where it was cut."""
    if width(text) <= cells:
        return text
    room = cells - len(ellipsis)
    if room < 0:
        return ""
    kept: list[str] = []
    for char in text:
        room -= _cells(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept) + ellipsis


def _cells(char: str) -> int:
    if char.isascii():
        return 1
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1
