"""Moving bytes between a command's own streams and a container: by a client's socket (run, start, attach), or by pipes or a terminal (exec)."""

import contextlib
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from graphbuild.engine.containers import enter, wire

if TYPE_CHECKING:
    from graphbuild.engine.containers.terminal import Leaving

_BLOCK = 64 * 1024
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class Detached(Exception):  # noqa: N818 - the user pressed the keys
    """The container goes on."""


def attach(client: socket.socket, *, stdin: bool, tty: bool, keys: bytes) -> int | None:
    """Be a client until the container ends: its exit code, None where the monitor was killed. Detached when the keys were pressed."""
    from graphbuild.engine.containers import terminal

    with contextlib.ExitStack() as held:
        if tty and stdin and os.isatty(0):
            held.enter_context(terminal.raw(0, lambda rows, columns: client.sendall(wire.size(rows, columns))))
        elif tty and os.isatty(1):
            client.sendall(wire.size(*terminal.size_of(1)))
        return _attached(client, stdin=stdin, leaving=terminal.Leaving(keys if tty else b""))


def _attached(client: socket.socket, *, stdin: bool, leaving: "Leaving") -> int | None:
    frames = wire.Frames()
    poll = select.poll()
    poll.register(client, select.POLLIN)
    if stdin:
        poll.register(0, select.POLLIN)
    while True:
        ready = dict(poll.poll())
        if client.fileno() in ready:
            try:
                data = client.recv(_BLOCK)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            for kind, content in frames.feed(data):
                if kind == wire.EXIT:
                    return int(struct.unpack("<i", content)[0])
                _write_all(2 if kind == wire.STDERR else 1, content)
        if 0 in ready:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its end is on its way
                if not _pass_input(client, leaving):
                    poll.unregister(0)


def _pass_input(client: socket.socket, leaving: "Leaving") -> bool:
    """False at the end of the input."""
    try:
        data = os.read(0, _BLOCK)
    except OSError:
        data = b""
    typed, leave = leaving.feed(data)
    if typed:
        client.sendall(wire.frame(wire.STDIN, typed))
    if leave:
        raise Detached
    if not data:
        client.sendall(wire.frame(wire.EOF))
    return bool(data)


def _write_all(number: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(number, data) :]
        except BlockingIOError:  # somebody made our standard output so
            select.select([], [number], [])


@contextlib.contextmanager
def passing_on(send: Callable[[int], None]) -> Iterator[None]:
    """Signals that this process gets go to the container, for as long as the context lasts."""
    before = {number: signal.signal(number, lambda got, _frame: send(got)) for number in _PASSED_ON}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_entered(entered: enter.Entered, outputs: dict[int, int], stdin: int) -> int:
    """Stay with a process that was entered until it ends: its exit code. `outputs`: what is read → where it goes; `stdin`: where ours
    goes, -1 for nowhere.
    """
    with contextlib.ExitStack() as held:
        if entered.master >= 0:
            from graphbuild.engine.containers import devices, terminal

            outputs = {entered.master: 1}
            if os.isatty(0):
                held.enter_context(terminal.raw(0, lambda rows, columns: devices.set_size(entered.master, rows, columns)))
        return _with_process(entered.pid, outputs, stdin)


def _with_process(pid: int, outputs: dict[int, int], stdin: int) -> int:
    ended = os.pidfd_open(pid)
    poll = select.poll()
    for number in (ended, *outputs):
        poll.register(number, select.POLLIN)
    if stdin >= 0:
        poll.register(0, select.POLLIN)
    open_outputs = dict(outputs)
    while True:
        ready = dict(poll.poll())
        for number in [number for number in open_outputs if number in ready]:
            if not _copy(number, open_outputs[number]):
                poll.unregister(number)
                del open_outputs[number]
        if 0 in ready and not _copy_input(stdin):
            poll.unregister(0)
        if ended in ready:
            break
    for number, to in open_outputs.items():
        os.set_blocking(number, False)
        with contextlib.suppress(BlockingIOError):
            while _copy(number, to):
                pass
    sys.stdout.flush()
    return enter.exit_code(os.waitpid(pid, 0)[1])


def _copy(number: int, to: int) -> bool:
    try:
        data = os.read(number, _BLOCK)
    except BlockingIOError:
        raise
    except OSError:  # EIO: of a terminal that nobody has open any more
        return False
    _write_all(to, data)
    return bool(data)


def _copy_input(stdin: int) -> bool:
    try:
        data = os.read(0, _BLOCK)
        _write_all(stdin, data)
    except OSError:  # nobody reads any more
        return False
    if not data and not os.isatty(stdin):
        os.close(stdin)
    return bool(data)
