"""The Network over HTTP and HTTPS.

Invariants: only http and https, never from https back to http; no more than `limit` bytes are taken, no more than a
bounded number of redirects and attempts made, no silence or trickle waited for longer than a bounded time; a transfer
that breaks goes on where it broke. Bodies are taken as they are: no encoding is asked for and none undone.
"""

import email.message
import email.utils
import hashlib
import http.client
import re
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Protocol

from graphbuild.network.connections import CHUNK, Connections, TransientError, faults, parsed
from graphbuild.network.patience import Patience, check, seconds
from graphbuild.network.seam import FetchResult, Progress, Sink, Validator, failure, shown
from graphbuild.values.errors import GraphbuildError

_REDIRECTS = 10
_SETTLED = 60  # seconds after which a file that changes again has another time stamp for sure (RFC 9110, 8.8.2.2)
_LONGEST_ETAG = 1024
_WINDOW, _LEAST = 60.0, 4096  # seconds, and the bytes that must come in them
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Refused(GraphbuildError):  # noqa: N818 - said of the request
    """The server answered with a status that another attempt would not change."""

    def __init__(self, url: str, status: int, cause: str, hint: str = "") -> None:
        super().__init__(*failure(url, cause, hint).problems, exit_code=failure(url, cause).exit_code)
        self.status = status
        self.cause = cause


class Caller(Protocol):
    """Who asks: what is sent besides, decided for every URL on the way, for a redirect may lead to somebody else's server."""

    def headers(self, url: str) -> Mapping[str, str]:
        """The headers for a request to that URL."""
        ...

    def challenged(self, url: str, headers: email.message.Message) -> bool:
        """The answer was 401 (or 403): whether there is something better to send now."""
        ...

    def refusal(self, url: str, response: http.client.HTTPResponse) -> Refused:
        """The error of an answer that is none of the good ones."""
        ...


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
        caller: Caller | None,
    ) -> None:
        self.url = url
        self.caller = caller
        self.unless = unless if not offset else None
        self.known: Validator | None = None  # of what is received
        self.unchanged = False
        self.limit = limit
        self.start = offset
        self.position = offset  # of the next byte for the sink
        self.total = 0  # of the body, 0 while not known
        self.validator = ""  # a strong ETag, or Last-Modified
        self.resumed = False
        self.media_type = ""
        self._progress = progress
        self._cancelled = cancelled

    def check(self) -> None:
        check(self.url, self._cancelled)
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

    def __init__(
        self,
        *,
        timeout: float = 30,
        attempts: int = 4,
        sleep: Callable[[float], object] = time.sleep,
        connections: Connections | None = None,
    ) -> None:
        self._connections = connections or Connections(timeout)
        self._patience = Patience(attempts, sleep)

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
        caller: Caller | None = None,
    ) -> FetchResult:
        transfer = _Transfer(url, limit, offset, unless, progress, cancelled, caller)
        attempt: Callable[[], None] = lambda: self._attempt(transfer, sink)  # noqa: E731 - typed
        self._patience.run(url, attempt, position=lambda: transfer.position, cancelled=cancelled)
        return FetchResult(transfer.position, transfer.resumed, transfer.known, transfer.unchanged, transfer.media_type)

    def close(self) -> None:
        self._connections.close()

    def _attempt(self, transfer: _Transfer, sink: Sink) -> None:
        """From the request to the last byte, through redirects."""
        url = transfer.url
        for _ in range(_REDIRECTS):
            transfer.check()
            headers = {**_headers(transfer), **_condition(transfer, url)}
            with self._connections.exchange(
                "GET", url, headers | dict(transfer.caller.headers(url) if transfer.caller else {})
            ) as response:
                if response.status in REDIRECTS:
                    url = redirected(transfer.url, url, response.headers.get("Location") or "")
                    continue
                if response.status in (401, 403) and transfer.caller and transfer.caller.challenged(url, response.headers):
                    continue
                if response.status == 304 and _condition(transfer, url):
                    transfer.unchanged, transfer.known = True, transfer.unless
                    return
                if _begins(transfer, response, url):
                    transfer.known = _validator(response, url)
                    _receive(transfer, response, sink)
                return
        raise failure(transfer.url, f"more than {_REDIRECTS} redirects")


def redirected(first: str, url: str, location: str) -> str:
    """Where a redirect leads. https does not lead to http, and a password stays with its host."""
    parts = parsed(url)
    try:
        target = parsed(urllib.parse.urljoin(url, urllib.parse.quote(location, safe="%/:=&?~#+!$,;'@()*[]")))
    except (ValueError, GraphbuildError):
        raise failure(first, "redirects to what is not a URL that can be fetched") from None
    if not location or (parts.scheme == "https" and target.scheme == "http"):
        raise failure(first, f"redirects from https to {shown(target.geturl())}" if location else "redirects to nowhere")
    same = (target.scheme, target.hostname, target.port) == (parts.scheme, parts.hostname, parts.port)
    if same and "@" not in target.netloc and "@" in parts.netloc:
        target = target._replace(netloc=parts.netloc)
    return target.geturl()


def _headers(transfer: _Transfer) -> dict[str, str]:
    if not transfer.position:
        return {}
    headers = {"Range": f"bytes={transfer.position}-"}
    return {**headers, "If-Range": transfer.validator} if transfer.validator else headers


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


def _begins(transfer: _Transfer, response: http.client.HTTPResponse, url: str) -> bool:
    """Check the status and headers against the transfer's state; False when there is nothing left to receive."""
    headers, status = response.headers, response.status
    if status in RETRIED:
        raise TransientError(f"HTTP {status} {response.reason}", seconds(headers.get("Retry-After")))
    if status == 416 and (headers.get("Content-Range") or "") == f"bytes */{transfer.position}":
        transfer.resumed = True
        return False
    if status not in (200, 206):
        raise transfer.caller.refusal(url, response) if transfer.caller else failure(transfer.url, f"HTTP {status} {response.reason}")
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
    transfer.media_type = (headers.get("Content-Type") or "").partition(";")[0].strip()
    transfer.total = 0 if length is None else begin + length
    transfer.check()
    return True


def _receive(transfer: _Transfer, response: http.client.HTTPResponse, sink: Sink) -> None:
    """The body to the sink, less what the sink has already."""
    at = transfer.position if response.status == 206 else 0  # of the next byte from the server
    mark, came = time.monotonic(), 0
    while True:
        with faults(transfer.url):
            data = response.read1(CHUNK)
        if not data:
            break
        at, came = at + len(data), came + len(data)
        if time.monotonic() - mark > _WINDOW:
            if came < _LEAST:
                raise TransientError(f"fewer than {_LEAST} bytes in {_WINDOW:.0f} s")
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
        raise TransientError(f"the connection ended after {at} of {max(transfer.total, transfer.position)} bytes")
