"""Times as Docker says and takes them: `5 minutes ago`, `--since 10m`, `--since 2026-01-02T03:04:05`."""

import re
from datetime import UTC, datetime

from graphbuild.engine.quantities import parse_duration
from graphbuild.values.errors import mistake

_SECOND = 10**9


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
