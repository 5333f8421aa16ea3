"""What a container has written: its writable layer copied while it is at rest, as a layer of its own; and as a list for people.

What the engine put below every container (`assemble.write_stub`) is no part of it, nor is what is mounted into the container.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from graphbuild.engine.containers import assemble, running
from graphbuild.engine.containers.copy_tree import copy_tree, raise_limits
from graphbuild.engine.containers.place import Opened, Place
from graphbuild.engine.containers.shelf import Container, failed, is_alive, locked
from graphbuild.layers.capture import capture
from graphbuild.layers.stack import Layer, Stack
from graphbuild.layers.xattrs import OPAQUE
from graphbuild.sandbox import stub
from graphbuild.values.entry import Entry, Kind

_DEVICE_OF_WHITEOUTS = 0


@contextlib.contextmanager
def at_rest(container: Container, *, pause: bool) -> Iterator[None]:
    """Nothing in the container writes while this lasts, or, with `pause` false, nobody starts or removes it if it does not run."""
    seen = container.look()
    if seen.status == "running":
        if not pause:
            yield
            return
        running.pause(container)
        try:
            yield
        finally:
            running.unpause(container)
    elif seen.status == "paused":
        yield
    else:
        try:
            with locked(container.folder):
                if is_alive(container.folder):
                    raise failed(f"container {container.name} was started just now", "say it again")
                yield
        except FileNotFoundError:
            raise failed(f"no container {container.name}", "it was removed just now") from None


def stack_of(opened: Opened, container: Container) -> Stack:
    return opened.forms.stack(opened.library.outputs(container.spec.image))


def made_points(stack: Stack) -> tuple[bytes, ...]:
    """Paths that are there only because every container has them."""
    return (*stub.plan_stub(stack, assemble.points(stack)).made, b"etc/mtab")


def capture_changes(place: Place, opened: Opened, container: Container, scratch: Path, *, pause: bool) -> tuple[list[Entry], Path]:
    """The index of what the container has changed, and the folder form of that, in `scratch`."""
    folder = scratch / "upper"
    folder.mkdir(mode=0o755)
    stack = stack_of(opened, container)
    with at_rest(container, pause=pause):
        copy_tree(bytes(container.folder / "upper"), bytes(folder))
    entries = capture(folder, stack, epoch=0, ids=place.identity.ids, ignored=made_points(stack), like_docker=True)
    return entries, folder


class Change(msgspec.Struct, frozen=True, order=True):
    """`kind`: A added, C changed, D deleted."""

    path: bytes
    kind: str


def list_changes(opened: Opened, container: Container) -> list[Change]:
    """What differs from the image, sorted by path, as Docker's `diff` has it."""
    raise_limits()
    stack = stack_of(opened, container)
    finder = _Finder(stack, container.folder / "upper", frozenset(made_points(stack)))
    finder.visit(b"", hidden=False)
    return sorted(finder.found.values())


class _Finder:
    def __init__(self, stack: Stack, upper: Path, made: frozenset[bytes]) -> None:
        self._stack = stack
        self._upper = bytes(upper)
        self._made = made
        self.found: dict[bytes, Change] = {}

    def visit(self, folder: bytes, *, hidden: bool) -> None:
        """Look at a folder of the upper; `hidden`: nothing of the image shows through it."""
        names = set()
        place = os.path.join(self._upper, folder) if folder else self._upper
        for name in sorted(os.listdir(place)):
            names.add(name)
            self._see(folder + b"/" + name if folder else name, hidden=hidden)
        if hidden and folder:
            for name in self._stack.names(folder):
                if name not in names:
                    self._note(folder + b"/" + name, "D")

    def _see(self, path: bytes, *, hidden: bool) -> None:
        name = os.path.join(self._upper, path)
        status = os.lstat(name)
        below = self._stack.find(path)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == _DEVICE_OF_WHITEOUTS:
            if below is not None:
                self._note(path, "D")
            return
        if path in self._made and below is None and not status.st_size * (not stat.S_ISDIR(status.st_mode)):
            if stat.S_ISDIR(status.st_mode):
                self.visit(path, hidden=True)
            return
        before = len(self.found)
        folder = stat.S_ISDIR(status.st_mode)
        if folder:
            opaque = below is not None and _is_opaque(name)
            self.visit(path, hidden=hidden or opaque or below is None)
        if below is None:
            self._note(path, "A")
        elif (folder and len(self.found) > before) or self._differs(*below, path, status):
            self._note(path, "C")

    def _note(self, path: bytes, kind: str) -> None:
        self.found[path] = Change(path, kind)

    def _differs(self, entry: Entry, layer: Layer, path: bytes, status: os.stat_result) -> bool:
        """By what a stat says; a folder's time does not count."""
        folder = stat.S_ISDIR(status.st_mode)
        if (entry.kind is Kind.DIRECTORY) != folder:
            return True
        if (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) != (entry.mode, entry.uid, entry.gid):
            return True
        if folder:
            return False
        try:
            there = os.lstat(os.path.join(os.fsencode(layer.folder()), path))
        except OSError:
            return True
        return (stat.S_IFMT(there.st_mode), there.st_size, there.st_mtime_ns) != (
            stat.S_IFMT(status.st_mode),
            status.st_size,
            status.st_mtime_ns,
        )


def _is_opaque(name: bytes) -> bool:
    try:
        return os.getxattr(name, OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False
