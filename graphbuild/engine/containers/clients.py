"""Who is attached to a container: what it says goes to all of them, what they say goes to its standard input.

A client that reads slowly slows the container down, as a pipe would; one that has gone is forgotten.
"""

import contextlib
import os
import select
import socket
import time

from graphbuild.engine.containers import devices, wire

_CROWD = 1 << 20  # bytes that wait for one client
_BLOCK = 64 * 1024
_LAST = 10.0  # seconds that a client has for what was said last


class _Client:
    def __init__(self, endpoint: socket.socket) -> None:
        self.endpoint = endpoint
        self.frames = wire.Frames()
        self.waiting = b""


class Clients:
    """`stdin`: where the input is written to, -1 for nowhere. `once`: it ends when the first client that was attached to it has gone."""

    def __init__(self, stdin: int, *, once: bool = False, tty: bool = False, terminal: int = -1) -> None:
        self.stdin = stdin
        self.endpoint: socket.socket | None = None
        self._once = once
        self._tty = tty
        self._terminal = terminal
        self._clients: dict[int, _Client] = {}
        self._input = b""
        self._ended = False

    def add(self, endpoint: socket.socket) -> None:
        endpoint.setblocking(False)
        self._clients[endpoint.fileno()] = _Client(endpoint)

    @property
    def crowded(self) -> bool:
        return any(len(client.waiting) > _CROWD for client in self._clients.values())

    def register(self, poll: "select.poll") -> None:
        if self.endpoint is not None:
            poll.register(self.endpoint, select.POLLIN)
        for number, client in self._clients.items():
            reads = select.POLLIN if len(self._input) < _CROWD else 0
            poll.register(number, reads | (select.POLLOUT if client.waiting else 0))
        if self._input and self.stdin >= 0 and not self._tty:
            poll.register(self.stdin, select.POLLOUT)
        elif self._input and self.stdin >= 0:
            poll.register(self.stdin, select.POLLIN | select.POLLOUT)

    def serve(self, ready: dict[int, int]) -> None:
        for number in [number for number in self._clients if number in ready]:
            if ready[number] & (select.POLLIN | select.POLLHUP | select.POLLERR):
                self._read(number)
            if number in self._clients and ready[number] & select.POLLOUT:
                self._write(number)
        if self.stdin in ready and ready[self.stdin] & (select.POLLOUT | select.POLLERR | select.POLLHUP):
            self._feed()
        if self.endpoint is not None and self.endpoint.fileno() in ready:
            with contextlib.suppress(OSError):
                self.add(self.endpoint.accept()[0])

    def send(self, data: bytes) -> None:
        for number, client in list(self._clients.items()):
            client.waiting += data
            self._write(number)

    def flush(self) -> None:
        """Give every client what waits for it."""
        limit = time.monotonic() + _LAST
        while any(client.waiting for client in self._clients.values()) and time.monotonic() < limit:
            poll = select.poll()
            for number, client in self._clients.items():
                if client.waiting:
                    poll.register(number, select.POLLOUT)
            for number, _ in poll.poll(100):
                self._write(number)
        for number in list(self._clients):
            self._forget(number)

    def _read(self, number: int) -> None:
        client = self._clients[number]
        try:
            data = client.endpoint.recv(_BLOCK)
            if not data:
                self._forget(number)
                return
            for kind, content in client.frames.feed(data):
                self._take(kind, content)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self._forget(number)

    def _take(self, kind: int, content: bytes) -> None:
        if kind == wire.STDIN and self.stdin >= 0 and not self._ended:
            self._input += content
            self._feed()
        elif kind == wire.EOF and self._once:
            self._end_input()
        elif kind == wire.SIZE and self._terminal >= 0:
            with contextlib.suppress(OSError, ValueError):
                devices.set_size(self._terminal, *wire.parse_size(content))

    def _feed(self) -> None:
        try:
            while self._input:
                self._input = self._input[os.write(self.stdin, self._input[:_BLOCK]) :]
        except BlockingIOError:
            return
        except OSError:  # nobody reads it
            self._input, self._ended = b"", True
        if self._ended:
            self._close()

    def _end_input(self) -> None:
        self._ended = True
        if not self._input:
            self._close()

    def _close(self) -> None:
        if self.stdin >= 0 and not self._tty:
            os.close(self.stdin)
            self.stdin = -1

    def _write(self, number: int) -> None:
        client = self._clients[number]
        try:
            while client.waiting:
                client.waiting = client.waiting[client.endpoint.send(client.waiting) :]
        except BlockingIOError:
            return
        except OSError:
            self._forget(number)

    def _forget(self, number: int) -> None:
        client = self._clients.pop(number)
        client.endpoint.close()
        if self._once and not self._clients and self.stdin >= 0:
            self._end_input()
