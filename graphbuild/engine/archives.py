"""Images that come from archives and layouts, and go there."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from graphbuild.engine.library import Library, full_name
from graphbuild.image.model import from_oci
from graphbuild.image.read import read_images
from graphbuild.image.write import Format, ImageContent, ImageLayer, write_images
from graphbuild.store.images import StoredImage, StoredLayer
from graphbuild.values.digest import Digest
from graphbuild.values.errors import GraphbuildError, mistake


class Loaded(msgspec.Struct, frozen=True):
    """An image that was taken in, and the full names it came with."""

    image: StoredImage
    names: tuple[str, ...]


def load(library: Library, path: Path, scratch: Path, *, platform: str = "", source: str = "") -> Iterator[Loaded]:
    """Every image of a docker archive, an OCI archive or an OCI layout, one by one. GraphbuildError for what is none, or is damaged."""
    for opened, written in read_images(path, platform=platform, source=source, scratch=scratch):
        names = tuple(name for text in written for name in _names(text))
        yield Loaded(library.take(opened, names, opened.source), names)


def _names(text: str) -> list[str]:
    """A name as an archive has it; one that nobody could type is dropped, as nothing else would be known of the image."""
    try:
        return [full_name(text)]
    except GraphbuildError:
        return []


def save(
    library: Library, images: Sequence[tuple[StoredImage, tuple[str, ...]]], format_: Format, codec: str, destination: Path
) -> list[Digest]:
    """Write images, with those names, into one archive or layout. Returns their manifests' digests. A docker archive's layers are never packed."""
    codec = "none" if format_ == "docker" else codec
    return write_images([content(library, image, names, codec) for image, names in images], format_, codec, destination)


def content(library: Library, image: StoredImage, names: tuple[str, ...], codec: str) -> ImageContent:
    """An image as what writers take; with a `codec` but "none", its layers in their compressed form too."""
    about = library.about(image)
    layers = tuple(_layer(library, image, layer, codec) for layer in image.layers)
    return ImageContent(from_oci(about), layers, (), _seconds(about.created), names, document=library.document(image))


def _layer(library: Library, image: StoredImage, layer: StoredLayer, codec: str) -> ImageLayer:
    packed = library.store.blob(layer.packed) if layer.packed is not None and codec != "none" else None
    if layer.packed is not None and packed is not None:  # as the registry had it
        return ImageLayer(layer.diff_id, 0, None, (layer.packed, packed.stat().st_size, packed), layer.codec)
    path = library.tar(layer)
    if path is None:
        raise mistake(f"image {image.id.short} is damaged: layer {layer.diff_id.short} is gone", hint="run `graphbuild cache verify`")
    compressed = library.forms.compressed(layer.diff_id, path, codec) if codec != "none" else None
    return ImageLayer(layer.diff_id, path.stat().st_size, path, compressed)


def _seconds(created: str | None) -> int:
    """A config's RFC 3339 time in seconds since 1970; 0 for none, or a strange one."""
    try:
        return max(0, int(datetime.fromisoformat(created or "").timestamp()))
    except (ValueError, OverflowError):
        return 0
