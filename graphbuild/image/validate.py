"""The oracle: recomputes every digest of a layout or archive and names all that do not match, not only the first.

Invariants: trusts no file name, no size, no order; whatever it is given it returns a list. Shares `files` and `model` with
the reader, and nothing else of it: no selection, no platform.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec

from graphbuild.image.files import Files, open_files
from graphbuild.image.model import (
    CONFIGS,
    INDEXES,
    LARGEST_DOCUMENT,
    LAYERS,
    MANIFESTS,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    blob_name,
    decode,
)
from graphbuild.image.source import open_stored
from graphbuild.values.digest import parse_digest
from graphbuild.values.errors import GraphbuildError

T = TypeVar("T", bound=msgspec.Struct)
_CHUNK = 1 << 20


def validate_layout(path: Path) -> list[str]:
    """What is wrong with the OCI layout (a folder or an archive) at `path`, a line each; empty for a sound one."""
    try:
        files = open_files(path, str(path))
    except GraphbuildError as error:
        return [str(error)]
    try:
        return list(_problems(files))
    finally:
        files.close()


def _problems(files: Files) -> Iterator[str]:
    try:
        if b'"imageLayoutVersion"' not in _document(files, "oci-layout"):
            yield "oci-layout: no imageLayoutVersion"
        index = decode(_document(files, "index.json"), Index)
    except (ValueError, GraphbuildError) as error:
        yield f"index.json: {error}"
        return
    yield from _blobs(files)
    seen: set[str] = set()
    queue = list(index.manifests)
    while queue:
        descriptor = queue.pop(0)
        if descriptor.digest not in seen:
            seen.add(descriptor.digest)
            wrong, below = _visit(files, descriptor)
            yield from wrong
            queue += below


def _blobs(files: Files) -> Iterator[str]:
    """Every blob, referenced or not, against its name."""
    for name in files.names():
        if name.startswith("blobs/"):
            _, algorithm, hex_ = name.split("/", 2) if name.count("/") == 2 else ("", "", name)
            yield from _blob(files, name, algorithm, hex_)


def _blob(files: Files, name: str, algorithm: str, hex_: str) -> Iterator[str]:
    try:
        digest = parse_digest(f"{algorithm}:{hex_}")
        with open_stored(files, name, name) as stream:
            actual = hashlib.file_digest(stream, digest.algorithm).hexdigest()
    except (ValueError, GraphbuildError) as error:
        yield f"{name}: {error}"
    else:
        if actual != digest.hex:
            yield f"{name}: its bytes have {digest.algorithm}:{actual}"


def _visit(files: Files, descriptor: Descriptor) -> tuple[list[str], tuple[Descriptor, ...]]:
    """What is wrong with a descriptor, and the descriptors in its document."""
    if wrong := _size(files, descriptor):
        return [wrong], ()
    try:
        if descriptor.media_type in INDEXES:
            return [], _load(files, descriptor, Index).manifests
        if descriptor.media_type in MANIFESTS:
            manifest = _load(files, descriptor, Manifest)
            return list(_layers(files, manifest)), (manifest.config, *manifest.layers)
    except (ValueError, GraphbuildError) as error:
        return [f"{descriptor.digest}: {error}"], ()
    return [], ()


def _layers(files: Files, manifest: Manifest) -> Iterator[str]:
    """The layers against the config's diff_ids."""
    if manifest.config.media_type not in CONFIGS:
        return
    diff_ids = _load(files, manifest.config, ImageConfig).rootfs.diff_ids or ()
    if len(diff_ids) != len(manifest.layers):
        yield f"{manifest.config.digest}: names {len(diff_ids)} diff_ids for {len(manifest.layers)} layers"
        return
    for layer, diff_id in zip(manifest.layers, diff_ids, strict=True):
        if layer.media_type not in LAYERS:
            yield f"{layer.digest}: type {layer.media_type} is no layer's"
        else:
            yield from _diff_id(files, layer, diff_id)


def _diff_id(files: Files, layer: Descriptor, diff_id: str) -> Iterator[str]:
    from graphbuild.layers.compression import open_stream  # loads codecs

    try:
        with open_stored(files, _name(layer.digest), layer.digest) as stored:
            actual = f"sha256:{_sha256(open_stream(stored))}"
    except (ValueError, OSError, EOFError, GraphbuildError) as error:
        yield f"{layer.digest}: {error}"
        return
    if actual != diff_id:
        yield f"{layer.digest}: unpacks to {actual}, the config says {diff_id}"


def _size(files: Files, descriptor: Descriptor) -> str:
    try:
        span = files.open(_name(descriptor.digest))
    except (ValueError, GraphbuildError) as error:
        return f"{descriptor.digest}: {error}"
    if span is None:
        return f"{descriptor.digest}: missing"
    os.close(span.fd)
    return "" if span.size == descriptor.size else f"{descriptor.digest}: has {span.size} bytes, its descriptor says {descriptor.size}"


def _load(files: Files, descriptor: Descriptor, kind: type[T]) -> T:
    return decode(_document(files, _name(descriptor.digest)), kind)


def _document(files: Files, name: str) -> bytes:
    with open_stored(files, name, name) as stream:
        data = stream.read(LARGEST_DOCUMENT + 1)
    if len(data) > LARGEST_DOCUMENT:
        raise ValueError(f"larger than {LARGEST_DOCUMENT} bytes")
    return data


def _sha256(stream: BinaryIO) -> str:
    state = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        state.update(chunk)
    return state.hexdigest()


def _name(digest: str) -> str:
    return blob_name(parse_digest(digest))
