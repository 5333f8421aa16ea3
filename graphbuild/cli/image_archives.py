"""`graphbuild image save`, `load` and `import`: images that come from files, pipes and URLs, and go there."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from graphbuild.engine.archives import load, save
from graphbuild.engine.changes import apply_changes
from graphbuild.engine.importing import import_tar
from graphbuild.engine.library import Library, familiar, full_name
from graphbuild.store.images import StoredImage
from graphbuild.values.config import Config
from graphbuild.values.errors import EXIT_OK, mistake

_LARGEST = 256 << 30  # bytes of a download


def saved(library: Library, options: Any) -> int:
    """Images into an archive, a layout, or stdout."""
    chosen: dict[StoredImage, dict[str, None]] = {}
    for text in options.images:
        for image, name in library.meant(text):
            chosen.setdefault(image, {}).update({name: None} if name else {})
    images = [(image, tuple(names)) for image, names in chosen.items()]
    if options.output:
        save(library, images, options.format, options.compression, Path(options.output))
        return EXIT_OK
    if options.format == "oci":
        raise mistake("an OCI layout is a folder", hint="say where: -o DIR")
    if sys.stdout.isatty():
        raise mistake("an archive is not for a terminal", hint="say where: -o FILE, or redirect stdout")
    with library.store.scratch() as scratch:
        path = scratch / "archive"
        save(library, images, options.format, options.compression, path)
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
            sys.stdout.buffer.flush()
    return EXIT_OK


def loaded(library: Library, options: Any) -> int:
    """The images of an archive or a layout, one by one: what was taken in before something is found wrong stays."""
    path = options.input or options.path or "-"
    with library.store.scratch() as scratch:
        source = Path(path)
        if path == "-":
            source = scratch / "archive"
            with source.open("wb") as file, _stdin() as stream:
                shutil.copyfileobj(stream, file, 1 << 20)
        for taken in load(library, source, scratch, platform=options.platform, source="stdin" if path == "-" else path):
            for name in taken.names:
                sys.stdout.write(f"{taken.image.id}\n" if options.quiet else f"Loaded image: {familiar(name)}\n")
            if not taken.names:
                sys.stdout.write(f"{taken.image.id}\n" if options.quiet else f"Loaded image ID: {taken.image.id}\n")
    return EXIT_OK


def imported(library: Library, options: Any) -> int:
    """A root file system becomes an image."""
    names = [full_name(options.name)] if options.name else []
    config = apply_changes(Config(), options.change)
    with library.store.scratch() as scratch, _opened(options.source, scratch) as stream:
        image = import_tar(library, stream, options.source, names=names, config=config, message=options.message, platform=options.platform)
    sys.stdout.write(f"{image.id}\n")
    return EXIT_OK


@contextlib.contextmanager
def _opened(source: str, scratch: Path) -> Iterator[BinaryIO]:
    """What is imported, as a stream: a file, stdin, or what a URL serves."""
    if source == "-":
        with _stdin() as stream:
            yield stream
        return
    path = Path(source)
    if source.startswith(("http://", "https://")):
        path = scratch / "download"
        _download(source, path)
    try:
        file = path.open("rb")
    except OSError as error:
        raise mistake(f"cannot read {source}: {error.strerror}") from None
    with file:
        yield file


def _download(url: str, path: Path) -> None:
    from graphbuild.network.files import download
    from graphbuild.network.http import HttpNetwork

    network = HttpNetwork()
    try:
        with path.open("wb") as file:
            download(network, (url,), file.fileno(), sha256="", size=0, limit=_LARGEST)
    finally:
        network.close()


def _stdin() -> BinaryIO:
    if sys.stdin.isatty():
        raise mistake("stdin is a terminal", hint="name a file, or pipe an archive in")
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
