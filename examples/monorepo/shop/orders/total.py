"""What an order costs."""

from collections.abc import Iterable


def total(lines: Iterable[tuple[int, int]]) -> int:
    """The sum of (count, price in cents)."""
    return sum(count * price for count, price in lines)
