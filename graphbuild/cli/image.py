"""`graphbuild image`: what people do with images, as Docker's `image` commands do it."""

import contextlib
import fnmatch
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from graphbuild.build.project import find_site
from graphbuild.cli.listing import age, fill, show
from graphbuild.engine.contents import Step, damages, steps
from graphbuild.engine.library import Library, familiar, full_name
from graphbuild.engine.shelves import Shelved, prune, remove, shelf, squash
from graphbuild.sandbox.namespace import enter, identity
from graphbuild.store.forms import Forms
from graphbuild.store.images import StoredImage
from graphbuild.store.store import Store
from graphbuild.ui.text import size
from graphbuild.values.config import Config
from graphbuild.values.errors import EXIT_FAILED, EXIT_OK, mistake

_LIST = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED")
_LIST_FIELDS = ("Repository", "Tag", "ID", "CreatedSince", "Size", "Shared")
_HISTORY = ("LAYER", "CREATED", "CREATED BY", "SIZE", "TARGET", "PLACE", "COMMENT")
_HISTORY_FIELDS = ("ID", "CreatedSince", "CreatedBy", "Size", "Target", "Place", "Comment")
_UNMAPPED = ("ls", "inspect", "history", "tag", "rm")  # what reads no layer need not enter namespaces


def image(options: Any) -> int:
    """Run one of the sub-commands. Returns the exit code."""
    from graphbuild.cli import image_views

    actions: dict[str, Callable[[Library, Any], int]] = {
        "ls": _list,
        "inspect": _inspect,
        "history": _history,
        "tag": _tag,
        "rm": _remove,
        "prune": _prune,
        "save": _save,
        "load": _load,
        "import": _import,
        "squash": _squash,
        "verify": _verify,
        "tree": image_views.tree,
        "diff": image_views.diff,
        "whose": image_views.whose,
    }
    with library(options, mapped=options.action not in _UNMAPPED) as opened:
        code = actions[options.action](opened, options)
    if options.action == "prune":  # what was looked at above is kept until here
        _collect(options)
    return code


@contextlib.contextmanager
def library(options: Any, *, mapped: bool) -> Iterator[Library]:
    """The images of the store that builds in this folder use. `mapped`: their files are read or written, which takes their owners' ids."""
    site = find_site(Path.cwd(), options.store)
    ids = (enter() if mapped else identity()).ids
    with contextlib.closing(Store(site.store)) as store, store.lease():
        yield Library(store, Forms(store, site.settings.source_date_epoch, ids))


def _list(library: Library, options: Any) -> int:
    rows = [row for shelved in shelf(library) if _wanted(shelved, options) for row in _rows(shelved, options)]
    if options.quiet:
        for digest in dict.fromkeys(str(row["ID"]) for row in rows):
            sys.stdout.write(f"{digest}\n")
        return EXIT_OK
    show(options.format, _LIST, rows, _LIST_FIELDS)
    return EXIT_OK


def _rows(shelved: Shelved, options: Any) -> Iterator[dict[str, str]]:
    """A row a name; `<none>` for an image without one."""
    digest = shelved.image.id
    common = {
        "ID": str(digest) if options.no_trunc or options.digests else digest.short,
        "CreatedSince": age(shelved.about.created),
        "CreatedAt": shelved.about.created or "",
        "Size": size(shelved.size),
        "Shared": size(shelved.shared),
        "Unique": size(shelved.size - shelved.shared),
    }
    for name in shelved.names or ("",):
        repository, _, tag = familiar(name).rpartition(":") if name else ("<none>", "", "<none>")
        if not options.name or not name or _matches(name, options.name):
            yield {"Repository": repository, "Tag": tag, **common}


def _matches(name: str, pattern: str) -> bool:
    """Whether a name is meant: by its repository, its whole name, or a glob of either."""
    shown = familiar(name)
    return any(fnmatch.fnmatchcase(text, pattern) for text in (shown, shown.rpartition(":")[0], name, name.rpartition(":")[0]))


def _wanted(shelved: Shelved, options: Any) -> bool:
    if options.name and not any(_matches(name, options.name) for name in shelved.names):
        return False
    labels = (shelved.about.config.labels if shelved.about.config else None) or {}
    for text in options.filter:
        key, _, value = text.partition("=")
        name, equals, wanted = value.partition("=")
        match key:
            case "dangling" if value in ("true", "false"):
                fits = bool(shelved.names) is (value == "false")
            case "label":
                fits = name in labels and (not equals or labels[name] == wanted)
            case "reference":
                fits = any(_matches(full, value) for full in shelved.names)
            case _:
                raise mistake(f"--filter {text!r} is not known", hint="dangling=true|false, label=KEY[=VALUE], reference=GLOB")
        if not fits:
            return False
    return True


def _inspect(library: Library, options: Any) -> int:
    found = [_inspected(library, library.find(text)) for text in options.images]
    if options.format:
        for fields in found:
            sys.stdout.write(fill(options.format, fields) + "\n")
        return EXIT_OK
    sys.stdout.write(json.dumps(found, indent=4) + "\n")
    return EXIT_OK


def _inspected(library: Library, image: StoredImage) -> dict[str, Any]:
    """An image with the fields that Docker's `inspect` gives it, and what only we know of its layers."""
    about = library.about(image)
    names = [familiar(name) for name, digest in library.store.images.names().items() if digest == image.id]
    last = next((entry for entry in reversed(about.history or ())), None)
    return {
        "Id": str(image.id),
        "RepoTags": names,
        "Comment": (last.comment if last else None) or "",
        "Created": about.created or "",
        "Author": about.author or "",
        "Architecture": about.architecture,
        "Variant": about.variant or "",
        "Os": about.os,
        "Size": sum(layer.size for layer in image.layers),
        "Config": msgspec.to_builtins(about.config) if about.config else {},
        "RootFS": {"Type": "layers", "Layers": [str(layer.diff_id) for layer in image.layers]},
        "Layers": [
            {"DiffId": str(layer.diff_id), "Tree": str(layer.tree or ""), "Size": layer.size, "Target": layer.target, "Place": layer.place}
            for layer in image.layers
        ],
    }


def _history(library: Library, options: Any) -> int:
    image = library.find(options.image)
    rows = [_step_row(step, options) for step in reversed(steps(library.about(image), image))]
    if options.quiet:
        sys.stdout.write("".join(f"{row['ID']}\n" for row in rows))
        return EXIT_OK
    show(options.format, _HISTORY, rows, _HISTORY_FIELDS)
    return EXIT_OK


def _step_row(step: Step, options: Any) -> dict[str, str]:
    text = " ".join((step.history.created_by or "").split())
    digest = step.layer.diff_id if step.layer else None
    return {
        "ID": (str(digest) if options.no_trunc else digest.short) if digest else "<none>",
        "CreatedSince": age(step.history.created),
        "CreatedAt": step.history.created or "",
        "CreatedBy": text if options.no_trunc or len(text) <= 60 else text[:59] + "…",
        "Size": size(step.layer.size) if step.layer else "0 B",
        "Target": step.layer.target if step.layer else "",
        "Place": step.layer.place if step.layer else "",
        "Comment": step.history.comment or "",
    }


def _tag(library: Library, options: Any) -> int:
    library.store.images.set_name(full_name(options.name), library.find(options.image).id)
    library.store.sync()
    return EXIT_OK


def _remove(library: Library, options: Any) -> int:
    for text in options.images:
        removed = remove(library, text, force=options.force)
        for name in removed.names:
            sys.stdout.write(f"Untagged: {familiar(name)}\n")
        if removed.image is not None:
            sys.stdout.write(f"Deleted: {removed.image.id}\n")
    _taken_away(library)
    return EXIT_OK


def _taken_away(library: Library) -> None:
    """A build that has not changed must look again: what it made may be what was removed."""
    library.store.generation.touch()


def _prune(library: Library, options: Any) -> int:
    if not options.force:
        which = "all images that no container is made of" if options.all else "all images without a name"
        if not sys.stdin.isatty():
            raise mistake(f"this removes {which}", hint="say -f to do it without asking")
        sys.stderr.write(f"This removes {which}. Are you sure? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            return EXIT_OK
    for gone in prune(library, everything=options.all):
        sys.stdout.write(f"Deleted: {gone.id}\n")
    _taken_away(library)
    return EXIT_OK


def _collect(options: Any) -> None:
    with contextlib.closing(Store(find_site(Path.cwd(), options.store).store)) as store:
        sys.stdout.write(f"freed {size(store.gc(None, None).freed)}\n")


def _save(library: Library, options: Any) -> int:
    from graphbuild.engine.archives import save

    chosen: dict[StoredImage, tuple[str, ...]] = {}
    for text in options.images:
        image = library.find(text)
        named = library.name_of(text, image)
        chosen[image] = (*chosen.get(image, ()), *((named,) if named else ()))
    if options.output:
        save(library, [*chosen.items()], options.format, options.compression, Path(options.output))
        return EXIT_OK
    if options.format == "oci":
        raise mistake("an OCI layout is a folder", hint="say where: -o DIR")
    if sys.stdout.isatty():
        raise mistake("an archive is not for a terminal", hint="say where: -o FILE, or redirect stdout")
    with library.store.scratch() as scratch:
        path = scratch / "archive"
        save(library, [*chosen.items()], options.format, options.compression, path)
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
    return EXIT_OK


def _load(library: Library, options: Any) -> int:
    from graphbuild.engine.archives import load

    path = options.input or options.path or "-"
    with library.store.scratch() as scratch:
        source = Path(path)
        if path == "-":
            source = scratch / "archive"
            with source.open("wb") as file:
                shutil.copyfileobj(_stdin(), file, 1 << 20)
        for loaded in load(library, source, scratch, platform=options.platform, source="stdin" if path == "-" else path):
            for name in loaded.names:
                sys.stdout.write(f"{loaded.image.id}\n" if options.quiet else f"Loaded image: {familiar(name)}\n")
            if not loaded.names:
                sys.stdout.write(f"{loaded.image.id}\n" if options.quiet else f"Loaded image ID: {loaded.image.id}\n")
    library.store.sync()
    return EXIT_OK


def _import(library: Library, options: Any) -> int:
    from graphbuild.engine.changes import apply_changes
    from graphbuild.engine.importing import import_tar

    names = [full_name(options.name)] if options.name else []
    config = apply_changes(Config(), options.change)
    with library.store.scratch() as scratch, _opened(options.source, scratch) as stream:
        image = import_tar(library, stream, options.source, names=names, config=config, message=options.message, platform=options.platform)
    library.store.sync()
    sys.stdout.write(f"{image.id}\n")
    return EXIT_OK


@contextlib.contextmanager
def _opened(source: str, scratch: Path) -> Iterator[BinaryIO]:
    """What is imported, as a stream: a file, stdin, or what a URL serves."""
    if source == "-":
        yield _stdin()
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


_LARGEST = 256 << 30  # bytes of a download


def _stdin() -> BinaryIO:
    if sys.stdin.isatty():
        raise mistake("stdin is a terminal", hint="name a file, or pipe an archive in")
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb")


def _squash(library: Library, options: Any) -> int:
    names = [full_name(tag) for tag in options.tag]
    sys.stdout.write(f"{squash(library, library.find(options.image), names, options.message).id}\n")
    library.store.sync()
    return EXIT_OK


def _verify(library: Library, options: Any) -> int:
    images = [library.find(text) for text in options.images] or library.store.images.all()
    count = 0
    for found in images:
        for damage in damages(library, found):
            count += 1
            sys.stdout.write(f"{found.id.short}: {damage}\n")
    if count:
        sys.stdout.write(f"{count} damaged\n")
        return EXIT_FAILED
    sys.stdout.write(f"{len(images)} images are intact\n" if len(images) != 1 else "the image is intact\n")
    return EXIT_OK
