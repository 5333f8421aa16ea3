"""A pid namespace that a sandbox is started in, and that dies with this process, kill -9 included.

bubblewrap's parent-death signals leave gaps while it starts: who dies then leaves it behind, or the step. Here the kernel has
no gap: the namespace's first process waits for the end of a pipe that only this process holds open; when it goes, everything in
the namespace is killed. A thread that has such a namespace for its children can neither start threads nor (as an ordinary
user) get rid of it, so it is a thread of its own.
"""

import os
import subprocess
import threading
from collections.abc import Callable
from typing import TypeVar

from graphbuild.sandbox import kernel

_FIRST = "/bin/cat"  # it does nothing but wait for the end of its input

Result = TypeVar("Result")


def within(work: Callable[[], Result]) -> Result:
    """Do `work` in a thread: the processes that it starts are dead when this returns, or when this process is."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def serve() -> None:
        try:
            results.append(_with_namespace(work))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    thread.join()
    for error in errors:
        raise error
    return results[0]


def _with_namespace(work: Callable[[], Result]) -> Result:
    try:
        kernel.unshare(kernel.CLONE_NEWPID)
    except OSError:
        return work()  # bubblewrap meets the same, and says so
    read, write = os.pipe2(os.O_CLOEXEC)
    null = subprocess.DEVNULL
    first = subprocess.Popen([_FIRST], stdin=read, stdout=null, stderr=null, env={}, cwd="/", start_new_session=True)
    os.close(read)
    try:
        return work()
    finally:
        os.close(write)
        first.kill()
        first.wait()


def child_of(pid: int) -> int:
    """The number that the only child of a process has here, whatever the process itself calls it; 0 for none."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])
    except (OSError, IndexError):
        return 0
