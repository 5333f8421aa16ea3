"""Limits on a step's memory and processes, by control groups (v2, or v1's memory and pids) where this user may make them.

One group a running step, named after this process and the thread that runs the step; groups that dead processes left are
removed on the way. Without a writable group, processes are bounded by RLIMIT_NPROC (which root of the machine ignores) and memory is not: the notes say so.
"""

import contextlib
import errno
import os
import re
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from graphbuild.sandbox.job import Limits

_NAME = re.compile(r"graphbuild-(\d+)-\d+")
_WAIT = 0.002
_LONGEST = 5.0  # seconds


class Hierarchy(msgspec.Struct, frozen=True):
    """A mounted hierarchy and this process's place in it. `controllers` is () for v2, whose groups say what they have."""

    controllers: tuple[str, ...]
    mount: str
    own: str


class Groups(msgspec.Struct, frozen=True):
    """The groups of one step, and what could not be limited."""

    folders: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def parse_hierarchies(mountinfo: str, cgroup: str) -> list[Hierarchy]:
    """From the texts of /proc/self/mountinfo and /proc/self/cgroup; v1 hierarchies first, as they are the ones in use on a hybrid."""
    own = {fields[1]: fields[2] for line in cgroup.splitlines() if len(fields := line.split(":", 2)) == 3}
    found = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        place, kind = left.split(), right.split()
        if len(place) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        names = () if kind[0] == "cgroup2" else tuple(name for name in ("memory", "pids") if name in kind[2].split(","))
        path = own.get("") if kind[0] == "cgroup2" else next((path for key, path in own.items() if set(names) & set(key.split(","))), None)
        if path is not None and (names or kind[0] == "cgroup2"):
            root = place[3].rstrip("/")
            found.append(Hierarchy(names, place[4], path.removeprefix(root) if path.startswith(root) else "/"))
    return sorted(found, key=lambda hierarchy: not hierarchy.controllers)


def create(limits: Limits) -> Groups:
    """Make the groups that hold `limits`; what cannot be held is in `missing` ("memory", "processes")."""
    wanted = [
        (controller, name, value)
        for controller, name, value in (("memory", "memory", limits.memory), ("pids", "processes", limits.processes))
        if value
    ]
    hierarchies = parse_hierarchies(_text("/proc/self/mountinfo"), _text("/proc/self/cgroup")) if wanted else []
    folders: list[str] = []
    missing: list[str] = []
    for controller, name, value in wanted:
        folder = next((made for parent in _parents(hierarchies, controller) if (made := _limited(parent, controller, value))), None)
        if folder is None:
            missing.append(name)
        elif folder not in folders:
            folders.append(folder)
    return Groups(tuple(folders), tuple(missing))


def enter(groups: Groups, pid: int) -> None:
    """Move a process, before it has children, into the groups."""
    for folder in groups.folders:
        Path(folder, "cgroup.procs").write_text(str(pid), encoding="ascii")


def ran_out_of_memory(groups: Groups) -> bool:
    """Whether the kernel killed a process of the groups for want of memory."""
    for folder in groups.folders:
        for name in ("memory.events", "memory.oom_control"):
            if re.search(r"^oom_kill [1-9]", _text(f"{folder}/{name}"), re.MULTILINE):
                return True
    return False


def remove(groups: Groups) -> None:
    """Remove the groups; their processes are killed, but a busy machine may take a while to let them die."""
    limit = time.monotonic() + _LONGEST
    for folder in groups.folders:
        while not _removed(folder) and time.monotonic() < limit:
            time.sleep(_WAIT)


def _removed(folder: str) -> bool:
    """Also where nothing that we wait for would remove it."""
    try:
        os.rmdir(folder)
    except OSError as error:
        return error.errno != errno.EBUSY
    return True


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def _parents(hierarchies: Sequence[Hierarchy], controller: str) -> list[str]:
    """Where a group may be made: v1 below our own; v2 beside our own (a group with processes delegates nothing), else below it."""
    parents = []
    for hierarchy in hierarchies:
        own = hierarchy.mount + hierarchy.own.rstrip("/")
        if controller in hierarchy.controllers:
            parents.append(own)
        elif not hierarchy.controllers:
            parents += [os.path.dirname(own), own] if hierarchy.own != "/" else [own]
    return parents


def _limited(parent: str, controller: str, value: int) -> str | None:
    """A group of this thread below `parent` with that limit, or None where it cannot be."""
    _sweep(parent)
    folder = f"{parent}/graphbuild-{os.getpid()}-{threading.get_native_id()}"
    files = ("memory.max", "memory.limit_in_bytes") if controller == "memory" else ("pids.max",)
    try:
        os.makedirs(folder, exist_ok=True)
        name = next(name for name in files if os.path.exists(f"{folder}/{name}"))
        Path(folder, name).write_text(str(value), encoding="ascii")
        with contextlib.suppress(OSError):
            if name == "memory.max":
                Path(folder, "memory.swap.max").write_text("0", encoding="ascii")
    except (OSError, StopIteration):
        with contextlib.suppress(OSError):
            os.rmdir(folder)
        return None
    return folder


def _sweep(parent: str) -> None:
    with contextlib.suppress(OSError):
        for name in os.listdir(parent):
            found = _NAME.fullmatch(name)
            if found and not os.path.exists(f"/proc/{found[1]}"):
                with contextlib.suppress(OSError):
                    os.rmdir(f"{parent}/{name}")


def places(controller: str) -> list[str]:
    """Folders in which a group for "memory" or "pids" may be made, the best first; "" for a group of v2, whatever it controls."""
    return _parents(parse_hierarchies(_text("/proc/self/mountinfo"), _text("/proc/self/cgroup")), controller)
