"""Time one command and see how much memory it took; medians of interleaved runs. Knows nothing of who is measured."""

import mmap
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

_TOUCHED = 3 << 30  # bytes: more than a turn takes


class Command(msgspec.Struct, frozen=True):
    """An argv and the variables it gets on top of ours."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()


class Run(msgspec.Struct, frozen=True):
    """One run: wall-clock seconds, the largest resident size, in KiB, of the process or of any one it waited for, and the end of its output."""

    seconds: float
    peak: int
    said: str = ""


class CommandError(Exception):
    """A measured command failed; its text is the command's end of output."""


def run(command: Command, folder: Path) -> Run:
    """Run a command in `folder`, standard input empty; should it fail, the error has its output."""
    environment = {**os.environ, **dict(command.env)}
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(command.argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode(errors="replace")[-2000:]
        if process.returncode:
            raise CommandError(f"{' '.join(command.argv)}: exit {process.returncode}\n{said}")
    return Run(seconds, usage.ru_maxrss, said)


def touch_memory() -> None:
    """Write to memory that is then free again, in a process of its own: what is measured inherits the peak of who starts it.

    The host of a virtual machine gives memory at its first touch, and takes some microseconds for each page: on such a machine writing
    200 MB can take half a second that is nobody's work, and that the next one, who gets the same pages, does not pay.
    """
    process = os.fork()
    if process:
        os.waitpid(process, 0)
        return
    try:
        size = min(_TOUCHED, os.sysconf("SC_AVPHYS_PAGES") * mmap.PAGESIZE // 2)
        memory = mmap.mmap(-1, size)
        for at in range(0, size, mmap.PAGESIZE):
            memory[at] = 1
    finally:
        os._exit(0)


def interleaved(contestants: Mapping[str, Callable[[int], Mapping[str, Run]]], rounds: int) -> dict[str, dict[str, list[Run]]]:
    """contestant → phase → its runs. Every contestant has its turn in every round (A B A B), so that drift meets all alike.

    A contestant is called with the number of the round and returns its phases (cold, null …).
    """
    results: dict[str, dict[str, list[Run]]] = {name: {} for name in contestants}
    for number in range(rounds):
        for name, turn in contestants.items():
            os.sync()  # what the one before left dirty is not this one's to write
            touch_memory()
            for phase, one in turn(number).items():
                results[name].setdefault(phase, []).append(one)
    return results


def median(runs: Sequence[Run]) -> float:
    return statistics.median(one.seconds for one in runs)


def peak(runs: Sequence[Run]) -> float:
    """The largest peak of all runs, in MiB."""
    return max(one.peak for one in runs) / 1024
