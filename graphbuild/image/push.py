"""Images out to registries: what is there is not sent, what another repository there has is mounted, manifests come last.

Invariants: no manifest is put before every blob of every image is there; a blob goes to a registry once, however many images and
repositories want it; an image that is there under its tag costs one request. Knows registries and bytes; not how images are built.
"""

import hashlib
import io
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

import msgspec

from graphbuild.image.reference import Reference
from graphbuild.image.registry import ACCEPTED, repository_of
from graphbuild.layers.cancel import Cancelled
from graphbuild.network.registry import Document, Registries, Repository
from graphbuild.values.digest import Digest, sha256
from graphbuild.values.errors import EXIT_FAILED, EXIT_INTERRUPTED, GraphbuildError

T = TypeVar("T")
R = TypeVar("R")


class Blob(msgspec.Struct, frozen=True):
    """A blob of `size` bytes, which are `content`, or those of a file. `sources`: repositories that are known to have it."""

    digest: Digest
    size: int
    content: bytes | Path
    sources: tuple[Repository, ...] = ()


class Outgoing(msgspec.Struct, frozen=True):
    """An image to push: its manifest, all that the manifest names, and the names it is to have. Of an index: `parts`, its manifests."""

    manifest: Document
    blobs: tuple[Blob, ...]
    references: tuple[Reference, ...]
    parts: tuple[Document, ...] = ()

    @property
    def digest(self) -> Digest:
        return sha256(hashlib.sha256(self.manifest.data).hexdigest())


class Pushed(msgspec.Struct, frozen=True):
    """A name that an image has now. `new`: it was not there, or was another."""

    reference: Reference
    digest: Digest
    new: bool


class Totals(msgspec.Struct):
    """What became of the blobs: `sent_bytes` are of those that were sent."""

    sent: int = 0
    sent_bytes: int = 0
    mounted: int = 0
    there: int = 0


class Watch(Protocol):
    """Who wants to know how far it is. Called from several threads."""

    def started(self, what: str, action: str) -> None: ...

    def progress(self, what: str, action: str, done: int, total: int) -> None: ...

    def finished(self, what: str, action: str) -> None: ...


class Push:
    """One push of some images. `at_once`: how many transfers run side by side."""

    def __init__(self, registries: Registries, watch: Watch, cancelled: Callable[[], bool], at_once: int = 4) -> None:
        self.totals = Totals()
        self._registries = registries
        self._watch = watch
        self._cancelled = cancelled
        self._at_once = at_once
        self._failed = threading.Event()
        self._counting = threading.Lock()

    def run(self, images: Sequence[Outgoing]) -> list[Pushed]:
        """Push; returns every name, in order. GraphbuildError with the problems of all that failed: then no name was given."""
        names = [(image, reference) for image in images for reference in image.references]
        there = self._each(lambda pair: self._known(*pair), names)
        stale = [name for name, known in zip(names, there, strict=True) if not known]
        wanted: dict[tuple[str, Digest], tuple[Blob, list[Repository]]] = {}
        places = dict.fromkeys((repository_of(reference), image.digest) for image, reference in stale)
        images_of = {image.digest: image for image, _ in stale}
        known_whole = self._each(lambda place: self._has_manifest(place[0], place[1]), list(places))
        for (repository, digest), whole in zip(places, known_whole, strict=True):
            for blob in images_of[digest].blobs:
                if whole:
                    self.totals.there += 1
                else:
                    repositories = wanted.setdefault((repository.host, blob.digest), (blob, []))[1]
                    repositories += [repository] if repository not in repositories else []
        self._each(lambda item: self._place(*item), sorted(wanted.values(), key=lambda item: -item[0].size))
        self._each(lambda pair: self._name(*pair), stale)
        return [Pushed(reference, image.digest, new=not known) for (image, reference), known in zip(names, there, strict=True)]

    def _known(self, image: Outgoing, reference: Reference) -> bool:
        """Whether the registry has the image under that name."""
        return self._registries.resolve(repository_of(reference), reference.tag, ACCEPTED, self._stop, mirrors=False) == image.digest

    def _has_manifest(self, repository: Repository, digest: Digest) -> bool:
        """Whether it has the image under some other name: then all of its blobs are there."""
        return self._registries.resolve(repository, str(digest), ACCEPTED, self._stop, mirrors=False) is not None

    def _place(self, blob: Blob, repositories: list[Repository]) -> None:
        """Get a blob into repositories of one registry: sent to the first at most, mounted from there to the others."""
        has = [source for source in blob.sources if source.host == repositories[0].host]
        for repository in repositories:
            self._one(blob, repository, has)
            has.insert(0, repository)

    def _one(self, blob: Blob, repository: Repository, has: list[Repository]) -> None:
        registries = self._registries
        if repository in has or registries.has_blob(repository, blob.digest, self._stop):
            self._count(there=1)
            return
        if any(registries.mount(repository, blob.digest, source.path, self._stop) for source in has):
            self._count(mounted=1)
            return
        what, action = str(repository), f"push {blob.digest.short}"
        self._watch.started(what, action)
        registries.upload(
            repository,
            blob.digest,
            blob.size,
            lambda: _opened(blob.content),
            progress=lambda done, total: self._watch.progress(what, action, done, total),
            cancelled=self._stop,
        )
        self._watch.finished(what, action)
        self._count(sent=1, size=blob.size)

    def _name(self, image: Outgoing, reference: Reference) -> None:
        repository = repository_of(reference)
        for part in image.parts:
            self._registries.put_manifest(repository, str(sha256(hashlib.sha256(part.data).hexdigest())), part, self._stop)
        self._registries.put_manifest(repository, reference.tag, image.manifest, self._stop)

    def _count(self, *, sent: int = 0, size: int = 0, mounted: int = 0, there: int = 0) -> None:
        with self._counting:
            self.totals.sent += sent
            self.totals.sent_bytes += size
            self.totals.mounted += mounted
            self.totals.there += there

    def _stop(self) -> bool:
        return self._failed.is_set() or self._cancelled()

    def _each(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Do it for all of them, side by side; the first failure stops the others."""
        found: list[R] = []
        errors: list[GraphbuildError] = []
        with ThreadPoolExecutor(self._at_once) as pool:
            for future in [pool.submit(self._guarded, work, item) for item in items]:
                try:
                    found.append(future.result())
                except GraphbuildError as error:
                    errors.append(error)
        if self._cancelled():
            raise Cancelled
        told = [error for error in errors if error.exit_code != EXIT_INTERRUPTED]
        if told:
            problems = {problem.message: problem for error in told for problem in error.problems}
            codes = {error.exit_code for error in told}
            raise GraphbuildError(*problems.values(), exit_code=codes.pop() if len(codes) == 1 else EXIT_FAILED)
        return found

    def _guarded(self, work: Callable[[T], R], item: T) -> R:
        if self._stop():
            raise GraphbuildError(exit_code=EXIT_INTERRUPTED)
        try:
            return work(item)
        except BaseException:
            self._failed.set()
            raise


def _opened(content: bytes | Path) -> BinaryIO:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
