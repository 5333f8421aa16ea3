"""A root file system becomes an image of one layer and an empty config, as by `docker import`."""

import os
import time
from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from graphbuild.engine.library import Library
from graphbuild.image.model import History, ImageConfig, RootFs, encode, timestamp, to_oci
from graphbuild.image.select import parse_platform
from graphbuild.store.images import StoredImage, StoredLayer
from graphbuild.values.config import Config
from graphbuild.values.digest import sha256
from graphbuild.values.errors import mistake
from graphbuild.values.platform import this_platform

_NO_BYTES = sha256("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def import_tar(
    library: Library,
    stream: BinaryIO,
    source: str,
    *,
    names: Sequence[str] = (),
    config: Config = Config(),  # noqa: B008 - frozen
    message: str = "",
    platform: str = "",
) -> StoredImage:
    """Take in a tar (plain, gz, bz2, xz, zst). `source` is what history says it came from, `config` what its containers start with."""
    diff_id, tree = library.forms.take_tar(stream, source)
    if diff_id == _NO_BYTES:  # what a pipe gives whose other end failed; a tar without members is an image without files
        raise mistake(f"{source} is empty", hint="an archive of a root file system is wanted")
    wanted = parse_platform(platform or this_platform())
    config = msgspec.structs.replace(config, architecture=wanted.architecture, os=wanted.os, variant=wanted.variant or "")
    created = created_now()
    document: ImageConfig = msgspec.structs.replace(
        to_oci(config, [diff_id], (), created),
        history=(History(timestamp(created), comment=message or f"Imported from {source}"),),
        rootfs=RootFs("layers", (str(diff_id),)),
    )
    return library.put(encode(document), [StoredLayer(diff_id, tree, library.size(tree))], names)


def created_now() -> int:
    """When an image is made by hand, in seconds since 1970: SOURCE_DATE_EPOCH where the environment has it, else now."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    return int(text) if text.isascii() and text.isdigit() else int(time.time())
