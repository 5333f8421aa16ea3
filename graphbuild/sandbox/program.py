"""Which file of a step's tree a command names: the search along PATH, done outside, because an image need not hold a shell.

Pure but for looking at the sources of bind mounts. It answers as a shell does: 127 for what is not there, 126 for what cannot be executed.
"""

import os
from collections.abc import Sequence
from typing import Literal

import msgspec

from graphbuild.sandbox.job import BindMount, SecretFile, Tmpfs
from graphbuild.sandbox.stub import Stack
from graphbuild.values.entry import Kind

Mount = BindMount | Tmpfs | SecretFile
_State = Literal["missing", "folder", "plain", "executable"]


class Placed(msgspec.Struct, frozen=True):
    """A mount and where it lands: relative to the root, without symlinks."""

    path: bytes
    mount: Mount


class Refusal(msgspec.Struct, frozen=True):
    """Why a command cannot start: the exit code that a shell would give, and a sentence."""

    exit_code: int
    message: str


def find(name: str, path: str, workdir: str, stack: Stack, mounts: Sequence[Placed]) -> str | Refusal:
    """The path to execute for argv[0] `name`, as the step sees it. `path` is the step's PATH; its relative folders are below `workdir`."""
    if not name:
        return Refusal(127, "the command is empty")
    if "/" in name:
        state = _state(os.path.join(workdir, name), stack, mounts)
        return name if state == "executable" else _refusal(name, state, name)
    best: _State = "missing"
    for folder in path.split(":"):
        candidate = os.path.join(workdir, folder, name)
        state = _state(candidate, stack, mounts)
        if state == "executable":
            return candidate
        best = best if state == "missing" else state
    return _refusal(name, best, f"{name} (not found in PATH={path})")


def _refusal(name: str, state: _State, missing: str) -> Refusal:
    match state:
        case "folder":
            return Refusal(126, f"{name}: is a folder, cannot be executed")
        case "plain":
            return Refusal(126, f"{name}: permission denied (it is not executable)")
        case _:
            return Refusal(127, missing if "PATH" in missing else f"{missing}: not found in the image")


def _state(path: str, stack: Stack, mounts: Sequence[Placed]) -> _State:
    inside = stack.resolve(os.fsencode(os.path.normpath(path)).lstrip(b"/"))
    if inside.startswith((b"proc/", b"dev/", b"sys/")):
        return "executable"  # only the kernel knows: the trampoline reports what it says
    for placed in reversed(mounts):
        if inside == placed.path or inside.startswith(placed.path + b"/"):
            return _state_in_mount(placed.mount, inside[len(placed.path) :])
    return _state_in_stack(inside, stack)


def _state_in_stack(path: bytes, stack: Stack) -> _State:
    entry = stack.lookup(path)
    if entry is not None and entry.kind is Kind.HARDLINK:
        entry = stack.lookup(entry.target) or entry
    if entry is None:
        return "missing"
    if entry.kind is Kind.DIRECTORY:
        return "folder"
    # A hard link whose first name is gone from the merged tree does not say its mode here.
    return "executable" if entry.mode & 0o111 or entry.kind is Kind.HARDLINK else "plain"


def _state_in_mount(mount: Mount, below: bytes) -> _State:
    if not isinstance(mount, BindMount):
        return "missing" if isinstance(mount, Tmpfs) or below else "plain"
    source = os.fsencode(mount.source) + below
    if not os.path.lexists(source):
        return "missing"
    if os.path.isdir(source):
        return "folder"
    return "executable" if os.path.islink(source) or os.access(source, os.X_OK) else "plain"
