"""What `docker save` wrote before Docker 25, and `skopeo`, `podman` and `crane` write still: manifest.json, configs, layer tars.

Invariants: a config whose name holds a digest has that digest; a layer's bytes are verified against its name's digest or,
stored uncompressed, against its diff_id. Layers are compressed or not: their first bytes tell.
"""

import hashlib
import os
import re

import msgspec

from graphbuild.image.files import Files, Span
from graphbuild.image.model import LAYER_SUFFIX, OCI_LAYER, ImageConfig, from_oci, pasts
from graphbuild.image.select import check_platform, is_named
from graphbuild.image.source import Listed, SourceImage, SourceLayer, blob_digest, open_span, parse_document, read_file
from graphbuild.image.tar_index import is_tar
from graphbuild.values.digest import Digest, sha256
from graphbuild.values.errors import GraphbuildError, Problem, mistake

_NAMED = re.compile(r"(?:.*/)?(?:sha256:)?([0-9a-f]{64})(?:\.json|\.tar|\.tar\.gz)?")
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_CHUNK = 1 << 20


class _Image(msgspec.Struct, frozen=True, rename="pascal"):
    config: str
    layers: tuple[str, ...] | None = None
    repo_tags: tuple[str, ...] | None = None


class _Archive(msgspec.Struct, frozen=True):
    images: tuple[_Image, ...]


def read_docker_archive(files: Files, reference: str, platform: str, source: str) -> SourceImage:
    """The image of that tag or id, or the only one. GraphbuildError lists what is there."""
    images = _images(files, source)
    found = [image for image in images if not reference or _is(image, reference)]
    if len({image.config for image in found}) != 1:
        what = f"no image {reference}" if reference else "holds several images, and no reference says which" if images else "holds no image"
        there = ", ".join(", ".join(image.repo_tags or ()) or image.config for image in images[:20])
        raise GraphbuildError(Problem(f"{source}: {what}", None, f"there is: {there or 'nothing'}"))
    return _open(files, found[0], platform, source)


def list_docker_archive(files: Files, source: str) -> list[Listed]:
    """The images that `read_docker_archive` can open."""
    found: dict[str, list[str]] = {}
    for image in _images(files, source):
        found.setdefault(_reference(image), []).extend(image.repo_tags or ())
    return [Listed(reference, tuple(dict.fromkeys(names))) for reference, names in found.items()]


def _reference(image: _Image) -> str:
    named = _NAMED.fullmatch(image.config)
    return f"sha256:{named[1]}" if named else next(iter(image.repo_tags or ()), "")


def _images(files: Files, source: str) -> tuple[_Image, ...]:
    listing = b'{"images":%b}' % read_file(files, "manifest.json", source)
    return parse_document(listing, _Archive, "manifest.json", source).images


def _is(image: _Image, reference: str) -> bool:
    digest = reference.partition("@")[2] or reference
    named = _NAMED.fullmatch(image.config)
    if named is not None and digest == f"sha256:{named[1]}":
        return True
    return not reference.startswith("sha256:") and is_named(reference, image.repo_tags or ())


def _open(files: Files, image: _Image, platform: str, source: str) -> SourceImage:
    data = read_file(files, image.config, source)
    digest = sha256(hashlib.sha256(data).hexdigest())
    named = _NAMED.fullmatch(image.config)
    if named and named[1] != digest.hex:
        raise mistake(f"{source}: config {image.config} is corrupt: its bytes have {digest}")
    config = parse_document(data, ImageConfig, f"config {image.config}", source)
    check_platform(config, platform, source)
    diff_ids = [blob_digest(text, source) for text in config.rootfs.diff_ids or ()]
    names = image.layers or ()
    if len(diff_ids) != len(names):
        raise mistake(f"{source}: config {digest} names {len(diff_ids)} layers, manifest.json {len(names)}")
    layers = tuple(_layer(files, name, diff_id, source) for name, diff_id in zip(names, diff_ids, strict=True))
    try:
        return SourceImage(from_oci(config), data, layers, digest, files, source, pasts(config))
    except ValueError as error:
        raise mistake(f"{source}: config {digest}: {error}") from None


def _layer(files: Files, name: str, diff_id: Digest, source: str) -> SourceLayer:
    span = open_span(files, name, source)
    try:
        head = os.pread(span.fd, min(512, span.size), span.start)
        codec = next((codec for magic, codec in _MAGIC.items() if head.startswith(magic)), "none")
        if codec == "none" or is_tar(head):
            return SourceLayer(diff_id, span.size, OCI_LAYER, diff_id, name)
        named = _NAMED.fullmatch(name)
        digest = sha256(named[1]) if named else _digest_of(span)
        return SourceLayer(digest, span.size, OCI_LAYER + LAYER_SUFFIX[codec], diff_id, name)
    finally:
        os.close(span.fd)


def _digest_of(span: Span) -> Digest:
    state = hashlib.sha256()
    for offset in range(0, span.size, _CHUNK):
        state.update(os.pread(span.fd, min(_CHUNK, span.size - offset), span.start + offset))
    return sha256(state.hexdigest())
