"""A TCP proxy on loopback that hangs up: after so many bytes of what the server, or the client, says. Knows nothing of HTTP."""

import contextlib
import socket
import threading


class CuttingProxy:
    """`cuts` is used up, one a connection: None passes everything; ("server", n) and ("client", n) end it after n bytes from there."""

    def __init__(self, port, cuts=()):
        self.port, self.cuts = port, list(cuts)
        self.connections = 0
        self.passed = {"server": 0, "client": 0}  # bytes, over all connections
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.lock = threading.Lock()
        self.open = set()
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        for each in list(self.open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
                cut = self.cuts.pop(0) if self.cuts else None
            server = socket.create_connection(("127.0.0.1", self.port))
            pair = {client, server}
            self.open |= pair
            for side, source, target in (("client", client, server), ("server", server, client)):
                limit = cut[1] if cut and cut[0] == side else None
                threading.Thread(target=self._pump, args=(side, source, target, limit, pair), daemon=True).start()

    def _pump(self, side, source, target, limit, pair):
        left = limit
        try:
            while data := source.recv(65536):
                data = data if left is None else data[:left]
                target.sendall(data)
                with self.lock:
                    self.passed[side] += len(data)
                left = None if left is None else left - len(data)
                if left == 0:
                    break
        except OSError:
            pass
        if limit != 0 or side == "server":
            for each in pair:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        for each in pair if limit is not None else ():
            each.close()
        with contextlib.suppress(KeyError):
            self.open.difference_update(pair)
