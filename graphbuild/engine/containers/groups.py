"""A container's control groups: what limits it, and what it is frozen by, where this user may make some.

A group of v2 for freezing, also beside v1; those of v1 for memory and processes where that is what there is. They are named after
the container, so whoever finds it dead removes them.
"""

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

from graphbuild.sandbox import limits

_WAIT = 0.002
_LONGEST = 5.0  # seconds


def make(container: str, memory: int, processes: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Make the groups of a container; their folders, and what could not be limited."""
    name = f"graphbuild-container-{container[:32]}"
    folders = [folder for folder in [_first("", name, ("cgroup.freeze",))] if folder]
    missing = []
    wanted = (("memory", memory, ("memory.max", "memory.limit_in_bytes")), ("pids", processes and processes + 1, ("pids.max",)))
    for controller, value, files in wanted:
        if not value:
            continue
        folder = _first(controller, name, files)
        if folder is None or not _limit(folder, files, value):
            missing.append(controller)
        if folder is not None and folder not in folders:
            folders.append(folder)
    return tuple(folders), tuple(missing)


def _first(controller: str, name: str, files: Sequence[str]) -> str | None:
    for parent in limits.places(controller):
        folder = f"{parent}/{name}"
        with contextlib.suppress(OSError):
            os.makedirs(folder, exist_ok=True)
            if any(os.path.exists(f"{folder}/{file}") for file in files):
                return folder
            os.rmdir(folder)
    return None


def _limit(folder: str, files: Sequence[str], value: int) -> bool:
    file = next(file for file in files if os.path.exists(f"{folder}/{file}"))
    try:
        Path(folder, file).write_text(str(value), encoding="ascii")
        if file == "memory.max":
            with contextlib.suppress(OSError):
                Path(folder, "memory.swap.max").write_text("0", encoding="ascii")
    except OSError:
        return False
    return True


def enter(folders: Sequence[str], pid: int) -> None:
    """Move a process into the groups; those that cannot be entered are left."""
    for folder in folders:
        with contextlib.suppress(OSError):
            Path(folder, "cgroup.procs").write_text(str(pid), encoding="ascii")


def freeze(folders: Sequence[str]) -> bool:
    """Stop all processes of the groups; False where there is no group that can."""
    return _set_frozen(folders, frozen=True)


def thaw(folders: Sequence[str]) -> bool:
    return _set_frozen(folders, frozen=False)


def _set_frozen(folders: Sequence[str], *, frozen: bool) -> bool:
    for folder in folders:
        file = Path(folder, "cgroup.freeze")
        if file.exists():
            with contextlib.suppress(OSError):  # the container has ended meanwhile
                file.write_text("1" if frozen else "0", encoding="ascii")
                wanted, limit = f"frozen {int(frozen)}", time.monotonic() + _LONGEST
                while wanted not in Path(folder, "cgroup.events").read_text(encoding="ascii") and time.monotonic() < limit:
                    time.sleep(_WAIT)
            return True
    return False


def out_of_memory(folders: Sequence[str]) -> bool:
    return limits.ran_out_of_memory(limits.Groups(tuple(folders)))


def remove(container: str, folders: Sequence[str] = ()) -> None:
    """Remove a dead container's groups: those that are known, and those that somebody was killed over before he said so."""
    name = f"graphbuild-container-{container[:32]}"
    guessed = [f"{parent}/{name}" for controller in ("", "memory", "pids") for parent in limits.places(controller)]
    there = [folder for folder in {*folders, *guessed} if os.path.isdir(folder)]
    thaw(there)  # whoever led a command into it stands still with it, and would for ever
    limits.remove(limits.Groups(tuple(there)))
