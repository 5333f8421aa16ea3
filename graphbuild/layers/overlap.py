"""Where two sets of layers that do not know of each other touch the same path. Pure: indexes in, conflicts out."""

from collections.abc import Container, Iterator, Sequence

import msgspec

from graphbuild.layers.stack import Layer, Stack
from graphbuild.values.entry import Entry, Kind


class Conflict(msgspec.Struct, frozen=True):
    """A path that both sides have, differently. Hard links come as the file they name, implicit directories as 0755."""

    path: bytes
    one: Entry
    other: Entry


_Touched = dict[bytes, tuple[Entry, bool]]  # by path: the entry, and whether it is listed (not implicit)


def overlaps(one: Sequence[Layer], other: Sequence[Layer]) -> Iterator[Conflict]:
    """Paths that both sides touch with different results, sorted. Layers that both sides have are left out.

    Two explicit entries conflict if they differ in anything; an implicit directory conflicts with whatever is no directory, or is opaque.
    """
    shared = {layer.tree for layer in one} & {layer.tree for layer in other}
    ours, theirs = ([layer for layer in side if layer.tree not in shared] for side in (one, other))
    if sum(len(layer.entries) for layer in ours) < sum(len(layer.entries) for layer in theirs):
        ones = _touched(ours, None)
        others = _touched(theirs, ones)
    else:
        others = _touched(theirs, None)
        ones = _touched(ours, others)
    for path in sorted(ones.keys() & others.keys()):
        (first, listed), (second, also_listed) = ones[path], others[path]
        if first == second:
            continue
        merges = first.kind is Kind.DIRECTORY and second.kind is Kind.DIRECTORY and not first.opaque and not second.opaque
        if not merges or (listed and also_listed):
            yield Conflict(path, first, second)


def covered_symlinks(lower: Stack, upper: Sequence[Layer]) -> Iterator[tuple[bytes, bytes]]:
    """Symlinks of `lower` that a directory of `upper` would cover, sorted: (path, the symlink's target)."""
    folders: set[bytes] = set()
    for layer in upper:
        folders |= layer.implicit
        folders.update(entry.path for entry in layer.entries if entry.kind is Kind.DIRECTORY)
    for path in sorted(folders):
        entry = lower.lookup(path)
        if entry is not None and entry.kind is Kind.SYMLINK:
            yield path, entry.target


def _touched(layers: Sequence[Layer], among: Container[bytes] | None) -> _Touched:
    """What one side says of every path it touches (None), or of those `among` some; the topmost layer that lists one has the last word."""
    touched: _Touched = {}
    for layer in layers:
        for path in layer.implicit:
            if among is not None and path not in among:
                continue
            known = touched.get(path)
            if known is None or known[0].kind is not Kind.DIRECTORY:
                touched[path] = Entry(path, Kind.DIRECTORY, 0o755), False
        for entry in layer.entries:
            if among is None or entry.path in among:
                touched[entry.path] = layer.file_of(entry), True
    return touched
