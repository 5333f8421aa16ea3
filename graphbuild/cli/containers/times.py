"""Times as Docker says and takes them: `5 minutes ago`, `--since 10m`, `--since 2026-01-02T03:04:05`."""

import re
from datetime import UTC, datetime

from graphbuild.engine.quantities import parse_duration
from graphbuild.values.errors import mistake

_SECOND = 10**9


def ago(seconds: float) -> str:  # noqa: PLR0911 - one a unit
    """A length of time as Docker rounds it, without the `ago`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    for most, length, name in ((14, 24, "days"), (8.6, 24 * 7, "weeks"), (24, 24 * 30, "months")):
        if hours < most * length:
            return f"{hours // length} {name}"
    return f"{hours // (24 * 365)} years"


def stamp(nanoseconds: int) -> str:
    """RFC 3339 with nanoseconds, as Docker writes it; 0 is its `never`."""
    if not nanoseconds:
        return "0001-01-01T00:00:00Z"
    seconds, rest = divmod(nanoseconds, _SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def parse_time(text: str, now: int) -> int:
    """Nanoseconds of the epoch: a length of time before `now`, seconds of the epoch, or a date. GraphbuildError for anything else."""
    if re.fullmatch(r"\d{6,12}(\.\d{1,9})?", text):
        return int(float(text) * _SECOND)
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise mistake(f"{text!r} is not a time", hint="10m, 1h30m, 2026-01-02 or 2026-01-02T03:04:05Z") from None
    return int(found.astimezone(UTC).timestamp() * _SECOND) if found.tzinfo else int(found.timestamp() * _SECOND)
