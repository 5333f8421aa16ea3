"""Images in: an OCI layout folder, an OCI archive, a `docker save` archive of any age, told apart by their content.

Invariants: manifest and config are verified before anything they say is used; every error is a GraphbuildError that
names the source and the digest. Layers are verified as they are read (`source`).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from graphbuild.image.docker_archive import list_docker_archive, read_docker_archive
from graphbuild.image.files import Files, open_files
from graphbuild.image.model import CONFIGS, LAYERS, Descriptor, ImageConfig, Index, Manifest, blob_name, from_oci, pasts
from graphbuild.image.select import check_platform, list_manifests, select_manifest
from graphbuild.image.source import (
    Listed,
    SourceImage,
    SourceLayer,
    blob_digest,
    open_span,
    parse_document,
    read_blob,
    read_file,
)
from graphbuild.values.digest import Digest
from graphbuild.values.errors import GraphbuildError, mistake

__all__ = ["SourceImage", "SourceLayer", "open_image", "read_images"]


def open_image(path: Path, *, reference: str = "", platform: str = "", source: str = "", scratch: Path | None = None) -> SourceImage:
    """The image at `path`; close it when its layers are read.

    `reference` is a tag, a digest or "" (the only image); `platform` is `os/arch[/variant]` or "" (this machine's where there
    are several); `source` names the image in errors; `scratch` is where a compressed archive is unpacked to.
    """
    source = source or str(path)
    files = open_files(path, source, scratch)
    try:
        return _read(files, reference, platform, source)
    except BaseException:
        files.close()
        raise


def read_images(
    path: Path, *, platform: str = "", source: str = "", scratch: Path | None = None
) -> Iterator[tuple[SourceImage, tuple[str, ...]]]:
    """Every image at `path` with the names that it has there, as written. An image may be read until the next one is asked for."""
    source = source or str(path)
    files = open_files(path, source, scratch)
    try:
        for listed in _listed(files, source):
            yield _read(files, listed.reference, platform, source), listed.names
    finally:
        files.close()


def _listed(files: Files, source: str) -> list[Listed]:
    if _has(files, "oci-layout"):
        return list_manifests(parse_document(read_file(files, "index.json", source), Index, "index.json", source))
    if _has(files, "manifest.json"):
        return list_docker_archive(files, source)
    raise _none(source)


def _none(source: str) -> GraphbuildError:
    return mistake(f"{source}: no image: holds neither oci-layout nor manifest.json", hint="a root file system is read by the `tar` rule")


def _read(files: Files, reference: str, platform: str, source: str) -> SourceImage:
    if _has(files, "oci-layout"):
        return _read_layout(files, reference, platform, source)
    if _has(files, "manifest.json"):
        return read_docker_archive(files, reference, platform, source)
    raise _none(source)


def _has(files: Files, name: str) -> bool:
    span = files.open(name)
    if span is not None:
        os.close(span.fd)
    return span is not None


def _read_layout(files: Files, reference: str, platform: str, source: str) -> SourceImage:
    index = parse_document(read_file(files, "index.json", source), Index, "index.json", source)
    return read_index(files, index, reference, platform, source)


def read_index(files: Files, index: Index, reference: str, platform: str, source: str, *, here: bool = True) -> SourceImage:
    """The image of an index that is meant. `here`: all of its blobs are there, and a layer that is not is an error now."""
    descriptor = select_manifest(files, index, reference, platform, source)
    manifest = parse_document(read_blob(files, descriptor, source), Manifest, f"manifest {descriptor.digest}", source)
    if manifest.config.media_type not in CONFIGS:
        raise mistake(f"{source}: {descriptor.digest} is not an image but an artifact with a config of type {manifest.config.media_type}")
    document = read_blob(files, manifest.config, source)
    config = parse_document(document, ImageConfig, f"config {manifest.config.digest}", source)
    check_platform(config, platform, source)
    diff_ids = [blob_digest(text, source) for text in config.rootfs.diff_ids or ()]
    if len(diff_ids) != len(manifest.layers):
        raise mistake(
            f"{source}: config {manifest.config.digest} names {len(diff_ids)} layers, manifest {descriptor.digest} {len(manifest.layers)}"
        )
    layers = tuple(
        _layer(files if here else None, layer, diff_id, source) for layer, diff_id in zip(manifest.layers, diff_ids, strict=True)
    )
    try:
        return SourceImage(from_oci(config), document, layers, blob_digest(descriptor.digest, source), files, source, pasts(config))
    except ValueError as error:
        raise mistake(f"{source}: config {manifest.config.digest}: {error}") from None


def _layer(files: Files | None, layer: Descriptor, diff_id: Digest, source: str) -> SourceLayer:
    digest = blob_digest(layer.digest, source)
    if layer.media_type not in LAYERS:
        raise mistake(f"{source}: layer {digest} has type {layer.media_type}, which is no layer of an image")
    name = blob_name(digest)
    if files is not None:
        span = open_span(files, name, source)
        os.close(span.fd)
        if span.size != layer.size:
            raise mistake(f"{source}: layer {digest} has {span.size} bytes, its descriptor says {layer.size}")
    return SourceLayer(digest, layer.size, layer.media_type, diff_id, name)
