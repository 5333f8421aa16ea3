"""What was measured, the bar that it is held against, and whether it is held: a table in Markdown. Knows nothing of who is measured."""

from collections.abc import Sequence

import msgspec

MISSED = "**missed**"


class Row(msgspec.Struct, frozen=True):
    """A measurement. `beside`: what it is compared with, in words."""

    what: str
    ours: str
    beside: str
    bar: str
    held: bool


def faster(what: str, ours: float, who: str, theirs: float, times: float) -> Row:
    """Seconds, and those of a peer."""
    ratio = theirs / ours
    return Row(what, f"{ours:.3f} s", f"{who} {theirs:.3f} s: {ratio:.2f} times faster", f"at least {times:g} times faster", ratio >= times)


def within(what: str, ours: float, who: str, theirs: float, times: float) -> Row:
    """Seconds, and those of a limit."""
    ratio = ours / theirs
    return Row(what, f"{ours:.3f} s", f"{who} {theirs:.3f} s: {ratio:.2f} times that", f"at most {times:g} times that", ratio <= times)


def more(what: str, ours: float, who: str, theirs: float, seconds: float) -> Row:
    """Seconds, and those of what costs this less."""
    over = ours - theirs
    return Row(what, f"{ours:.3f} s", f"{who} {theirs:.3f} s: {over:+.3f} s", f"at most {seconds:g} s more", over <= seconds)


def below(what: str, ours: float, most: float, unit: str) -> Row:
    """A number by itself."""
    return Row(what, f"{ours:.0f} {unit}" if ours >= 10 else f"{ours:.3f} {unit}", "", f"at most {most:g} {unit}", ours <= most)


def table(rows: Sequence[Row]) -> str:
    lines = [f"| {row.what} | {row.ours} | {row.beside} | {row.bar} | {'held' if row.held else MISSED} |" for row in rows]
    return "\n".join(["| what | graphbuild | beside | bar | |\n|---|---|---|---|---|", *lines])


def verdict(rows: Sequence[Row]) -> int:
    """An exit code: 0 when every bar was held, 1 when one was not."""
    return int(not all(row.held for row in rows))
