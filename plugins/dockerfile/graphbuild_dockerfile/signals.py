"""Names of Linux signals, as Docker accepts them."""

import re
import signal


def is_signal(text: str) -> bool:
    """A name with or without SIG, or any number of 64 bits but 0."""
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return int(text) != 0 and -(2**63) <= int(text) < 2**63
    name = text.upper().removeprefix("SIG")
    if name.startswith(("RTMIN+", "RTMAX-")):
        return name[6:].isdigit() and int(name[6:]) <= 30
    return f"SIG{name}" in signal.Signals.__members__
