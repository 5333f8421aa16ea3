"""The topmost *stub* of a mount: places that the stack lacks, and directories that layers hold only implicitly.

A mount point made in the step's own upper would end up in its layer, and a directory without attributes would hide those of
the layers below. So both go into one small folder on top of the stack, with the mode, owner and xattrs that `Stack` says.
Destinations are resolved inside the root first: a mount never follows an image's symlink.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import mistake

_OURS = (b"proc", b"sys", b"dev")


class Layer(Protocol):
    def folder(self) -> Path:
        """The layer as a folder that overlayfs can mount."""
        ...


class Stack(Protocol):
    """What a sandbox asks of a stack of layers. Paths are relative to its root, without a leading slash; the root is b""."""

    @property
    def layers(self) -> Sequence[Layer]:
        """Lowest first."""
        ...

    def lookup(self, path: bytes) -> Entry | None:
        """What is at the path in the merged tree; symlinks are not followed."""
        ...

    def resolve(self, path: bytes) -> bytes:
        """The path with its symlinks followed inside the root, whether it exists or not."""
        ...

    def read(self, path: bytes) -> bytes | None:
        """The content of a small file, symlinks followed; None where there is none."""
        ...

    def implicit(self) -> list[bytes]:
        """Directories whose topmost layer does not say their attributes."""
        ...


def place(stack: Stack, to: str) -> bytes:
    """Where a mount `to` an absolute path lands: relative to the root, without symlinks.

    Below /dev it stays as it is, normalised: that folder is the sandbox's, not the image's. GraphbuildError for a path that is not
    absolute, is the root, or is /dev itself or in the kernel's file systems.
    """
    if not to.startswith("/") or "\0" in to:
        raise mistake(f"mount destination {to!r} is not an absolute path", hint="start it with /")
    path = os.fsencode(os.path.normpath(to)).lstrip(b"/")
    if not path.startswith(b"dev/"):
        path = stack.resolve(path)
    if not path:
        raise mistake(f"mount destination {to!r} is the root of the file system", hint="name a folder below it")
    if path in _OURS or path.startswith((b"proc/", b"sys/")):
        raise mistake(f"mount destination {to!r} is in a folder of the sandbox's own", hint="name a folder outside of /proc, /sys and /dev")
    return path


def check_own(stack: Stack) -> None:
    """GraphbuildError for an image whose /proc, /sys or /dev is not a directory: the sandbox mounts there."""
    for path in _OURS:
        entry = stack.lookup(path)
        if entry is not None and entry.kind is not Kind.DIRECTORY:
            raise mistake(f"/{path.decode()} of the image is not a directory, no step can run on it", hint="remove it in the base")


class Place(msgspec.Struct, frozen=True):
    """One path of a stub: a directory with the attributes of `entry` (None: 0755 0:0, no layer has it), or an empty file."""

    path: bytes
    is_directory: bool
    entry: Entry | None


class Stub(msgspec.Struct, frozen=True):
    """What a stub holds, sorted by path: directories come before what is in them."""

    places: tuple[Place, ...]

    @property
    def made(self) -> tuple[bytes, ...]:
        """The paths that are in no layer."""
        return tuple(place.path for place in self.places if place.entry is None and place.path)


def plan_stub(stack: Stack, points: Mapping[bytes, bool]) -> Stub:
    """The stub for mount points (resolved path → whether it is a directory).

    GraphbuildError where the stack has something of another type in the way.
    """
    places: dict[bytes, Place] = {}
    for path in stack.implicit():
        _directory(stack, path, places)
    for path, is_directory in sorted(points.items()):
        _point(stack, path, is_directory, places)
    _directory(stack, b"", places)
    return Stub(tuple(places[path] for path in sorted(places)))


def write_stub(stub: Stub, folder: Path, epoch: int) -> None:
    """Fill an empty folder with a stub; mtimes become `epoch`."""
    for place in stub.places:
        name = os.path.join(os.fsencode(folder), place.path) if place.path else os.fsencode(folder)
        if place.is_directory:
            if place.path:
                os.mkdir(name)
            set_attributes(name, place.entry)
        else:
            descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            os.fchmod(descriptor, 0o644)  # whatever the umask is
            os.close(descriptor)
    for place in reversed(stub.places):
        os.utime(os.path.join(os.fsencode(folder), place.path), (epoch, epoch))


def _point(stack: Stack, path: bytes, is_directory: bool, places: dict[bytes, Place]) -> None:
    entry = stack.lookup(path)
    if entry is not None:
        if (entry.kind is Kind.DIRECTORY) != is_directory:
            is_, wanted = ("a folder", "a file") if is_directory else ("a file", "a folder")
            raise mistake(f"cannot mount {is_} at /{os.fsdecode(path)}: the image has {wanted} there", hint="choose another destination")
    elif is_directory:
        _directory(stack, path, places)
    elif path not in places:
        _directory(stack, path.rpartition(b"/")[0], places)
        places[path] = Place(path, False, None)


def _directory(stack: Stack, path: bytes, places: dict[bytes, Place]) -> None:
    """A directory and those above it, with the attributes that each has in the stack."""
    if path in places:
        return
    entry = stack.lookup(path)
    if entry is not None and entry.kind is not Kind.DIRECTORY:
        raise mistake(f"cannot mount below /{os.fsdecode(path)}: it is not a folder in the image", hint="choose another destination")
    if path:
        _directory(stack, path.rpartition(b"/")[0], places)
    places[path] = Place(path, True, entry)


def set_attributes(name: bytes, entry: Entry | None) -> None:
    """Give a directory the owner, mode and xattrs of an entry (0755 0:0 for None), as far as this user may."""
    if entry is None:
        os.chmod(name, 0o755)
        return
    with contextlib.suppress(OSError):  # an owner that is not mapped here: the folder form has not got it either
        os.chown(name, entry.uid, entry.gid)
    os.chmod(name, entry.mode)
    for key, value in entry.xattrs:
        with contextlib.suppress(OSError):
            os.setxattr(name, key, value)
