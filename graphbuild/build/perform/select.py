"""Choosing files out of another target's merged tree, by absolute globs."""

import os
from collections.abc import Callable

import msgspec

from graphbuild.build.glob import is_literal, matcher
from graphbuild.build.world import World
from graphbuild.layers.stack import Layer, Stack
from graphbuild.layers.tar_tree import link_entry
from graphbuild.rules.refs import StackFiles
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import mistake


class Selected(msgspec.Struct, frozen=True):
    """A chosen path of the merged tree. Hard links are among what was chosen: the first of a group is the FILE."""

    entry: Entry
    open: Callable[[], int]


def select(files: StackFiles, world: World) -> list[Selected]:
    """What the patterns choose, sorted by path. GraphbuildError when a pattern without wildcards matches nothing.

    A pattern that is a symlink in the tree names the symlink; folders on its way are followed as a chroot would.
    """
    stack = world.stack(files.layers)
    chosen = matcher([_relative(pattern) for pattern in files.patterns])
    picked: list[tuple[Entry, Layer]] = [(entry, layer) for entry, layer in stack.walk() if chosen(entry.path)]
    for pattern in files.patterns:
        name = os.fsencode(pattern.strip("/"))
        if not pattern.startswith("!") and is_literal(pattern) and name and not any(_at_or_below(entry.path, name) for entry, _ in picked):
            real = stack.resolve(name, follow_last=False)
            hint = f"/{os.fsdecode(real)} is where that leads" if real != name and stack.lookup(real) else ""
            raise mistake(f"no {pattern} in there", hint=hint)
    if not picked:
        raise mistake(f"nothing matches {', '.join(files.patterns)}")
    return _regrouped(picked, stack)


def _relative(pattern: str) -> str:
    return ("!" if pattern.startswith("!") else "") + pattern.removeprefix("!").strip("/")


def _at_or_below(path: bytes, name: bytes) -> bool:
    return path == name or path.startswith(name + b"/")


def _regrouped(picked: list[tuple[Entry, Layer]], stack: Stack) -> list[Selected]:
    """Make the first chosen name of each hard-link group its FILE: the one that was may not be among the chosen."""
    firsts: dict[tuple[Layer, bytes], Entry] = {}  # (layer, the group's FILE there) → the entry of its first chosen name
    selected: list[Selected] = []
    for entry, layer in picked:
        first = entry.target if entry.kind is Kind.HARDLINK else entry.path
        result = (stack.lookup(entry.path) or entry) if entry.kind is Kind.HARDLINK else entry
        known = firsts.setdefault((layer, first), result)
        if known is not result:
            result = link_entry(known, entry.path)
        selected.append(Selected(result, _opener(layer, entry.path)))
    return selected


def _opener(layer: Layer, path: bytes) -> Callable[[], int]:
    return lambda: os.open(os.path.join(os.fsencode(layer.folder()), path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
