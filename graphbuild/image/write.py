"""Images out: OCI layout folders, OCI archives, docker archives, from uncompressed and compressed layer blobs.

Invariants: the same content gives the same bytes, whatever the clock, the machine and the order of threads; a
destination is replaced at once or not at all (`place`); a folder that is not an OCI layout is never replaced; blobs are
copied inside the kernel, never linked: a layout belongs to its user, who may change it, and the store must not change
with it. Knows neither store nor codecs: blobs are given.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from graphbuild.image.model import (
    CONTAINERD_NAME,
    LAYER_SUFFIX,
    LAYOUT_FILE,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    REF_NAME,
    Descriptor,
    Index,
    Manifest,
    Platform,
    blob_name,
    encode,
    to_oci,
)
from graphbuild.image.place import copy_range, place_file, place_folder, writing
from graphbuild.image.reference import Reference, parse_reference
from graphbuild.values.config import Config, Past
from graphbuild.values.digest import Digest, sha256
from graphbuild.values.errors import mistake

Format = Literal["oci", "oci-archive", "docker"]
_BLOCK = 512
_LAYOUT_NAMES = frozenset({"blobs", "index.json", "oci-layout"})


class ImageLayer(msgspec.Struct, frozen=True):
    """A layer as blobs: the uncompressed tar of `size` bytes, and (digest, size, path) of its compressed form, where they are wanted.

    `codec`: that of the compressed form, where it is not the image's.
    """

    diff_id: Digest
    size: int
    blob: Path | None
    compressed: tuple[Digest, int, Path] | None = None
    codec: str = ""


class ImageContent(msgspec.Struct, frozen=True):
    """An image to be written: layers lowest first; `created` is seconds since 1970, of the image and of every header.

    `document` is its config byte for byte, where there is one already; else it is made from `config`.
    """

    config: Config
    layers: tuple[ImageLayer, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()
    created: int = 0
    tags: tuple[str, ...] = ()
    history: tuple[Past, ...] = ()
    document: bytes = b""


class IndexContent(msgspec.Struct, frozen=True):
    """An index to be written: an image for each platform, which have no tags of their own."""

    images: tuple[ImageContent, ...]
    annotations: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    created: int = 0


class Member(msgspec.Struct, frozen=True):
    """A file of a layout: `size` bytes, which are `content` or come from a blob."""

    name: str
    size: int
    content: bytes | Path


class _DockerEntry(msgspec.Struct, frozen=True, rename="pascal"):
    config: str
    repo_tags: tuple[str, ...]
    layers: tuple[str, ...]


def config_of(content: ImageContent) -> bytes:
    """The config as JSON: its digest is Docker's image id."""
    diff_ids = [layer.diff_id for layer in content.layers]
    return content.document or encode(to_oci(content.config, diff_ids, content.history, content.created))


def manifest_of(content: ImageContent, codec: str) -> tuple[bytes, bytes, Digest, Digest]:
    """Config and manifest as JSON, and their digests. `codec` is "none", "gzip" or "zstd": that of the layers' compressed forms.

    ValueError where a layer lacks that form.
    """
    layers = content.layers
    config = config_of(content)
    config_digest = sha256(hashlib.sha256(config).hexdigest())
    suffixes = [LAYER_SUFFIX[codec if codec == "none" else layer.codec or codec] for layer in layers]
    blobs = [(suffix, *stored(layer, codec)) for layer, suffix in zip(layers, suffixes, strict=True)]
    manifest = Manifest(
        schema_version=2,
        media_type=OCI_MANIFEST,
        config=Descriptor(OCI_CONFIG, str(config_digest), len(config)),
        layers=tuple(Descriptor(OCI_LAYER + suffix, str(digest), size) for suffix, digest, size, _ in blobs),
        annotations=dict(content.annotations) or None,
    )
    data = encode(manifest)
    return config, data, config_digest, sha256(hashlib.sha256(data).hexdigest())


def parse_tags(tags: tuple[str, ...]) -> list[Reference]:
    """Tags as references, each once, in order. GraphbuildError for one that no registry would take."""
    found: dict[str, Reference] = {}
    for text in tags:
        try:
            tag = parse_reference(text)
        except ValueError as error:
            raise mistake(f"bad tag: {error}") from None
        if tag.digest:
            raise mistake(f"bad tag: {text!r} holds a digest", hint="a tag is written name[:tag]")
        found.setdefault(tag.full, tag)
    return list(found.values())


def write_layout(content: ImageContent, codec: str, destination: Path) -> Digest:
    """Write an OCI layout folder, in the place of one that is there, and return the manifest's digest."""
    return write_images([content], "oci", codec, destination)[0]


def write_oci_archive(content: ImageContent, codec: str, destination: Path) -> Digest:
    """Write an OCI layout as a tar, in the place of what file is there, and return the manifest's digest."""
    return write_images([content], "oci-archive", codec, destination)[0]


def write_docker_archive(content: ImageContent, destination: Path) -> Digest:
    """Write what `docker load` reads; returns the manifest's digest."""
    return write_images([content], "docker", "none", destination)[0]


def write_images(contents: Sequence[ImageContent], format_: Format, codec: str, destination: Path) -> list[Digest]:
    """Write images into one folder or archive, in the place of one that is there; returns their manifests' digests.

    "docker" is an OCI layout of uncompressed layers with a manifest.json for older readers: the shape that `docker save` writes
    since Docker 25, and Docker 20.10 loads too.
    """
    members, digests = _layout(contents, "none" if format_ == "docker" else codec)
    created = max((content.created for content in contents), default=0)
    if format_ == "oci":
        _check_replaceable(destination)
        with writing(destination):
            _write_folder(members, created, destination)
    else:
        listing = [_listing(contents)] if format_ == "docker" else []
        _write_archive([*listing, *members], created, destination)
    return digests


def write_index(content: IndexContent, format_: str, codec: str, destination: Path) -> Digest:
    """Write an index with its images as an OCI layout ("oci") or archive ("oci-archive"); returns the index's digest."""
    members, _ = _layout(content.images, codec)
    index, digest = index_of(content, codec)
    tops = _tagged(Descriptor(OCI_INDEX, str(digest), len(index)), content.tags)
    listing = encode(Index(2, tuple(_bare_once(tops)), OCI_INDEX))
    by_name = {member.name: member for member in members}
    by_name["index.json"] = Member("index.json", len(listing), listing)
    first = [by_name.pop(name) for name in ("oci-layout", "index.json")]
    members = [*first, Member(blob_name(digest), len(index), index), *by_name.values()]
    if format_ == "oci":
        _check_replaceable(destination)
        with writing(destination):
            _write_folder(members, content.created, destination)
    else:
        _write_archive(members, content.created, destination)
    return digest


def index_of(content: IndexContent, codec: str) -> tuple[bytes, Digest]:
    """An OCI image index as JSON, and its digest."""
    descriptors = []
    for image in content.images:
        _, manifest, _, digest = manifest_of(image, codec)
        descriptors += _descriptors(image, manifest, digest)
    data = encode(Index(2, tuple(descriptors), OCI_INDEX, dict(content.annotations) or None))
    return data, sha256(hashlib.sha256(data).hexdigest())


def layout_members(content: ImageContent, codec: str) -> tuple[list[Member], Digest]:
    """The files of a layout of one image, and its manifest's digest."""
    members, digests = _layout([content], codec)
    return members, digests[0]


def docker_members(content: ImageContent) -> tuple[list[Member], Digest]:
    """The files of an archive for `docker load` of one image, and its manifest's digest."""
    members, digest = layout_members(content, "none")
    return [_listing([content]), *members], digest


def _listing(contents: Sequence[ImageContent]) -> Member:
    """The manifest.json of a docker archive."""
    entries = [
        _DockerEntry(
            config=blob_name(manifest_of(content, "none")[2]),
            repo_tags=tuple(tag.familiar for tag in parse_tags(content.tags)),
            layers=tuple(blob_name(layer.diff_id) for layer in content.layers),
        )
        for content in contents
    ]
    listing = msgspec.json.encode(entries)
    return Member("manifest.json", len(listing), listing)


def stored(layer: ImageLayer, codec: str) -> tuple[Digest, int, Path]:
    """A layer's blob as the manifest names it: digest, size, file."""
    if codec == "none" and layer.blob is not None:
        return layer.diff_id, layer.size, layer.blob
    if layer.compressed is None:
        raise ValueError(f"layer {layer.diff_id} has no {codec} form")
    return layer.compressed


def _layout(contents: Sequence[ImageContent], codec: str) -> tuple[list[Member], list[Digest]]:
    """The files of a layout: small ones first, so that readers of a stream know early what comes; each blob once."""
    documents: list[Member] = []
    layers: list[Member] = []
    descriptors: list[Descriptor] = []
    digests: list[Digest] = []
    for content in contents:
        config, manifest, config_digest, manifest_digest = manifest_of(content, codec)
        documents += [
            Member(blob_name(manifest_digest), len(manifest), manifest),
            Member(blob_name(config_digest), len(config), config),
        ]
        layers += [Member(blob_name(digest), size, path) for digest, size, path in (stored(layer, codec) for layer in content.layers)]
        descriptors += _descriptors(content, manifest, manifest_digest)
        digests.append(manifest_digest)
    index = encode(Index(2, tuple(_bare_once(descriptors)), OCI_INDEX))
    members = [
        Member("oci-layout", len(LAYOUT_FILE), LAYOUT_FILE),
        Member("index.json", len(index), index),
        *documents,
        *layers,
    ]
    unique: dict[str, Member] = {}
    for member in members:
        unique.setdefault(member.name, member)
    return list(unique.values()), digests


def _descriptors(content: ImageContent, manifest: bytes, digest: Digest) -> list[Descriptor]:
    """One a tag."""
    config = content.config
    platform = Platform(config.architecture, config.os, config.variant or None)
    return _tagged(Descriptor(OCI_MANIFEST, str(digest), len(manifest), None, platform), content.tags)


def _tagged(descriptor: Descriptor, tags: tuple[str, ...]) -> list[Descriptor]:
    """One a tag. Readers look names up by the bare tag (skopeo) or in full (containerd)."""
    notes = [{CONTAINERD_NAME: tag.full, REF_NAME: tag.tag} for tag in parse_tags(tags)]
    return [msgspec.structs.replace(descriptor, annotations=note) for note in notes] or [descriptor]


def _bare_once(descriptors: Iterable[Descriptor]) -> Iterator[Descriptor]:
    """A bare tag names one image of a layout only: the first."""
    given: set[str] = set()
    for descriptor in descriptors:
        notes = descriptor.annotations or {}
        tag = notes.get(REF_NAME, "")
        if tag in given:
            notes = {name: text for name, text in notes.items() if name != REF_NAME}
        given |= {tag} - {""}
        yield msgspec.structs.replace(descriptor, annotations=notes or None)


def _check_replaceable(destination: Path) -> None:
    try:
        names = set(os.listdir(destination))
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise mistake(f"cannot write an OCI layout to {destination}: a file is there", hint="remove it, or choose another path") from None
    if names and (names.isdisjoint({"oci-layout", "index.json"}) or names - _LAYOUT_NAMES):
        strange = ", ".join(sorted(names - _LAYOUT_NAMES)[:5]) or "neither oci-layout nor index.json"
        raise mistake(
            f"cannot write an OCI layout to {destination}: the folder there is something else ({strange})",
            hint="remove it, or choose another path",
        )


def _write_folder(members: list[Member], created: int, destination: Path) -> None:
    with place_folder(destination) as folder:
        for member in members:
            path = folder / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                _write_content(member, fd)
                os.utime(fd, (created, created))
                os.fsync(fd)
            finally:
                os.close(fd)


def _write_archive(members: list[Member], created: int, destination: Path) -> None:
    if destination.is_dir():
        raise mistake(f"cannot write an archive to {destination}: a folder is there", hint="remove it, or choose another path")
    with writing(destination):
        _write_tar(members, created, destination)


def _write_tar(members: list[Member], created: int, destination: Path) -> None:
    with place_file(destination) as fd:
        for folder in ("blobs/", "blobs/sha256/"):  # unlisted, skopeo makes them as root's: as an ordinary user it fails
            _write_all(fd, header(folder, 0, created))
        for member in members:
            _write_all(fd, header(member.name, member.size, created))
            _write_content(member, fd)
            _write_all(fd, bytes(-member.size % _BLOCK))
        _write_all(fd, bytes(2 * _BLOCK))


def _write_content(member: Member, fd: int) -> None:
    if isinstance(member.content, bytes):
        _write_all(fd, member.content)
    else:
        copy_range(member.content, fd, member.size)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def header(name: str, size: int, created: int) -> bytes:
    """A ustar header of a file, or (trailing slash) a folder; owner 0:0. Sizes beyond eleven octal digits (8 GiB) take GNU's base-256."""
    number = b"%011o\0" % size if size < 1 << 33 else b"\x80" + size.to_bytes(11, "big")
    mode, kind = (0o755, b"5") if name.endswith("/") else (0o644, b"0")
    fields = (name.encode().ljust(100, b"\0"), b"%07o\0" % mode, b"0000000\0", b"0000000\0", number, b"%011o\0" % max(created, 0))
    head = b"".join((*fields, b" " * 8, kind.ljust(101, b"\0"), b"ustar\x0000", bytes(64), b"0000000\0", b"0000000\0")).ljust(_BLOCK, b"\0")
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]
