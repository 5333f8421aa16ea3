"""Connections over HTTP and HTTPS: one request and its answer at a time, on sockets that are kept and used again by any thread.

Invariants: no wait for the other side is longer than a bounded time, an answer's header included, however slowly it drips; what goes
wrong between two machines is a TransientError, what another attempt cannot mend a GraphbuildError. Follows no redirect, retries nothing
but a request on a connection that was closed while it was idle. Proxies come from the environment.

On the standard library's http.client: urllib3, requests and httpx cost 40 to 110 ms to import, which is more than most
downloads from a near mirror take, and bring pools and decoders that one GET does not need. Loaded only by who fetches.
"""

import base64
import contextlib
import http.client
import io
import math
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from graphbuild.network.seam import failure

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

CHUNK = 1 << 18
_IDLE = 8  # connections kept for later, a host
_HEADER = 1 << 20  # bytes that an answer's header may have, and those that come before it
_PATIENCE = 30.0  # seconds, where a socket has no timeout
_AGENT = "graphbuild"

Body = bytes | Callable[[], Iterable[bytes]]  # what is made anew for each attempt has its Content-Length among the headers


class TransientError(Exception):
    """A fault that another attempt may not have. `pause`: seconds that the server asked for."""

    def __init__(self, cause: str, pause: float = 0) -> None:
        super().__init__(cause)
        self.pause = pause


class _Patient(io.RawIOBase):
    """A socket's raw reader that gives up while a header has not come to its end in time, or in _HEADER bytes.

    The standard library's timeout begins anew with every byte, and it takes any number of answers that say "100 Continue".
    """

    def __init__(self, raw: Any, patience: float) -> None:
        self._raw = raw
        self._deadline = time.monotonic() + patience
        self._left = float(_HEADER)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int | None:
        if time.monotonic() > self._deadline:
            raise TimeoutError
        if self._left <= 0:
            raise http.client.LineTooLong("header")
        count: int | None = self._raw.readinto(buffer)
        self._left -= count or 0
        return count

    def relax(self) -> None:
        """The header is there: who reads the body looks at the clock, and counts."""
        self._deadline = self._left = math.inf

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _Header:
    """The lines of a header. The standard library takes one that was cut off for a whole one, and so what follows for all of it."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def readline(self, limit: int) -> bytes:
        line: bytes = self._whole.readline(limit)
        if not line.endswith(b"\n") and len(line) < limit:
            raise http.client.RemoteDisconnected("the connection ended within a header")
        return line

    def close(self) -> None:
        self._whole.close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self._patient = _Patient(sock.makefile("rb", 0), 2 * (sock.gettimeout() or _PATIENCE))
        self.fp.close()
        self.fp = io.BufferedReader(self._patient, CHUNK)

    def begin(self) -> None:
        whole: Any = self.fp
        header: Any = _Header(whole)
        self.fp = header
        try:
            super().begin()
        finally:
            if self.fp is header:
                self.fp = whole
        self._patient.relax()


class Connections:
    """`timeout` (seconds) bounds every wait for the other side. `trust`: files of further CAs, by host[:port]."""

    def __init__(self, timeout: float = 30, trust: Mapping[str, str] | None = None) -> None:
        self._timeout = timeout
        self._trust = trust or {}
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._proxies: dict[str, str] | None = None

    @contextlib.contextmanager
    def exchange(self, method: str, url: str, headers: Mapping[str, str], body: Body | None = None) -> Iterator[http.client.HTTPResponse]:
        """Send a request and give the response; the connection is kept if the response was read to its end.

        A user and a password in the URL go into the request's header. An answer that comes before all of the body was taken counts.
        """
        parts = parsed(url)
        proxy = self._proxy(parts)
        key = (f"{parts.scheme}://{parts.netloc}", proxy)
        connection, response = self._request(method, parts, proxy, key, headers, body)
        kept = False
        try:
            yield response
            with faults(url):
                if not response.isclosed() and 0 <= (response.length if response.length is not None else -1) <= CHUNK:
                    response.read()  # a redirect's or an error's page: cheaper than another connection
            kept = response.isclosed() and not response.will_close
        finally:
            response.close()
            self._keep(key, connection, kept=kept)

    def close(self) -> None:
        """End the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _request(
        self,
        method: str,
        parts: urllib.parse.SplitResult,
        proxy: str,
        key: tuple[str, str],
        headers: Mapping[str, str],
        body: Body | None,
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        if proxy and parts.scheme == "http":
            target = f"http://{parts.netloc.rpartition('@')[2]}{target}"
        sent = {"Accept-Encoding": "identity", "User-Agent": _AGENT, **authorization(parts, "Authorization"), **headers}
        if proxy and parts.scheme == "http":
            sent |= authorization(parsed(proxy), "Proxy-Authorization")
        while True:
            with self._lock:
                idle = self._idle.get(key)
                connection = idle.pop() if idle else None
            old = connection is not None
            with faults(f"{parts.scheme}://{parts.netloc}{target}"):
                connection = connection or self._connect(parts, proxy)
                try:
                    return connection, _answer(connection, method, target, sent, body)
                except BaseException as error:
                    connection.close()
                    # An idle connection may have been closed meanwhile; that is no fault. But who sends a part of something larger
                    # must find out first what came of it.
                    if not old or callable(body) or not isinstance(error, (OSError, http.client.HTTPException)):
                        raise

    def _keep(self, key: tuple[str, str], connection: http.client.HTTPConnection, *, kept: bool) -> None:
        with self._lock:
            idle = self._idle.setdefault(key, [])
            if kept and len(idle) < _IDLE:
                idle.append(connection)
                return
        connection.close()

    def _connect(self, parts: urllib.parse.SplitResult, proxy: str) -> http.client.HTTPConnection:
        through = parsed(proxy) if proxy else parts
        host, port = through.hostname or "", through.port
        connection: http.client.HTTPConnection
        if parts.scheme == "http":
            connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        else:
            context = self._context(parts.netloc.rpartition("@")[2])
            connection = http.client.HTTPSConnection(host, port or (80 if proxy else 443), timeout=self._timeout, context=context)
            if proxy:
                connection.set_tunnel(parts.hostname or "", parts.port or 443, authorization(through, "Proxy-Authorization"))
        connection.response_class = _Response
        return connection

    def _context(self, place: str) -> ssl.SSLContext:
        file = self._trust.get(place, "")
        with self._lock:
            known = self._contexts.get(file)
            if known is None:
                known = ssl.create_default_context()
                if file:
                    _trust(known, file)
                self._contexts[file] = known
            return known

    def _proxy(self, parts: urllib.parse.SplitResult) -> str:
        """The proxy's URL, or ""."""
        if self._proxies is None:
            self._proxies = urllib.request.getproxies_environment()
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all") or ""
        if not proxy or urllib.request.proxy_bypass_environment(parts.netloc.rpartition("@")[2], self._proxies):  # type: ignore[attr-defined]
            return ""
        return proxy if "://" in proxy else f"http://{proxy}"


def _answer(
    connection: http.client.HTTPConnection, method: str, target: str, headers: Mapping[str, str], body: Body | None
) -> http.client.HTTPResponse:
    try:
        connection.request(method, target, body=body() if callable(body) else body, headers=headers)
    except (BrokenPipeError, ConnectionResetError):
        if body is None:
            raise
        # The server may have said no (401, 413) and hung up while we were still sending: what it said is the news.
        with contextlib.suppress(OSError, http.client.HTTPException):
            return connection.getresponse()
        raise
    return connection.getresponse()


def _trust(context: ssl.SSLContext, file: str) -> None:
    try:
        context.load_verify_locations(file)
    except (OSError, ssl.SSLError) as error:
        raise failure(file, f"no CA can be read from it: {error.strerror or error}", hint="a file of certificates in PEM") from None


def parsed(url: str) -> urllib.parse.SplitResult:
    """GraphbuildError for what is not an http(s) URL, or could smuggle a header."""
    try:
        parts = urllib.parse.urlsplit(url)
        bad = parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or parts.port == 0
    except ValueError:
        bad = True
    if bad or any(character <= " " or character == "\x7f" for character in url):
        raise failure(url, "is not a URL that can be fetched", hint="http:// or https://, other characters than ASCII percent-encoded")
    return parts


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what credentials belong to."""
    parts = parsed(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def authorization(parts: urllib.parse.SplitResult, header: str) -> dict[str, str]:
    """The header that a user and a password in a URL become."""
    if parts.username is None:
        return {}
    return basic(urllib.parse.unquote(parts.username), urllib.parse.unquote(parts.password or ""), header)


def basic(user: str, password: str, header: str = "Authorization") -> dict[str, str]:
    return {header: "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@contextlib.contextmanager
def faults(url: str) -> Iterator[None]:
    """What can go wrong between two machines, as faults to retry; a bad certificate is none, nor a server that speaks no TLS."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise failure(
            url.partition("?")[0], f"certificate refused: {error.verify_message}", hint="SSL_CERT_FILE names a file of further CAs"
        ) from None
    except ssl.SSLError as error:
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
            raise failure(
                url,
                "what answers there speaks no TLS",
                hint="plain http must be asked for: http:// in a URL, or, of a registry, `insecure: true` in graphbuild.yaml",
            ) from None
        raise TransientError(error.strerror or str(error)) from None
    except TimeoutError:
        raise TransientError("no answer in time") from None
    except http.client.HTTPException as error:
        raise TransientError(f"broken answer: {type(error).__name__}") from None
    except OSError as error:
        raise TransientError(error.strerror or str(error)) from None
    except UnicodeError:
        raise failure(url, "holds no name that a host can have") from None
