"""Numbers, sizes and durations as Go's libraries read them. Knows nothing of Dockerfiles; errors are in Go's words."""

import re

from graphbuild_dockerfile.messages import quoted, wrong

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_FACTORS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_LIMIT = (1 << 63) - 1
_SIZE = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?) ?(?:[bB]|([kmgtpKMGTP])(?:[iI]?[bB])?|())")
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)")


def parse_bool(text: str) -> bool | None:
    """strconv.ParseBool; None for what is neither."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    return False if text in ("0", "f", "F", "FALSE", "false", "False") else None


def parse_unsigned(text: str, base: int) -> int | None:
    """strconv.ParseUint with 32 bits; None for what is no such number."""
    digits = "0123456789"[:base]
    if not text or text.strip(digits) or len(text) > 80:
        return None
    value = int(text, base)
    return value if value < 1 << 32 else None


def parse_size(text: str) -> int | None:
    """Bytes of `64m`, `1.5 GiB`, `100`: a number, perhaps a space, and a unit of 1024; None for what is no size."""
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    size = float(found[1]) * _FACTORS.get((found[2] or "").lower(), 1)
    return int(size) if 0 <= size <= _LIMIT else None


def parse_duration(text: str) -> int:
    """time.ParseDuration: nanoseconds of `1h30m`, `1.5s`, `-5ms`, `0`."""
    unsigned = text[1:] if text[:1] in ("+", "-") else text
    if unsigned == "0":
        return 0
    total, at = 0, 0
    while at < len(unsigned) or not unsigned:
        part = _PART.match(unsigned, at)
        if part is None or not (part[1] or part[2]):
            raise wrong(f"time: invalid duration {quoted(text)}")
        whole, fraction, unit = part[1] or "0", part[2] or "", part[3]
        if not unit:
            raise wrong(f"time: missing unit in duration {quoted(text)}")
        if unit not in _UNITS:
            raise wrong(f"time: unknown unit {quoted(unit)} in duration {quoted(text)}")
        if len(whole) > 30 or len(fraction) > 1000:
            raise wrong(f"time: invalid duration {quoted(text)}")
        total += int(whole) * _UNITS[unit] + int(fraction or "0") * _UNITS[unit] // 10 ** len(fraction)
        at = part.end()
    if total > _LIMIT:
        raise wrong(f"time: invalid duration {quoted(text)}")
    return -total if text.startswith("-") else total
