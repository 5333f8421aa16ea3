"""The Network seam's fake: a dictionary. Held to the same contract tests as HttpNetwork (tests/test_network.py)."""

import hashlib
from collections.abc import Callable, Mapping

from graphbuild.network import FetchResult, Validator
from graphbuild.network.seam import Progress, Sink, failure
from graphbuild.values.errors import EXIT_INTERRUPTED


class FakeNetwork:
    """Serves `files` by url, in pieces of `piece` bytes, and records what was fetched."""

    def __init__(self, files: Mapping[str, bytes], piece: int = 1000) -> None:
        self.files = files
        self.piece = piece
        self.fetched: list[str] = []

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
        self.fetched.append(url)
        if not url.startswith(("http://", "https://")):
            raise failure(url, "is not a URL that can be fetched")
        if url not in self.files:
            raise failure(url, "HTTP 404 Not Found")
        body = self.files[url]
        validator = Validator(url, hashlib.sha256(body).hexdigest())
        if unless == validator and not offset:
            return FetchResult(0, validator=validator, unchanged=True)
        if len(body) > limit:
            raise failure(url, f"is larger than {limit} bytes")
        for start in range(offset, len(body), self.piece):
            if cancelled and cancelled():
                raise failure(url, "cancelled", exit_code=EXIT_INTERRUPTED)
            piece = body[start : start + self.piece]
            sink(piece)
            if progress:
                progress(start + len(piece), len(body))
        return FetchResult(len(body), resumed=offset > 0, validator=validator)
