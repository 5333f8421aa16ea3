"""An image of a registry, read as an image in a layout is: a blob is fetched when it is opened, and kept in the store.

Invariants: nothing is fetched that nobody opens, and nothing twice, not by two processes at once either; every document is verified
before anything it says is used, and is at most LARGEST_DOCUMENT long; what a document is follows from what is in it, not from what the
registry calls it, and one that could be an index and a manifest is refused.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from graphbuild.image.files import Span
from graphbuild.image.model import (
    CONFIGS,
    INDEXES,
    LARGEST_DOCUMENT,
    MANIFESTS,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
    blob_name,
)
from graphbuild.image.read import read_index
from graphbuild.image.reference import Reference
from graphbuild.image.source import SourceImage, parse_document
from graphbuild.network.registry import Registries, Repository
from graphbuild.store.store import Store
from graphbuild.values.digest import Digest, parse_digest
from graphbuild.values.errors import mistake

ACCEPTED = (*sorted(INDEXES), *sorted(MANIFESTS))
_LARGEST_LAYER = 64 << 30

Watch = Callable[[int, int], object]  # (bytes so far, all bytes)


class _Shape(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str | None = None
    manifests: msgspec.Raw = msgspec.Raw()
    config: msgspec.Raw = msgspec.Raw()
    layers: msgspec.Raw = msgspec.Raw()


class RegistryFiles:
    """A repository as the files of a layout (`image.files.Files`). What is in it is known by the documents that were opened before."""

    in_store = True

    def __init__(
        self,
        registries: Callable[[], Registries],
        repository: Repository,
        store: Store,
        source: str,
        cancelled: Callable[[], bool],
        keep: Callable[[Digest, int], None],
    ) -> None:
        """`keep` hears of every document: it is small, and wanted again by every build."""
        self._registries = registries
        self._repository = repository
        self._store = store
        self._source = source
        self._cancelled = cancelled
        self._keep = keep
        self._known: dict[str, Descriptor] = {}
        self.watch: Watch = lambda _done, _total: None

    def top(self, digest: Digest) -> Descriptor:
        """The descriptor of a manifest or an index, which is fetched."""
        data = self._document(self._digest(str(digest))).read_bytes()
        found = self._known[blob_name(digest)] = Descriptor(self._note(data, digest), str(digest), len(data))
        return found

    def open(self, name: str) -> Span | None:
        descriptor = self._known.get(name)
        if descriptor is None:
            return None
        path = self.fetch(descriptor)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return Span(fd, 0, os.fstat(fd).st_size)

    def fetch(self, descriptor: Descriptor) -> Path:
        """The blob of a descriptor, in the store."""
        digest = self._digest(descriptor.digest)
        if descriptor.media_type in INDEXES or descriptor.media_type in MANIFESTS:
            path = self._document(digest)
            self._note(path.read_bytes(), digest)
            return path
        small = descriptor.media_type in CONFIGS
        if descriptor.size > (LARGEST_DOCUMENT if small else _LARGEST_LAYER) or descriptor.size < 0:
            raise mistake(f"{self._source}: blob {digest} is said to have {descriptor.size} bytes, which is too large")
        path = self._blob(digest, descriptor.size)
        if small:
            self._keep(digest, descriptor.size)
        return path

    def names(self) -> Iterator[str]:
        yield from sorted(self._known)

    def close(self) -> None:
        """Nothing is held open."""

    def _document(self, digest: Digest) -> Path:
        known = self._store.blob(digest)
        if known is not None:
            return known
        registries = self._registries()
        found = registries.manifest(self._repository, digest, ACCEPTED, limit=LARGEST_DOCUMENT, cancelled=self._cancelled)
        stored = self._store.put_blob(found.data)
        path = self._store.blob(stored)
        if stored != digest or path is None:
            raise mistake(f"{self._source}: {digest} is not what came")
        self._keep(digest, len(found.data))
        return path

    def _blob(self, digest: Digest, size: int) -> Path:
        known = self._store.blob(digest)
        if known is not None:
            return known
        with self._store.lock(digest, self._cancelled, lambda: None):
            known = self._store.blob(digest)
            if known is not None:
                return known
            with self._store.blob_writer() as writer:
                self._registries().blob(self._repository, digest, size, writer.fd, progress=self.watch, cancelled=self._cancelled)
                return writer.commit(digest, size)

    def _note(self, data: bytes, digest: Digest) -> str:
        """Learn what a document names; its type."""
        shape = parse_document(data, _Shape, f"manifest {digest}", self._source)
        is_index, is_manifest = bytes(shape.manifests) != b"", bytes(shape.config) != b"" or bytes(shape.layers) != b""
        if is_index == is_manifest:
            said = f" (its type is {shape.media_type})" if shape.media_type else ""
            raise mistake(f"{self._source}: {digest} is neither an image nor an index of images{said}")
        if is_index:
            below = parse_document(data, Index, f"index {digest}", self._source).manifests
        else:
            manifest = parse_document(data, Manifest, f"manifest {digest}", self._source)
            below = (manifest.config, *manifest.layers)
        for descriptor in below:
            self._known.setdefault(blob_name(self._digest(descriptor.digest)), descriptor)
        return OCI_INDEX if is_index else OCI_MANIFEST

    def _digest(self, text: str) -> Digest:
        try:
            digest = parse_digest(text)
        except ValueError as error:
            raise mistake(f"{self._source}: {error}") from None
        if digest.algorithm != "sha256":
            raise mistake(f"{self._source}: {digest}: blobs of registries are named by sha256 here")
        return digest


def open_registry_image(files: RegistryFiles, digest: Digest, *, platform: str, source: str) -> SourceImage:
    """The image of that digest, or of an index of that digest the one for `platform` ("" for this machine's). Its layers come when opened."""
    top = files.top(digest)
    return read_index(files, Index(2, (top,)), "", platform, source, here=False)


def repository_of(reference: Reference) -> Repository:
    return Repository(reference.domain, reference.path)
