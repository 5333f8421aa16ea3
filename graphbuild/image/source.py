"""An opened image: its config, its layers, and their bytes, verified while they are read.

Invariants: a document (manifest, index, config) is returned only if its size and digest are its descriptor's; of a layer
the last bytes are handed out only if all of it had its digest. Whoever stops reading before the end has verified nothing
and must check the diff_id. Knows nothing of where manifests are found.
"""

import hashlib
import io
import os
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

import msgspec

from graphbuild.image.files import Files, Span
from graphbuild.image.model import LARGEST_DOCUMENT, Descriptor, blob_name, decode
from graphbuild.values.config import Config, Past
from graphbuild.values.digest import Digest, parse_digest
from graphbuild.values.errors import mistake

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

T = TypeVar("T", bound=msgspec.Struct)
_CHUNK = 1 << 20


class SourceLayer(msgspec.Struct, frozen=True):
    """`digest` and `size` (bytes) are of the bytes that `open_layer` gives, `diff_id` of the tar in them."""

    digest: Digest
    size: int
    media_type: str
    diff_id: Digest
    name: str  # of its file in the source

    @property
    def codec(self) -> str:
        """How its bytes are compressed: "gzip", "zstd", "none"."""
        return self.media_type.rpartition(".tar")[2].lstrip("+.") or "none"


class Listed(msgspec.Struct, frozen=True):
    """An image of a source that may hold several: what to ask for it by, and the names that it has there, as written."""

    reference: str
    names: tuple[str, ...]


class SourceImage(msgspec.Struct, frozen=True):
    """An image in a folder or archive. `digest` is its manifest's or, of an old docker archive, its config's. A context manager.

    `document` is its config, byte for byte.
    """

    config: Config
    document: bytes
    layers: tuple[SourceLayer, ...]
    digest: Digest
    files: Files
    source: str
    history: tuple[Past, ...] = ()

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        return tuple(layer.diff_id for layer in self.layers)

    def kept(self, index: int) -> tuple[Digest, int, str] | None:
        """Digest, size and codec of a layer whose stored bytes are in the store once it was opened; None where they are elsewhere."""
        layer = self.layers[index]
        return (layer.digest, layer.size, layer.codec) if self.files.in_store else None

    def open_layer(self, index: int) -> io.BufferedReader:
        """The stored bytes of a layer. Several may be read at once; GraphbuildError from `read` where the digest differs."""
        layer = self.layers[index]
        return open_stored(self.files, layer.name, self.source, layer.digest)

    def close(self) -> None:
        self.files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Stored(io.RawIOBase):
    """A span as a file (RawIOBase is how the standard library spells one), which checks its digest, if any, at the end."""

    def __init__(self, span: Span, digest: Digest | None, source: str) -> None:
        self._span = span
        self._position = 0
        self._digest = digest
        self._hash = hashlib.new(digest.algorithm) if digest else None
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        view = memoryview(buffer)[: self._span.size - self._position]
        count = os.preadv(self._span.fd, [view], self._span.start + self._position) if view else 0
        if view and count == 0:
            raise mistake(f"{self._source}: a blob became shorter while it was read")
        self._position += count
        if self._hash and self._digest:
            self._hash.update(view[:count])
            if self._position == self._span.size:
                _compare(self._hash.hexdigest(), self._digest, self._source)
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._span.fd)
        super().close()


def open_stored(files: Files, name: str, source: str, digest: Digest | None = None) -> io.BufferedReader:
    """A file of the source as a stream, verified at its end where a digest is given."""
    return io.BufferedReader(_Stored(open_span(files, name, source), digest, source), _CHUNK)


def _compare(actual: str, digest: Digest, source: str) -> None:
    if actual != digest.hex:
        raise mistake(f"{source}: blob {digest} is corrupt: its bytes have {digest.algorithm}:{actual}")


def blob_digest(text: str, source: str) -> Digest:
    """The digest of a blob, as a descriptor names it."""
    try:
        digest = parse_digest(text)
    except ValueError as error:
        raise mistake(f"{source}: {error}") from None
    if digest.algorithm not in ("sha256", "sha512"):
        raise mistake(f"{source}: {digest}: blobs are named by sha256 or sha512")
    return digest


def open_span(files: Files, name: str, source: str) -> Span:
    """Like `files.open`, where the file must be there."""
    span = files.open(name)
    if span is None:
        raise mistake(f"{source}: {name} is missing")
    return span


def read_file(files: Files, name: str, source: str) -> bytes:
    """A document by its name, unverified, of at most LARGEST_DOCUMENT bytes."""
    span = open_span(files, name, source)
    try:
        if span.size > LARGEST_DOCUMENT:
            raise mistake(f"{source}: {name} has {span.size} bytes; at most {LARGEST_DOCUMENT} are read")
        return os.pread(span.fd, span.size, span.start)
    finally:
        os.close(span.fd)


def read_blob(files: Files, descriptor: Descriptor, source: str) -> bytes:
    """A document by its descriptor, verified."""
    digest = blob_digest(descriptor.digest, source)
    data = read_file(files, blob_name(digest), source)
    if len(data) != descriptor.size:
        raise mistake(f"{source}: blob {digest} has {len(data)} bytes, its descriptor says {descriptor.size}")
    _compare(hashlib.new(digest.algorithm, data).hexdigest(), digest, source)
    return data


def parse_document(data: bytes, kind: type[T], what: str, source: str) -> T:
    """`decode`, with errors that name the source and the document."""
    try:
        return decode(data, kind)
    except ValueError as error:
        raise mistake(f"{source}: {what} is not valid: {error}") from None
