"""Blobs out: mounted from another repository, or sent in one request or several, and gone on with where a connection broke.

Invariants: a blob is begun anew only if the registry does not say how much it has; it is looked for before it is sent a second time, for
only the answer may have been lost. A registry that goes on elsewhere (Location) is not told there who asks, and never without TLS
after TLS.
"""

import contextlib
import email.message
import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import BinaryIO

from graphbuild.network.connections import CHUNK, TransientError, parsed
from graphbuild.network.http import Caller, Refused
from graphbuild.network.patience import check
from graphbuild.network.registry.requests import Answer, Requests
from graphbuild.network.registry.seam import Cancelled
from graphbuild.network.seam import Progress, failure
from graphbuild.values.digest import Digest
from graphbuild.values.errors import GraphbuildError

_STREAM = {"Content-Type": "application/octet-stream"}
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]{1,19})")
_LOST = frozenset({400, 404, 416})  # what a registry says of an upload that it does not know any more, or got only a part of


class Upload:
    """Uploads to one repository, whose uploads/ is at `url`. `caller` says who asks, anew for each request."""

    def __init__(self, requests: Requests, url: str, caller: Callable[[], Caller], chunk: int) -> None:
        self._requests = requests
        self._url = url
        self._caller = caller
        self._chunk = chunk

    def mount(self, digest: Digest, source: str, cancelled: Cancelled | None) -> bool:
        """Whether the registry took the blob from the repository `source`."""
        query = urllib.parse.urlencode({"mount": str(digest), "from": source})
        try:
            answer = self._requests.insist("POST", f"{self._url}?{query}", self._caller(), (201, 202), cancelled=cancelled)
        except Refused as error:
            if error.status in (401, 403, 404, 405):  # who may not read there, or a registry that does no such thing
                return False
            raise
        if answer.status == 202:  # it began an upload instead
            with contextlib.suppress(GraphbuildError, TransientError):
                self._requests.ask("DELETE", _location(answer.headers, self._url), self._caller(), (200, 202, 204))
        return answer.status == 201

    def send(
        self, digest: Digest, size: int, opened: Callable[[], BinaryIO], progress: Progress | None, cancelled: Cancelled | None
    ) -> None:
        with contextlib.closing(_Sending(self._requests, self._url, self._caller, self._chunk, digest, size, opened)) as sending:
            sending.watch(progress, cancelled)
            self._requests.patience.run(self._url, sending.attempt, position=lambda: sending.steps * CHUNK, cancelled=cancelled)


class _Sending:
    """One blob on its way, over all attempts. `position`: the bytes that the registry said it has.

    `steps` counts what got it further than ever: no more often than it has pieces, and once for its beginning.
    """

    def __init__(
        self,
        requests: Requests,
        url: str,
        caller: Callable[[], Caller],
        chunk: int,
        digest: Digest,
        size: int,
        opened: Callable[[], BinaryIO],
    ) -> None:
        self.position = 0
        self.steps = 0
        self._furthest = -1
        self._requests = requests
        self._url = url
        self._caller = caller
        self._chunk = chunk
        self._digest = digest
        self._size = size
        self._file = opened()
        self._location = ""
        self._tried = False
        self._progress: Progress | None = None
        self._cancelled: Cancelled | None = None

    def watch(self, progress: Progress | None, cancelled: Cancelled | None) -> None:
        self._progress, self._cancelled = progress, cancelled

    def close(self) -> None:
        self._file.close()

    def attempt(self) -> None:
        if self._tried and self._arrived():
            return
        if self._tried and self._location:
            self._find_out()
        self._tried = True
        if not self._location:
            self._begin()
        while self._size - self.position > self._chunk:
            self._patch(self._chunk)
        self._finish()

    def _arrived(self) -> bool:
        """Whether the registry has the blob after all."""
        url = f"{self._url.removesuffix('uploads/')}{self._digest}"
        return self._ask("HEAD", url, (200, 404)).status == 200

    def _find_out(self) -> None:
        """Ask how much is there; begin anew where that is not said, or where it makes no sense."""
        try:
            answer = self._ask("GET", self._location, (200, 202, 204))
        except Refused:
            self._location = ""
            return
        said = _RANGE.fullmatch(answer.headers.get("Range") or "")
        there = int(said[1]) + 1 if said and int(said[1]) else 0  # 0-0 is said of an empty one too
        if not said or there > self._size:
            self._location = ""
        else:
            self.position = there
            self._location = _location(answer.headers, self._location) if answer.headers.get("Location") else self._location

    def _begin(self) -> None:
        answer = self._ask("POST", self._url, (202,), {"Content-Length": "0"})
        self._location, self.position = _location(answer.headers, self._url), 0
        self._step()

    def _step(self) -> None:
        if self.position > self._furthest:
            self._furthest = self.position
            self.steps += 1

    def _patch(self, count: int) -> None:
        headers = {**_STREAM, "Content-Length": str(count), "Content-Range": f"{self.position}-{self.position + count - 1}"}
        answer = self._send("PATCH", self._location, (200, 201, 202, 204), headers, count)
        self.position += count
        self._step()
        self._location = _location(answer.headers, self._location)

    def _finish(self) -> None:
        joint = "&" if urllib.parse.urlsplit(self._location).query else "?"
        url = f"{self._location}{joint}{urllib.parse.urlencode({'digest': str(self._digest)})}"
        left = self._size - self.position
        headers = {**_STREAM, "Content-Length": str(left)}
        if self.position:
            headers["Content-Range"] = f"{self.position}-{self._size - 1}"
        self._send("PUT", url, (201,), headers, left)

    def _send(self, method: str, url: str, good: tuple[int, ...], headers: dict[str, str], count: int) -> Answer:
        """A request with a part of the blob."""
        try:
            return self._requests.ask(
                method, url, self._caller(), good, headers=headers, body=lambda: self._bytes(count), cancelled=self._cancelled
            )
        except Refused as error:
            if error.status in _LOST:
                self._location = ""
                raise TransientError(error.cause) from None
            raise

    def _ask(self, method: str, url: str, good: tuple[int, ...], headers: dict[str, str] | None = None) -> Answer:
        return self._requests.ask(method, url, self._caller(), good, headers=headers, cancelled=self._cancelled)

    def _bytes(self, count: int) -> Iterator[bytes]:
        """The next `count` bytes of the file."""
        self._file.seek(self.position)
        left = count
        while left:
            check(self._url, self._cancelled)
            data = self._file.read(min(CHUNK, left))
            if not data:
                raise failure(self._url, f"{self._digest} became shorter while it was sent")
            left -= len(data)
            yield data
            if self._progress:
                self._progress(self.position + count - left, self._size)


def _location(headers: email.message.Message, url: str) -> str:
    """Where an upload goes on. A registry behind a proxy that ends TLS may not know that it is asked over TLS."""
    text = headers.get("Location") or ""
    if not text:
        raise failure(url, "does not say where the upload goes on")
    here = parsed(url)
    try:
        target = parsed(urllib.parse.urljoin(url, text))
    except (ValueError, GraphbuildError):
        raise failure(url, "says that the upload goes on at what is no URL") from None
    if here.scheme == "https" and target.scheme == "http":
        if target.hostname != here.hostname:
            raise failure(url, "leads from https to http")
        target = target._replace(scheme="https", netloc=here.netloc if target.port in (None, 80) else target.netloc)
    return target.geturl()
