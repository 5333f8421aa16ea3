"""`graphbuild image`: what people do with images, as Docker's `image` commands do it."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from graphbuild.build.project import find_site
from graphbuild.cli import image_lists
from graphbuild.cli.asking import make_sure
from graphbuild.engine.library import Library, familiar, full_name
from graphbuild.engine.shelves import prune, remove, squash
from graphbuild.sandbox.namespace import enter, identity
from graphbuild.store.forms import Forms
from graphbuild.store.store import Store
from graphbuild.ui.text import size
from graphbuild.values.errors import EXIT_FAILED, EXIT_OK, GraphbuildError

Action = Callable[[Library, Any], int]

_UNMAPPED = ("ls", "inspect", "history", "tag", "rm")  # what reads no layer need not enter namespaces
_CHANGING = ("tag", "rm", "prune", "load", "import", "pull", "squash")  # what may take a name from an image that a build made


def image(options: Any) -> int:
    """Run one of the sub-commands. Returns the exit code."""
    with library(options, mapped=options.action not in _UNMAPPED) as opened:
        try:
            code = _action(options.action)(opened, options)
        finally:
            if options.action in _CHANGING:  # an unchanged build must look again: its image may have lost its name
                opened.store.generation.touch()
                opened.store.sync()
    if options.action == "prune":  # what was looked at above is kept until here
        _collect(options)
    return code


def _action(name: str) -> Action:
    if name in ("save", "load", "import"):
        from graphbuild.cli import image_archives

        return {"save": image_archives.saved, "load": image_archives.loaded, "import": image_archives.imported}[name]
    if name in ("pull", "push"):
        from graphbuild.cli import image_registries

        return {"pull": image_registries.pulled, "push": image_registries.pushed}[name]
    if name in ("tree", "diff", "whose"):
        from graphbuild.cli import image_views

        return {"tree": image_views.tree, "diff": image_views.diff, "whose": image_views.whose}[name]
    own: dict[str, Action] = {
        "ls": image_lists.listed,
        "inspect": image_lists.inspected,
        "history": image_lists.history,
        "tag": _tag,
        "rm": _remove,
        "prune": _prune,
        "squash": _squash,
        "verify": _verify,
    }
    return own[name]


@contextlib.contextmanager
def library(options: Any, *, mapped: bool) -> Iterator[Library]:
    """The images of the store that builds in this folder use. `mapped`: their files are read or written, which takes their owners' ids."""
    site = find_site(Path.cwd(), options.store)
    ids = (enter() if mapped else identity()).ids
    with contextlib.closing(Store(site.store)) as store:
        try:
            with store.lease():
                yield Library(store, Forms(store, site.settings.source_date_epoch, ids))
        finally:
            if mapped:  # archives were unpacked, and are as large as images
                store.sweep()


def _tag(library: Library, options: Any) -> int:
    library.store.images.set_name(full_name(options.name), library.find(options.image).id)
    return EXIT_OK


def _remove(library: Library, options: Any) -> int:
    failed = []
    for text in options.images:
        try:
            removed = remove(library, text, force=options.force)
        except GraphbuildError as error:  # the others go all the same
            failed.append(error)
            continue
        for name in removed.names:
            sys.stdout.write(f"Untagged: {familiar(name)}\n")
        if removed.image is not None:
            sys.stdout.write(f"Deleted: {removed.image.id}\n")
    image_lists.complain(failed)
    return EXIT_OK


def _prune(library: Library, options: Any) -> int:
    if not options.force:
        make_sure("all images that no container is made of" if options.all else "all images without a name")
    for gone in prune(library, everything=options.all):
        sys.stdout.write(f"Deleted: {gone.id}\n")
    return EXIT_OK


def _collect(options: Any) -> None:
    with contextlib.closing(Store(find_site(Path.cwd(), options.store).store)) as store:
        sys.stdout.write(f"freed {size(store.gc(None, None).freed)}\n")


def _squash(library: Library, options: Any) -> int:
    names = [full_name(tag) for tag in options.tag]
    sys.stdout.write(f"{squash(library, library.find(options.image), names, options.message).id}\n")
    return EXIT_OK


def _verify(library: Library, options: Any) -> int:
    from graphbuild.engine.contents import damages

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
