"""Durations, sizes and signals as Docker's command line takes them. Pure text in, numbers out; ValueError says what is wrong."""

import re
import signal

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_POWERS = {"": 0, "b": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_LARGEST = 64


def parse_duration(text: str) -> int:
    """Nanoseconds of a Go duration, "1m30s" or "500ms"; "0" alone needs no unit."""
    if text == "0":
        return 0
    if not text or _PART.sub("", text):
        raise ValueError(f"{text[:40]!r} is not a duration such as 30s, 1m30s or 500ms")
    return round(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))


def parse_size(text: str) -> int:
    """Bytes: "512m", "1.5g", "64MiB", "1000"; the letters are powers of 1024."""
    found = _SIZE.fullmatch(text)
    if not found or not text.isascii():
        raise ValueError(f"{text[:40]!r} is not a size such as 512m or 2g")
    return int(float(found[1]) * (1 << _POWERS[found[2].lower()]))


def parse_signal(text: str) -> int:
    """The number of a signal: "SIGTERM", "term", "15", "RTMIN+3"."""
    if text.isascii() and text.isdecimal() and 0 < int(text) <= _LARGEST:
        return int(text)
    name = text.upper().removeprefix("SIG")
    real_time = re.fullmatch(r"RT(MIN\+|MAX-)(\d{1,2})", name)
    if real_time and int(real_time[2]) <= signal.SIGRTMAX - signal.SIGRTMIN:
        return int(signal.SIGRTMIN + int(real_time[2]) if real_time[1] == "MIN+" else signal.SIGRTMAX - int(real_time[2]))
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        raise ValueError(f"{text[:40]!r} is not a signal such as SIGTERM or 15") from None
