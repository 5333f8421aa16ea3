"""The Network seam: what fetching means, its errors, and the network that there is not.

Invariant: passwords in URLs appear in no message. Knows no transport.
"""

import contextlib
import threading
import urllib.parse
from collections.abc import Callable
from typing import Protocol

import msgspec

from graphbuild.values.errors import EXIT_FAILED, GraphbuildError, Problem

Sink = Callable[[bytes], object]
Progress = Callable[[int, int], object]  # (bytes so far, all bytes or 0)


class Validator(msgspec.Struct, frozen=True):
    """What a server calls the content that it sent: its strong ETag, with a digest of the URL that answered (redirects may lead elsewhere)."""

    place: str
    etag: str


class FetchResult(msgspec.Struct, frozen=True):
    """`size` of the whole body in bytes, what lay before `offset` included; `resumed`: the server sent only the rest.

    `validator`: where the server gives one that can be relied on. `unchanged`: what is there is what `unless` names; nothing was sent.
    `media_type`: what the server calls it, "" where it does not.
    """

    size: int
    resumed: bool = False
    validator: Validator | None = None
    unchanged: bool = False
    media_type: str = ""


class Network(Protocol):
    """Fetching. Implementations are safe to use from several threads at once."""

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
        """Hand the body from byte `offset` on to `sink`, in order, each byte once; none of it if it is what `unless` names.

        GraphbuildError names the url and the cause: more than `limit` bytes (of the whole body), no such file, a broken
        transport, `cancelled()` (exit code 8). What `sink` raises comes through.
        """
        ...


class DeferredNetwork:
    """A network that is made when something is fetched: most builds fetch nothing, and an HTTP client costs 40 ms to import."""

    def __init__(self, make: Callable[[], "Network"]) -> None:
        self._make = make
        self._made: Network | None = None
        self._lock = threading.Lock()

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
        with self._lock:
            network = self._made = self._made or self._make()
        return network.fetch(url, sink, limit=limit, offset=offset, unless=unless, progress=progress, cancelled=cancelled)


class OfflineNetwork:
    """The network under `--offline`: there is none."""

    def fetch(
        self,
        url: str,
        sink: Sink,  # noqa: ARG002 - the seam's signature
        *,
        limit: int,  # noqa: ARG002
        offset: int = 0,  # noqa: ARG002
        unless: Validator | None = None,  # noqa: ARG002
        progress: Progress | None = None,  # noqa: ARG002
        cancelled: Callable[[], bool] | None = None,  # noqa: ARG002
    ) -> FetchResult:
        raise failure(url, "not fetched: --offline", hint="run once without --offline; what was fetched stays in the store")


def failure(url: str, cause: str, hint: str = "", exit_code: int = EXIT_FAILED) -> GraphbuildError:
    """The error of a fetch."""
    return GraphbuildError(Problem(f"{shown(url)}: {cause}", None, hint), exit_code=exit_code)


def shown(url: str) -> str:
    """A URL as messages show it: without user and password."""
    with contextlib.suppress(ValueError):
        parts = urllib.parse.urlsplit(url)
        return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return "URL"
