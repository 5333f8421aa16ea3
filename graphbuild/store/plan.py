"""What a collection removes: a pure function from what a store holds to what goes.

*Holders* (action records, cache mounts, stray logs …) hold *things* (layers, blobs) by reference, and things hold things (a
layer its tar, a tar its compressed forms). What no remaining holder and no lease reaches goes; holders go least recently
used first, until what is left is old enough and small enough. Broken holders, whose things are gone already, go at once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from graphbuild.store.reference import Reference


class Holder(msgspec.Struct, frozen=True, gc=False):
    """`kind`: "action", "log", "cache", "failed", "image" or "container"; `name` is unique within it.

    `used`: seconds of the epoch; `size` in bytes. `lasting`: only its owner removes it.
    """

    kind: str
    name: bytes
    size: int
    used: float
    references: tuple[Reference, ...] = ()
    broken: bool = False
    lasting: bool = False


class Contents(msgspec.Struct, frozen=True):
    """A store at one moment. `sizes` names every thing there is, in bytes; `edges` says what a thing holds."""

    holders: tuple[Holder, ...]
    sizes: Mapping[Reference, int]
    edges: Mapping[Reference, tuple[Reference, ...]]
    leased: frozenset[Reference] = frozenset()


class Plan(msgspec.Struct, frozen=True):
    """`freed` and `kept` in bytes; `in_use`: how many holders and things only a lease keeps from being removed or removable."""

    holders: tuple[Holder, ...]
    things: frozenset[Reference]
    freed: int
    kept: int
    in_use: int


def plan(contents: Contents, max_size: int | None = None, used_since: float | None = None) -> Plan:
    """What goes so that at most `max_size` bytes stay, all used after `used_since`; None: no such limit."""
    reached = {holder: _reach(holder.references, contents.edges) for holder in contents.holders}
    pinned = _reach(_pins(contents), contents.edges)
    counts = Counter(thing for things in reached.values() for thing in things)
    going = {thing for thing in contents.sizes if not counts[thing] and thing not in pinned}
    total = sum(contents.sizes.values()) + sum(holder.size for holder in contents.holders)
    left = total - sum(contents.sizes[thing] for thing in going)
    removed: list[Holder] = []
    for holder in sorted(
        (holder for holder in contents.holders if not holder.lasting),
        key=lambda holder: (not holder.broken, holder.used, holder.kind, holder.name),
    ):
        old = used_since is not None and holder.used < used_since
        if not (holder.broken or old or (max_size is not None and left > max_size)):
            break
        if _is_pinned(holder, contents.leased):
            continue
        removed.append(holder)
        left -= holder.size
        for thing in reached[holder]:
            counts[thing] -= 1
            if not counts[thing] and thing not in pinned and thing in contents.sizes:
                going.add(thing)
                left -= contents.sizes[thing]
    return Plan(tuple(removed), frozenset(going), total - left, left, len(pinned & contents.sizes.keys()))


def _pins(contents: Contents) -> list[Reference]:
    """What leases name, and what the action records among them hold."""
    held = (reference for holder in contents.holders if _is_pinned(holder, contents.leased) for reference in holder.references)
    return [*contents.leased, *held]


def _is_pinned(holder: Holder, leased: frozenset[Reference]) -> bool:
    return holder.kind in ("action", "log") and b"a" + holder.name in leased


def _reach(references: Iterable[Reference], edges: Mapping[Reference, tuple[Reference, ...]]) -> frozenset[Reference]:
    found: set[Reference] = set()
    waiting = list(references)
    while waiting:
        reference = waiting.pop()
        if reference not in found:
            found.add(reference)
            waiting.extend(edges.get(reference, ()))
    return frozenset(found)
