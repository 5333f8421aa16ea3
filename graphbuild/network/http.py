"""The Network over HTTP and HTTPS.

Invariants: only http and https, never from https back to http; no more than `limit` bytes are taken, no more than a
bounded number of redirects and attempts made, no silence or trickle waited for longer than a bounded time; a transfer
that breaks goes on where it broke. Bodies are taken as they are: no encoding is asked for and none undone.

On the standard library's http.client: urllib3, requests and httpx cost 40 to 110 ms to import, which is more than most
downloads from a near mirror take, and bring pools and decoders that one GET does not need. Loaded only by who fetches.
"""

import base64
import contextlib
import email.utils
import hashlib
import http.client
import random
import re
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator

from graphbuild.network.seam import FetchResult, Progress, Sink, Validator, failure, shown
from graphbuild.values.errors import EXIT_INTERRUPTED

_CHUNK = 1 << 18
_REDIRECTS = 10
_IDLE = 8  # connections kept for later, a host
_LONGEST_PAUSE = 30.0  # seconds; what Retry-After may ask for
_SETTLED = 60  # seconds after which a file that changes again has another time stamp for sure (RFC 9110, 8.8.2.2)
_LONGEST_ETAG = 1024
_WINDOW, _LEAST = 60.0, 4096  # seconds, and the bytes that must come in them
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_AGENT = "graphbuild"


class _TransientError(Exception):
    """A fault that another attempt may not have. `pause`: seconds that the server asked for."""

    def __init__(self, cause: str, pause: float = 0) -> None:
        super().__init__(cause)
        self.pause = pause


class _Transfer:
    """One fetch over all its attempts and redirects: where it is, and what it found out."""

    def __init__(
        self,
        url: str,
        limit: int,
        offset: int,
        unless: Validator | None,
        progress: Progress | None,
        cancelled: Callable[[], bool] | None,
    ) -> None:
        self.url = url
        self.unless = unless if not offset else None
        self.known: Validator | None = None  # of what is received
        self.unchanged = False
        self.limit = limit
        self.start = offset
        self.position = offset  # of the next byte for the sink
        self.total = 0  # of the body, 0 while not known
        self.validator = ""  # a strong ETag, or Last-Modified
        self.resumed = False
        self._progress = progress
        self._cancelled = cancelled

    def check(self) -> None:
        if self._cancelled and self._cancelled():
            raise failure(self.url, "cancelled", exit_code=EXIT_INTERRUPTED)
        if max(self.position, self.total) > self.limit:
            raise failure(self.url, f"is larger than {self.limit} bytes")

    def report(self) -> None:
        if self._progress:
            self._progress(self.position, self.total)


class HttpNetwork:
    """HTTP and HTTPS. Proxies and certificates come from the environment (`https_proxy`, `no_proxy`, `SSL_CERT_FILE`).

    Connections are kept and used again, by any thread. `timeout` (seconds) bounds every wait for the other side; `attempts`
    are made, with growing pauses, before a fault counts. `close` ends the idle connections.
    """

    def __init__(self, *, timeout: float = 30, attempts: int = 4, sleep: Callable[[float], object] = time.sleep) -> None:
        self._timeout = timeout
        self._attempts = attempts
        self._sleep = sleep
        self._lock = threading.Lock()
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._context: ssl.SSLContext | None = None
        self._proxies: dict[str, str] | None = None

    def fetch(
        self,
        url: str,
        sink: Sink,
        *,
        limit: int,
        offset: int = 0,
        unless: Validator | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> FetchResult:
        transfer = _Transfer(url, limit, offset, unless, progress, cancelled)
        left = self._attempts
        while True:
            before = transfer.position
            try:
                self._attempt(transfer, sink)
                return FetchResult(transfer.position, transfer.resumed, transfer.known, transfer.unchanged)
            except _TransientError as error:
                left = self._attempts if transfer.position - before >= _CHUNK else left - 1  # one that got somewhere does not count
                if left <= 0:
                    raise failure(url, str(error)) from None
                self._pause(transfer, error.pause, self._attempts - left)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _pause(self, transfer: _Transfer, asked: float, failures: int) -> None:
        """Wait before another attempt, noticing a cancel within half a second."""
        left = min(_LONGEST_PAUSE, max(asked, 0.5 * 2**failures * random.uniform(0.5, 1)))
        while left > 0:
            transfer.check()
            self._sleep(min(left, 0.5))
            left -= 0.5

    def _attempt(self, transfer: _Transfer, sink: Sink) -> None:
        """From the request to the last byte, through redirects."""
        url = transfer.url
        for _ in range(_REDIRECTS):
            transfer.check()
            with self._exchange(transfer, url) as response:
                if response.status in (301, 302, 303, 307, 308):
                    url = _redirected(transfer.url, url, response.headers.get("Location") or "")
                    continue
                if response.status == 304 and _condition(transfer, url):
                    transfer.unchanged, transfer.known = True, transfer.unless
                    return
                if _begins(transfer, response):
                    transfer.known = _validator(response, url)
                    _receive(transfer, response, sink)
                return
        raise failure(transfer.url, f"more than {_REDIRECTS} redirects")

    @contextlib.contextmanager
    def _exchange(self, transfer: _Transfer, url: str) -> Iterator[http.client.HTTPResponse]:
        """Send the request and give the response; the connection is kept if the response was read to its end."""
        parts = _parsed(url)
        proxy = self._proxy(parts)
        key = (f"{parts.scheme}://{parts.netloc}", proxy)
        connection, response = self._request(transfer, parts, proxy, key)
        kept = False
        try:
            yield response
            with _faults(url):
                if not response.isclosed() and 0 <= (response.length if response.length is not None else -1) <= _CHUNK:
                    response.read()  # a redirect's or an error's page: cheaper than another connection
            kept = response.isclosed() and not response.will_close
        finally:
            response.close()
            self._keep(key, connection, kept=kept)

    def _request(
        self, transfer: _Transfer, parts: urllib.parse.SplitResult, proxy: str, key: tuple[str, str]
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        target = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
        if proxy and parts.scheme == "http":
            target = f"http://{parts.netloc.rpartition('@')[2]}{target}"
        headers = {**_headers(transfer, parts, proxy), **_condition(transfer, parts.geturl())}
        while True:
            with self._lock:
                idle = self._idle.get(key)
                connection = idle.pop() if idle else None
            old = connection is not None
            with _faults(f"{parts.scheme}://{parts.netloc}{target}"):
                connection = connection or self._connect(parts, proxy)
                try:
                    connection.request("GET", target, headers=headers)
                    return connection, connection.getresponse()
                except (OSError, http.client.HTTPException):
                    connection.close()
                    if not old:  # an idle connection may have been closed meanwhile; that is no fault
                        raise

    def _keep(self, key: tuple[str, str], connection: http.client.HTTPConnection, *, kept: bool) -> None:
        with self._lock:
            idle = self._idle.setdefault(key, [])
            if kept and len(idle) < _IDLE:
                idle.append(connection)
                return
        connection.close()

    def _connect(self, parts: urllib.parse.SplitResult, proxy: str) -> http.client.HTTPConnection:
        through = _parsed(proxy) if proxy else parts
        host, port = through.hostname or "", through.port
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._timeout)
        with self._lock:
            self._context = self._context or ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port or (80 if proxy else 443), timeout=self._timeout, context=self._context)
        if proxy:
            connection.set_tunnel(parts.hostname or "", parts.port or 443, _authorization(through, "Proxy-Authorization"))
        return connection

    def _proxy(self, parts: urllib.parse.SplitResult) -> str:
        """The proxy's URL, or ""."""
        if self._proxies is None:
            self._proxies = urllib.request.getproxies_environment()
        proxy = self._proxies.get(parts.scheme) or self._proxies.get("all") or ""
        if not proxy or urllib.request.proxy_bypass_environment(parts.netloc.rpartition("@")[2], self._proxies):  # type: ignore[attr-defined]
            return ""
        return proxy if "://" in proxy else f"http://{proxy}"


def _parsed(url: str) -> urllib.parse.SplitResult:
    """GraphbuildError for what is not an http(s) URL, or could smuggle a header."""
    try:
        parts = urllib.parse.urlsplit(url)
        bad = parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or parts.port == 0
    except ValueError:
        bad = True
    if bad or any(character <= " " or character == "\x7f" for character in url):
        raise failure(url, "is not a URL that can be fetched", hint="http:// or https://, other characters than ASCII percent-encoded")
    return parts


def _redirected(first: str, url: str, location: str) -> str:
    """Where a redirect leads. https does not lead to http, and a password stays with its host."""
    parts = _parsed(url)
    target = _parsed(urllib.parse.urljoin(url, urllib.parse.quote(location, safe="%/:=&?~#+!$,;'@()*[]")))
    if not location or (parts.scheme == "https" and target.scheme == "http"):
        raise failure(first, f"redirects from https to {shown(target.geturl())}" if location else "redirects to nowhere")
    same = (target.scheme, target.hostname, target.port) == (parts.scheme, parts.hostname, parts.port)
    if same and "@" not in target.netloc and "@" in parts.netloc:
        target = target._replace(netloc=parts.netloc)
    return target.geturl()


def _headers(transfer: _Transfer, parts: urllib.parse.SplitResult, proxy: str) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity", "User-Agent": _AGENT, **_authorization(parts, "Authorization")}
    if proxy and parts.scheme == "http":
        headers |= _authorization(_parsed(proxy), "Proxy-Authorization")
    if transfer.position:
        headers["Range"] = f"bytes={transfer.position}-"
        if transfer.validator:
            headers["If-Range"] = transfer.validator
    return headers


def _condition(transfer: _Transfer, url: str) -> dict[str, str]:
    """The header that asks for nothing where nothing changed. An ETag says something about the URL that it was given for, and no other."""
    unless = transfer.unless
    return {"If-None-Match": unless.etag} if unless and not transfer.position and unless.place == _place(url) else {}


def _place(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def _validator(response: http.client.HTTPResponse, url: str) -> Validator | None:
    """Its strong ETag. Not of what changed just now: servers make ETags of time stamps, which a second change may not alter."""
    etag, modified = response.headers.get("ETag") or "", response.headers.get("Last-Modified")
    if (
        not re.fullmatch(r'"[!#-~]*"', etag)
        or len(etag) > _LONGEST_ETAG
        or (modified and not _settled(modified, response.headers.get("Date")))
    ):
        return None
    return Validator(_place(url), etag)


def _settled(modified: str, now: str | None) -> bool:
    times = [email.utils.parsedate_tz(text or "") for text in (modified, now)]
    before, after = (email.utils.mktime_tz(time) if time else None for time in times)
    return before is not None and after is not None and after - before >= _SETTLED


def _authorization(parts: urllib.parse.SplitResult, header: str) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
    return {header: "Basic " + base64.b64encode(pair.encode()).decode()}


@contextlib.contextmanager
def _faults(url: str) -> Iterator[None]:
    """What can go wrong between two machines, as faults to retry; a bad certificate is none."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise failure(url, f"certificate refused: {error.verify_message}", hint="SSL_CERT_FILE names a file of further CAs") from None
    except TimeoutError:
        raise _TransientError("no answer in time") from None
    except http.client.HTTPException as error:
        raise _TransientError(f"broken answer: {type(error).__name__}") from None
    except OSError as error:
        raise _TransientError(error.strerror or str(error)) from None
    except UnicodeError:
        raise failure(url, "holds no name that a host can have") from None


def _begins(transfer: _Transfer, response: http.client.HTTPResponse) -> bool:
    """Check the status and headers against the transfer's state; False when there is nothing left to receive."""
    headers, status = response.headers, response.status
    if status in _RETRIED:
        raise _TransientError(f"HTTP {status} {response.reason}", _seconds(headers.get("Retry-After") or ""))
    if status == 416 and (headers.get("Content-Range") or "") == f"bytes */{transfer.position}":
        transfer.resumed = True
        return False
    if status not in (200, 206):
        raise failure(transfer.url, f"HTTP {status} {response.reason}")
    etag = headers.get("ETag") or ""
    validator = etag if etag.startswith('"') else headers.get("Last-Modified") or ""
    if transfer.position > transfer.start and transfer.validator and validator != transfer.validator:
        raise failure(transfer.url, "changed while it was read", hint="try again")
    transfer.validator = validator
    length = int(text) if (text := headers.get("Content-Length") or "").isascii() and text.isdigit() and len(text) < 20 else None
    begin = transfer.position if status == 206 else 0
    if length is not None and begin + length < transfer.position:
        raise failure(transfer.url, f"has only {length} bytes, {transfer.position} were there before")
    if status == 206 and not (headers.get("Content-Range") or "").startswith(f"bytes {begin}-"):
        raise failure(transfer.url, "the server answers with another range than was asked for")
    transfer.resumed = begin > 0
    transfer.total = 0 if length is None else begin + length
    transfer.check()
    return True


def _receive(transfer: _Transfer, response: http.client.HTTPResponse, sink: Sink) -> None:
    """The body to the sink, less what the sink has already."""
    at = transfer.position if response.status == 206 else 0  # of the next byte from the server
    mark, came = time.monotonic(), 0
    while True:
        with _faults(transfer.url):
            data = response.read1(_CHUNK)
        if not data:
            break
        at, came = at + len(data), came + len(data)
        if time.monotonic() - mark > _WINDOW:
            if came < _LEAST:
                raise _TransientError(f"fewer than {_LEAST} bytes in {_WINDOW:.0f} s")
            mark, came = time.monotonic(), 0
        if at > transfer.position:
            fresh = data[transfer.position - at :] if at - len(data) < transfer.position else data
            transfer.position = at
            transfer.check()
            sink(fresh)
            transfer.report()
        else:
            transfer.check()
    if at < max(transfer.total, transfer.position):
        raise _TransientError(f"the connection ended after {at} of {max(transfer.total, transfer.position)} bytes")


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
