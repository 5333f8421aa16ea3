"""Downloads: a file from the first of several mirrors that gives the right bytes.

Invariant: what a digest was given for is returned only if it has that digest; servers are not trusted. Knows no transport.
"""

import hashlib
import os
from collections.abc import Callable, Sequence

from graphbuild.network.seam import Network, Progress, failure
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
            return _download(network, url, destination_fd, sha256, size, min(limit, size or limit), progress, cancelled)
        except GraphbuildError as error:
            if error.exit_code == EXIT_INTERRUPTED:
                raise
            problems += error.problems
    raise GraphbuildError(*(problems or [Problem("nothing to download: no url")]), exit_code=EXIT_FAILED)


def _download(
    network: Network,
    url: str,
    fd: int,
    sha256: str,
    size: int,
    limit: int,
    progress: Progress | None,
    cancelled: Callable[[], bool] | None,
) -> tuple[Digest, int]:
    os.ftruncate(fd, 0)
    os.lseek(fd, 0, os.SEEK_SET)
    state = hashlib.sha256()

    def sink(data: bytes) -> None:
        state.update(data)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    result = network.fetch(url, sink, limit=limit, progress=progress, cancelled=cancelled)
    if size and result.size != size:
        raise failure(url, f"has {result.size} bytes, expected {size}")
    if sha256 and state.hexdigest() != sha256:
        raise failure(
            url,
            f"has sha256:{state.hexdigest()}, expected sha256:{sha256}",
            hint="the file changed since it was locked, or the mirror is broken",
        )
    return sha256_digest(state.hexdigest()), result.size
