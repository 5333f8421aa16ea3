"""Digests of the files below a folder: remembered by their stat, else read now, while more of the files are found."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from graphbuild.build.drafting import Drafting
from graphbuild.build.hashing import Hashing
from graphbuild.build.statcache import Signature, StatCache
from graphbuild.layers.cancel import Cancel


class Digests:
    """Those of one search. A context manager: what it started does not outlive the block.

    `settled`: the time, in ns, from which on a change is too fresh to be remembered beyond this build: changed again, it might look the same.
    `drafting`: of a tar of all that is found, which is written if all of it is read, and is much; and no build has searched the folder
    before: after a fresh checkout the layer is most likely there.
    """

    def __init__(self, folder: bytes, cache: StatCache, settled: int, cancelled: Cancel, drafting: Drafting | None = None) -> None:
        self._cache = cache
        self._settled = settled
        self._drafting = drafting
        self._hashing = Hashing(folder, cancelled, drafting)
        self._known: dict[bytes, bytes] = {}
        self._unknown: list[tuple[bytes, Signature]] = []
        if drafting is not None and not cache.is_new:
            drafting.lose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._hashing.__exit__(kind, error, trace)

    def add(self, found: Mapping[bytes, Signature]) -> None:
        """Regular files that were found, by their paths from the folder."""
        known = self._cache.known(found)
        unknown = list(found.items())
        if known:
            self._known |= known
            unknown = [(path, sign) for path, sign in unknown if path not in known]
            if self._drafting is not None:
                self._drafting.lose()
        self._unknown += unknown
        self._hashing.add([(path, sign[0]) for path, sign in unknown])

    def all(self) -> dict[bytes, bytes]:
        """blake3 of each file, by path."""
        hashed, settled = self._hashing.digests(), self._settled
        fresh = zip(self._unknown, hashed, strict=True)
        self._cache.put_all((path, sign, digest) for (path, sign), digest in fresh if sign[1] < settled and sign[2] < settled)
        self._cache.save()
        return self._known | {path: digest for (path, _), digest in zip(self._unknown, hashed, strict=True)}
