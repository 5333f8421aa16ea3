"""Durations and sizes as people write them: "90s", "1h30m"; "64m", "2GiB". Pure text in, numbers out."""

import re

from graphbuild.values.errors import clipped

_DURATION = re.compile(r"(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?")
_SIZE = re.compile(r"(\d{1,15})\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_FACTORS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


def parse_duration(text: str) -> float:
    """Seconds: "90s", "5m", "1h30m", "1.5s" or a bare number of seconds. ValueError for anything else."""
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return float(text)
    found = _DURATION.fullmatch(text)
    if not text or not text.isascii() or not found:
        raise ValueError(f"{clipped(text)} is not a duration")
    hours, minutes, seconds = found.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)


def parse_size(text: str) -> int:
    """Bytes: "1000", "64k", "64m", "2g", also "64MiB"; the letters are powers of 1024. ValueError for anything else."""
    found = _SIZE.fullmatch(text)
    if not text.isascii() or not found:
        raise ValueError(f"{clipped(text)} is not a size")
    return int(found[1]) << _FACTORS[found[2].lower()]


def parse_mode(text: str) -> int:
    """Permission bits from octal digits: "0755", "644". ValueError for anything else."""
    if not re.fullmatch(r"0?[0-7]{3,4}", text, re.ASCII):
        raise ValueError(f"{clipped(text)} is not an octal mode")
    return int(text, 8)
