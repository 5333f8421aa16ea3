"""Names of Linux signals, as Docker accepts them."""

import signal

_LARGEST = 64


def is_signal(text: str) -> bool:
    """A number from 1 to 64, or a name with or without SIG."""
    if text.isdigit():
        return 0 < int(text) <= _LARGEST
    name = text.upper().removeprefix("SIG")
    if name.startswith(("RTMIN+", "RTMAX-")):
        return name[6:].isdigit() and int(name[6:]) <= 30
    return f"SIG{name}" in signal.Signals.__members__
