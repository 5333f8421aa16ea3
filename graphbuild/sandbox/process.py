"""One process that makes a sandbox, our own or bubblewrap, from start to end: its output, its deadline, its death and that of all its descendants.

The step's processes live in a pid namespace whose first process it tells of on a status descriptor. The step is over when *that* one
is gone: the kernel lets it go only after every other process of the namespace. bubblewrap is tied to the thread that started it
(parent-death signal), so all is done in one thread, and in a pid namespace that dies with us: see `lifeline`.
"""

import contextlib
import errno
import functools
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from graphbuild.sandbox import lifeline, trampoline

Reason = Literal["exited", "timeout", "cancelled"]
_BLOCK = 64 * 1024
_TICK = 0.05  # seconds between looks at `cancelled`
_CHILD = re.compile(rb'"child-pid":\s*(\d+)\D')
_EXIT = re.compile(rb'"exit-code":\s*(\d+)\D')
_WAITED = re.compile(re.escape(trampoline.WAITED) + rb"(.{4})", re.DOTALL)
_FAILED = re.compile(re.escape(trampoline.FAILED) + rb"(.{4})([^\n]*)\n", re.DOTALL)
_NO_CHILD = b"\xff" * 4
_BUSY = 100  # attempts


class Request(msgspec.Struct, frozen=True):
    """`command` makes the argv from the descriptors (status, block or -1) that the process inherits, besides `inherited`, and from
    whether it is cut off from the network already.

    `admit` is called with the pid of the namespace's first process while it still waits; None: it does not wait. `contained`: it is no
    bubblewrap but a program of `trampoline`'s, which waits before it makes the namespace. `owner`: the uid that may open the output
    again, by the name /dev/stdout.
    """

    command: Callable[[int, int, bool], list[str]]
    network: lifeline.Network
    env: dict[str, str]
    inherited: Sequence[int]
    timeout: float
    output: int
    interactive: bool
    admit: Callable[[int], None] | None
    contained: bool = False
    owner: int = 0


class Ending(msgspec.Struct, frozen=True):
    """`started` is false where the sandbox gave up before the command; then `tail` is what it said."""

    exit_code: int
    reason: Reason
    started: bool
    tail: str


class _State(msgspec.Struct):
    """What is known of a running step."""

    status: bytes = b""
    first: int = -1  # pidfd of the namespace's first process
    seen: int = 0  # bytes of output
    tail: bytes = b""


Write = Callable[[bytes], None]


def run(request: Request, lifelines: lifeline.Lifelines, writes: tuple[Write, Write | None], cancelled: Callable[[], bool]) -> Ending:
    """Run to the end; whatever happens, nothing is left running. `writes`: for stdout and for stderr; None: both go to the first."""
    return lifelines.within(request.network, lambda alone: _run(request, alone, writes, cancelled))


def _run(request: Request, alone: bool, writes: tuple[Write, Write | None], cancelled: Callable[[], bool]) -> Ending:
    with contextlib.ExitStack() as cleanup:

        def pipe() -> tuple[int, int]:
            read, written = os.pipe2(os.O_CLOEXEC)
            cleanup.callback(os.close, read)
            return read, written

        status, status_end = pipe()
        block = pipe() if request.admit is not None else (-1, -1)
        if block[1] >= 0:
            cleanup.callback(os.close, block[1])
        write, write_error = writes
        output, output_end = (-1, -1) if request.interactive else pipe()
        error, error_end = (-1, output_end) if request.interactive or write_error is None else pipe()
        for end in {output_end, error_end} - {-1} if request.owner else ():
            os.fchown(end, request.owner, -1)
        process = _spawn(request, alone, status_end, block, (output_end, error_end))
        if request.contained and request.admit is not None:
            request.admit(process.pid)
            os.write(block[1], b"1")
        state = _State()
        outputs = {output: write, error: write_error or write}
        outputs.pop(-1, None)
        try:
            reason = _watch(request, process, state, (status, block[1]), (outputs, cancelled))
        finally:
            _end(process, state, status)
        for number, taker in outputs.items():
            _drain(number, functools.partial(_pass_on, limit=request.output, state=state, write=taker))
    tail = state.tail.decode(errors="replace").strip()
    if request.contained:
        return _ending_of_container(state.status, reason, tail)
    found = _EXIT.search(state.status)
    code = int(found[1]) if found else 128 - process.returncode if process.returncode < 0 else process.returncode
    return Ending(code, reason, found is not None or process.returncode < 0, tail)


def _ending_of_container(status: bytes, reason: Reason, tail: str) -> Ending:
    """What the program of `trampoline` reported. It is killed, and says nothing, where the step was."""
    if failed := _FAILED.search(status):
        number = -int.from_bytes(failed[1], sys.byteorder, signed=True)
        return Ending(125, reason, False, f"{failed[2].decode(errors='replace')}: {os.strerror(number)}")
    waited = _WAITED.search(status)
    if waited is None:
        return Ending(128 + signal.SIGKILL, reason, True, tail)
    if waited[1] == _NO_CHILD:
        return Ending(125, reason, False, "the kernel refuses the namespaces that a step needs")
    code = os.waitstatus_to_exitcode(int.from_bytes(waited[1], sys.byteorder))
    return Ending(code if code >= 0 else 128 - code, reason, True, tail)


def _spawn(request: Request, alone: bool, status: int, block: tuple[int, int], outputs: tuple[int, int]) -> subprocess.Popen[bytes]:
    given = [number for number in (status, block[0], *request.inherited) if number >= 0]
    command = request.command(status, block[0], alone)

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            env=request.env,
            cwd="/",
            umask=0o022,
            stdin=None if request.interactive else subprocess.DEVNULL,
            stdout=None if request.interactive else outputs[0],
            stderr=None if request.interactive else outputs[1],
            pass_fds=given,
            start_new_session=not request.interactive,
        )

    try:
        return _started(start)
    finally:
        for number in {status, *outputs}:
            if number >= 0:
                os.close(number)


def _started(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """A program that was just written is busy while a process that another thread is starting still has it open."""
    for _ in range(_BUSY):
        try:
            return start()
        except OSError as error:
            if error.errno != errno.ETXTBSY:
                raise
        time.sleep(0.001)
    return start()


def _watch(
    request: Request,
    process: subprocess.Popen[bytes],
    state: _State,
    descriptors: tuple[int, int],
    callbacks: tuple[Mapping[int, Write], Callable[[], bool]],
) -> Reason:
    status, block = descriptors
    outputs, cancelled = callbacks
    deadline = time.monotonic() + request.timeout if request.timeout else float("inf")
    ended = os.pidfd_open(process.pid)
    poll = select.poll()
    for number in (status, *outputs, ended):
        poll.register(number, select.POLLIN)
    try:
        while True:
            wait = min(_TICK, max(0, deadline - time.monotonic()))
            ready = {number for number, _ in poll.poll(wait * 1000)}
            if status in ready and not _read_status(request, process, state, status, block):
                poll.unregister(status)
            for output in ready.intersection(outputs):
                if not _read_output(request, state, output, outputs[output]):
                    poll.unregister(output)
            if ended in ready:
                return "exited"
            if time.monotonic() >= deadline:
                return "timeout"
            if cancelled():
                return "cancelled"
    finally:
        os.close(ended)


def _read_status(request: Request, process: subprocess.Popen[bytes], state: _State, status: int, block: int) -> bool:
    """Take in what the sandbox reports, which may come in pieces; false at its end."""
    data = os.read(status, 4096)
    state.status += data
    if state.first < 0 and _CHILD.search(state.status) and (pid := lifeline.child_of(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            first = os.pidfd_open(pid)
            if lifeline.child_of(process.pid) != pid:  # it is gone, and its number may be another's by now
                os.close(first)
                return bool(data)
            state.first = first
            if request.admit is not None and not request.contained:
                request.admit(pid)
                os.write(block, b"1")
    return bool(data)


def _read_output(request: Request, state: _State, output: int, write: Callable[[bytes], None]) -> bool:
    data = os.read(output, _BLOCK)
    _pass_on(data, request.output, state, write)
    return bool(data)


def _pass_on(data: bytes, limit: int, state: _State, write: Callable[[bytes], None]) -> None:
    """Hand output on as far as the limit; the rest is read and dropped, so that the step does not block, with one line that says so."""
    before, state.seen = state.seen, state.seen + len(data)
    kept = data[: max(0, limit - before)] if limit else data
    state.tail = (state.tail + kept)[-2000:]
    if kept:
        write(kept)
    if limit and before <= limit < state.seen:
        write(b"\n[graphbuild: output beyond %d bytes is dropped]\n" % limit)


def _end(process: subprocess.Popen[bytes], state: _State, status: int) -> None:
    """Kill what runs and wait until the pid namespace is gone."""
    if process.poll() is None:
        process.kill()
    process.wait()
    _drain(status, lambda data: setattr(state, "status", state.status + data))
    if state.first < 0:
        return  # whatever there is goes with the namespace
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(state.first, signal.SIGKILL)
        select.select([state.first], [], [])
        with contextlib.suppress(ChildProcessError):  # ours only where we are the reaper of orphans (pid 1 of a container)
            os.waitid(os.P_PIDFD, state.first, os.WEXITED | os.WNOHANG)
    finally:
        os.close(state.first)


def _drain(descriptor: int, take: Callable[[bytes], None]) -> None:
    """Read what is left in a pipe, without waiting for writers that are no longer of interest."""
    if descriptor < 0:
        return
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        while data := os.read(descriptor, _BLOCK):
            take(data)
