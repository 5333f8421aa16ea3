"""Pid namespaces that sandboxes are started in, and that die with this process, kill -9 included.

Parent-death signals leave gaps while a sandbox starts: who dies then leaves it behind, or the step. Here the kernel has
no gap: the namespace's first process waits for the end of a pipe that only this process holds open; when it goes, everything in
the namespace is killed. A thread that has such a namespace for its children can neither start threads nor (as an ordinary
user) get rid of it, so it is a thread of its own, and serves one step. The next one is made while a step runs.
"""

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Generic, Literal, TypeVar

from graphbuild.sandbox import kernel

_FIRST = "/bin/cat"  # it does nothing but wait for the end of its input

Network = Literal["none", "host"]
Result = TypeVar("Result")


class Lifelines:
    """The source of namespaces for one build. `within` may be called from several threads at once."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._spares: dict[Network, _Lifeline] = {}

    def within(self, network: Network, work: Callable[[bool], Result]) -> Result:
        """Do `work` in a thread: the processes that it starts are dead when this returns, or when this process is.

        Its argument is whether they are cut off from the network already, by a namespace of their own ("none").
        """
        with self._mutex:
            ours = self._spares.pop(network, None) or _Lifeline(network)
            self._spares[network] = _Lifeline(network)
        task = _Task(work)
        ours.serve(task.perform)
        return task.result()

    def close(self) -> None:
        """End what was made in advance."""
        with self._mutex:
            for spare in self._spares.values():
                spare.serve(None)
            self._spares.clear()


class _Task(Generic[Result]):
    """Work whose result, or error, is taken in another thread."""

    def __init__(self, work: Callable[[bool], Result]) -> None:
        self._work = work
        self._results: list[Result] = []
        self._errors: list[BaseException] = []

    def perform(self, alone: bool) -> None:
        try:
            self._results.append(self._work(alone))
        except BaseException as error:  # noqa: BLE001 - raised again, in the thread that asked
            self._errors.append(error)

    def result(self) -> Result:
        for error in self._errors:
            raise error
        return self._results[0]


class _Lifeline:
    """One namespace and its thread, which wait for the one thing that they are for."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._work: SimpleQueue[Callable[[bool], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def serve(self, work: Callable[[bool], None] | None) -> None:
        """Do the work (None: nothing) and end; returns when all is gone."""
        self._work.put(work)
        self._thread.join()

    def _wait(self) -> None:
        alone = self._network == "none" and _cut_off()
        with _namespace():
            work = self._work.get()
            if work is not None:
                work(alone)


def _cut_off() -> bool:
    """Give this thread, and what it starts, a network with nothing but `lo`. False where the kernel refuses: the sandbox says why."""
    try:
        kernel.unshare(kernel.CLONE_NEWNET)
        kernel.raise_loopback()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _namespace() -> Iterator[None]:
    """A pid namespace for what this thread starts. Where the kernel refuses one, the sandbox meets the same, and says so."""
    try:
        kernel.unshare(kernel.CLONE_NEWPID)
    except OSError:
        yield
        return
    read, write = os.pipe2(os.O_CLOEXEC)
    null = subprocess.DEVNULL
    first = subprocess.Popen([_FIRST], stdin=read, stdout=null, stderr=null, env={}, cwd="/", start_new_session=True)
    os.close(read)
    try:
        yield
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
