"""Why an action was built or not: its key's fields against those of the last run, in lines that people read."""

import contextlib
import os
from collections.abc import Iterator, Sequence

from graphbuild.build.keys import Fields, decode_fields, difference
from graphbuild.store.actions import LastRun
from graphbuild.store.store import Store
from graphbuild.values.digest import tree
from graphbuild.values.entry import Entry, Kind

_SHOWN = 20  # files that are named

_KINDS = {Kind.FILE: "file", Kind.DIRECTORY: "folder", Kind.SYMLINK: "symlink", Kind.HARDLINK: "hard link", Kind.WHITEOUT: "deletion"}


def reasons(last: LastRun | None, new: Fields, store: Store, entries: Sequence[Entry] = ()) -> tuple[str, ...]:
    """Why an action that went so last time has no result under the key fields `new`; never empty.

    `entries` are those of the layer that the action makes, sorted, where they are known beforehand (a copy's).
    """
    if last is None:
        return ("it was never built here",)
    if last.status == "failed":
        return ("its last run failed",)
    before = decode_fields(last.fields)
    if not before:
        return ("what the last run was made from cannot be read any more",)
    lines = difference(before, new)
    if not lines:
        return ("its result is not in the store any more",)
    layer = next((field.value for field in before if field.name == "layer"), "")
    if layer and entries and any(line.startswith("layer:") for line in lines):
        with contextlib.suppress(KeyError):  # the old index is gone: its digest is all that can be said
            lines = [line for line in lines if not line.startswith("layer:")] + changes(store.index(tree(layer)), entries)
    return tuple(lines)


def changes(before: Sequence[Entry], after: Sequence[Entry]) -> list[str]:
    """The paths in which two layers, both sorted, differ: a line each with what of it did."""
    lines: list[str] = []
    more = 0
    for one, other in _pairs(before, after):
        if one == other:
            continue
        if len(lines) < _SHOWN:
            entry = other or one
            lines.append(_change(entry.path if entry else b"", one, other))
        else:
            more += 1
    return [*lines, f"… and {more} more files"] if more else lines


def _pairs(before: Sequence[Entry], after: Sequence[Entry]) -> Iterator[tuple[Entry | None, Entry | None]]:
    """The entries of both by path, in order: of one alone, or of both."""
    position = 0
    for other in after:
        while position < len(before) and before[position].path < other.path:
            yield before[position], None
            position += 1
        if position < len(before) and before[position].path == other.path:
            yield before[position], other
            position += 1
        else:
            yield None, other
    for one in before[position:]:
        yield one, None


def _change(path: bytes, one: Entry | None, other: Entry | None) -> str:
    name = f"/{os.fsdecode(path)}".encode("utf-8", "backslashreplace").decode()
    if one is None or other is None:
        entry = one or other
        what = _KINDS.get(entry.kind, "device") if entry else ""
        return f"{what} {name} {'added' if one is None else 'removed'}"
    if one.kind is not other.kind:
        return f"{name} was a {_KINDS.get(one.kind, 'device')}, is a {_KINDS.get(other.kind, 'device')}"
    if one.digest != other.digest:
        return f"file {name} changed, {one.digest.hex()[:12]} → {other.digest.hex()[:12]}"
    for what, before, after in (
        ("mode", f"{one.mode:04o}", f"{other.mode:04o}"),
        ("owner", f"{one.uid}:{one.gid}", f"{other.uid}:{other.gid}"),
        ("link target", os.fsdecode(one.target), os.fsdecode(other.target)),
    ):
        if before != after:
            return f"{what} of {name}: {before} → {after}"
    return f"attributes of {name} changed"
