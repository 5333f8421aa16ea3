"""Requests of a registry that are no downloads: one method, one answer, whose body is short.

Invariants: an answer's body is read up to a bound, in bounded time; redirects are followed where nothing is sent, a bounded number of
times; who asks (`Caller`) decides what each server on the way is told.
"""

import email.message
import http.client
import re
import time
from collections.abc import Callable, Mapping

import msgspec

from graphbuild.network.connections import CHUNK, Body, Connections, TransientError, faults
from graphbuild.network.http import REDIRECTS, RETRIED, Caller, Refused, redirected
from graphbuild.network.patience import Patience, check, seconds
from graphbuild.network.seam import failure

_LONGEST = 30.0  # seconds that a short body may take
_STEPS = 10  # requests for one answer: redirects, and attempts to say who one is
_SAID = 300  # characters of a registry's complaint


class Answer(msgspec.Struct, frozen=True):
    """`url` is where it came from in the end."""

    status: int
    headers: email.message.Message
    data: bytes
    url: str


class Requests:
    """`ask` makes one attempt, and TransientError is what another may mend; `insist` makes several."""

    def __init__(self, connections: Connections, patience: Patience) -> None:
        self._connections = connections
        self.patience = patience

    def ask(
        self,
        method: str,
        url: str,
        caller: Caller,
        good: tuple[int, ...],
        *,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        limit: int = 1 << 16,
        cancelled: Callable[[], bool] | None = None,
    ) -> Answer:
        """The answer, if its status is a good one. GraphbuildError otherwise."""
        here = url
        for _ in range(_STEPS):
            check(url, cancelled)
            sent = {**(headers or {}), **caller.headers(here)}
            with self._connections.exchange(method, here, sent, body) as response:
                if response.status in good:
                    data = b"" if method == "HEAD" else short_body(response, here, limit)
                    return Answer(response.status, response.headers, data, here)
                if response.status in RETRIED:
                    raise TransientError(f"HTTP {response.status} {response.reason}", seconds(response.headers.get("Retry-After")))
                if response.status in (401, 403) and caller.challenged(here, response.headers):
                    continue
                if response.status in REDIRECTS and method in ("GET", "HEAD"):
                    here = redirected(url, here, response.headers.get("Location") or "")
                    continue
                raise caller.refusal(url, response)
        raise failure(url, f"no answer after {_STEPS} requests")

    def insist(
        self,
        method: str,
        url: str,
        caller: Caller,
        good: tuple[int, ...],
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        limit: int = 1 << 16,
        cancelled: Callable[[], bool] | None = None,
    ) -> Answer:
        """`ask`, again where that may help: only what may be done twice."""

        def attempt() -> Answer:
            return self.ask(method, url, caller, good, headers=headers, body=body, limit=limit, cancelled=cancelled)

        return self.patience.run(url, attempt, cancelled=cancelled)


def short_body(response: http.client.HTTPResponse, url: str, limit: int) -> bytes:
    """All of a body of at most `limit` bytes. GraphbuildError for a longer one."""
    end = time.monotonic() + _LONGEST
    found = bytearray()
    with faults(url):
        while data := response.read1(CHUNK):
            found += data
            if len(found) > limit:
                raise failure(url, f"is larger than {limit} bytes")
            if time.monotonic() > end:
                raise TimeoutError
        if response.length:
            raise http.client.IncompleteRead(bytes(found), response.length)
    return bytes(found)


class _Complaint(msgspec.Struct):
    code: str = ""
    message: str | None = ""


class _Complaints(msgspec.Struct):
    errors: list[_Complaint] = []


def refusal(url: str, response: http.client.HTTPResponse, hint: str = "") -> Refused:
    """The error of an answer, with what the registry says about it."""
    try:
        said = msgspec.json.decode(short_body(response, url, 1 << 14), type=_Complaints).errors
    except Exception:  # noqa: BLE001 - whatever is wrong with the page that explains an error, the error is the news
        said = []
    text = "; ".join(f"{one.code} {one.message or ''}".strip() for one in said[:3])
    text = re.sub(r"[^ -~]+", " ", text)[:_SAID]
    cause = f"HTTP {response.status} {response.reason}"
    # The query of a place that a registry redirects to may be as good as a password.
    return Refused(url.partition("?")[0], response.status, f"{cause}: {text}" if text else cause, hint)
