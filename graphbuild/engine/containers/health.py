"""Whether a container is well: the command of its HEALTHCHECK, run in it again and again, as Docker's engine does.

Times are Docker's: a check every `interval`, from the end of the one before; one that takes longer than `timeout` fails; `retries` failures
in a row make it unhealthy, but none counts within `start_period` of the start until one has succeeded. It is part of the monitor's loop.
"""

import contextlib
import os
import select
import signal
import time

import msgspec

from graphbuild.engine.containers import enter, guide  # noqa: F401 - the guide finds its part loaded
from graphbuild.engine.containers.model import Health, Probe
from graphbuild.engine.containers.shelf import Container
from graphbuild.sandbox.namespace import Identity
from graphbuild.values.config import Healthcheck
from graphbuild.values.errors import GraphbuildError

_SECOND = 10**9
_INTERVAL, _TIMEOUT, _START_INTERVAL, _RETRIES = 30 * _SECOND, 30 * _SECOND, 5 * _SECOND, 3
_OUTPUT = 4096  # bytes of a check that are kept
_KEPT = 5  # checks


class Checks:
    """The checks of one run that began at `started` (nanoseconds of the epoch)."""

    def __init__(self, check: Healthcheck, container: Container, identity: Identity, started: int) -> None:
        self.health = Health()
        self._check = check
        self._container = container
        self._identity = identity
        self._started = started
        self._interval = (check.interval or _INTERVAL) / _SECOND
        self._next = time.monotonic() + self._pause()
        self._running: _Running | None = None

    def _pause(self) -> float:
        if self._check.start_period and self._check.start_interval and self._in_start_period():
            return self._check.start_interval / _SECOND
        return self._interval

    def _in_start_period(self) -> bool:
        return self.health.status == "starting" and time.time_ns() - self._started < self._check.start_period

    def register(self, poll: "select.poll") -> float:
        """Say what to wait for; the seconds until `serve` must be called."""
        if self._running is None:
            return self._next - time.monotonic()
        for number in (self._running.output, self._running.pidfd):
            if number >= 0:
                poll.register(number, select.POLLIN)
        return self._running.deadline - time.monotonic()

    def serve(self, ready: dict[int, int], *, paused: bool) -> bool:
        """Start, watch or end a check; true if `health` changed."""
        running = self._running
        if running is None:
            if time.monotonic() < self._next:
                return False
            if paused:
                self._next = time.monotonic() + 1
                return False
            return self._start()
        if running.output in ready:
            running.read()
        if running.pidfd in ready:
            return self._ended(running.wait(), running)
        if time.monotonic() >= running.deadline:
            running.kill()
            seconds = (self._check.timeout or _TIMEOUT) / _SECOND
            running.said = f"Health check exceeded timeout ({seconds:g}s)".encode()
            return self._ended(-1, running)
        return False

    def _start(self) -> bool:
        kind, *words = self._check.test
        spec = self._container.spec
        argv = tuple(words) if kind == "CMD" else (*(spec.config.shell or ("/bin/sh", "-c")), *words)
        request = enter.Request(argv, dict(spec.config.env), spec.config.user, spec.config.workdir or "/", spec.hostname, spec.capabilities)
        read, end = os.pipe2(os.O_CLOEXEC)
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        state = self._container.state()
        began = time.time_ns()
        try:
            if state is None:
                raise ProcessLookupError
            entered = enter.start(state, request, [null, end, os.dup(end)])
        except (GraphbuildError, OSError) as error:
            os.close(read)
            return self._note(Probe(began, time.time_ns(), -1, str(error)))
        os.set_blocking(read, False)
        deadline = time.monotonic() + (self._check.timeout or _TIMEOUT) / _SECOND
        self._running = _Running(entered.pid, os.pidfd_open(entered.pid), read, deadline, began)
        return False

    def _ended(self, code: int, running: "_Running") -> bool:
        running.read()
        running.close()
        self._running = None
        return self._note(Probe(running.began, time.time_ns(), code, running.said.decode(errors="replace")))

    def _note(self, probe: Probe) -> bool:
        health = self.health
        log = (*health.log, probe)[-_KEPT:]
        if probe.exit_code == 0:
            self.health = Health("healthy", 0, log)
        elif self._in_start_period():
            self.health = msgspec.structs.replace(health, log=log)
        else:
            failing = health.failing + 1
            unhealthy = failing >= (self._check.retries or _RETRIES)
            self.health = Health("unhealthy" if unhealthy else health.status, failing, log)
        self._next = time.monotonic() + self._pause()
        return True

    def end(self) -> None:
        """Give up a check that runs."""
        if self._running is not None:
            self._running.kill()
            self._running.close()
            self._running = None


class _Running:
    """A check: `pid` is its guide (see `enter`)."""

    def __init__(self, pid: int, pidfd: int, output: int, deadline: float, began: int) -> None:
        self.pid, self.pidfd, self.output, self.deadline, self.began = pid, pidfd, output, deadline, began
        self.said = b""

    def read(self) -> None:
        while self.output >= 0:
            try:
                data = os.read(self.output, 64 * 1024)
            except BlockingIOError:
                return
            if not data:
                os.close(self.output)
                self.output = -1
            self.said = (self.said + data)[:_OUTPUT]

    def wait(self) -> int:
        return enter.exit_code(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        """The guide's child is what must end; the guide ends with it."""
        from graphbuild.sandbox.lifeline import child_of

        child = child_of(self.pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child or self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)

    def close(self) -> None:
        os.close(self.pidfd)
        if self.output >= 0:
            os.close(self.output)
            self.output = -1
