"""Downloads: a file from the first of several mirrors that gives the right bytes.

Invariant: what a digest was given for is returned only if it has that digest; servers are not trusted. Knows no transport.
"""

import hashlib
import os
from collections.abc import Callable, Sequence

import msgspec

from graphbuild.network.seam import FetchResult, Network, Progress, Validator, failure
from graphbuild.values.digest import Digest
from graphbuild.values.digest import sha256 as sha256_digest
from graphbuild.values.errors import EXIT_FAILED, EXIT_INTERRUPTED, GraphbuildError, Problem


def download(
    network: Network,
    urls: Sequence[str],
    destination_fd: int,
    *,
    sha256: str = "",
    size: int = 0,
    limit: int,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[Digest, int]:
    """Fill a file from the first of `urls` that gives the right bytes; returns their digest and size.

    `sha256` (hex) and `size` are checked where they are given. GraphbuildError holds the problem of every url that was tried.
    """
    problems: list[Problem] = []
    for url in urls:
        try:
            digest, result = _download(network, url, destination_fd, None, min(limit, size or limit), progress, cancelled)
            _check(url, digest, result.size, sha256, size)
        except GraphbuildError as error:
            if error.exit_code == EXIT_INTERRUPTED:
                raise
            problems += error.problems
        else:
            return digest, result.size
    raise GraphbuildError(*(problems or [Problem("nothing to download: no url")]), exit_code=EXIT_FAILED)


class Came(msgspec.Struct, frozen=True):
    """What a URL gave: size in bytes; `validator` to ask for changes by, where the server has one."""

    digest: Digest
    size: int
    validator: Validator | None = None


def refresh(
    network: Network, url: str, destination_fd: int, before: Came | None, *, limit: int, cancelled: Callable[[], bool] | None = None
) -> Came:
    """Fill a file with what a URL has now; where that is what it gave `before`, the file may stay empty, and `before` is returned."""
    digest, result = _download(network, url, destination_fd, before.validator if before else None, limit, None, cancelled)
    return before if before and result.unchanged else Came(digest, result.size, result.validator)


def _check(url: str, found: Digest, found_size: int, sha256: str, size: int) -> None:
    if size and found_size != size:
        raise failure(url, f"has {found_size} bytes, expected {size}")
    if sha256 and found.hex != sha256:
        raise failure(
            url,
            f"has {found}, expected sha256:{sha256}",
            hint="the checksum is another: the file changed since it was written down, or the mirror is broken",
        )


def _download(
    network: Network,
    url: str,
    fd: int,
    unless: Validator | None,
    limit: int,
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
) -> tuple[Digest, FetchResult]:
    os.ftruncate(fd, 0)
    os.lseek(fd, 0, os.SEEK_SET)
    state = hashlib.sha256()

    def sink(data: bytes) -> None:
        state.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    result = network.fetch(url, sink, limit=limit, unless=unless, progress=progress, cancelled=cancelled)
    return sha256_digest(state.hexdigest()), result
