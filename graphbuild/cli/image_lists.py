"""`graphbuild image ls`, `inspect` and `history`: what is known of images without reading a layer."""

import fnmatch
import json
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from graphbuild.cli.listing import age, fill, moment, say, show
from graphbuild.engine.contents import Step, steps
from graphbuild.engine.library import Library, familiar
from graphbuild.engine.shelves import Shelved, shelf
from graphbuild.image.model import OciConfig
from graphbuild.store.images import StoredImage
from graphbuild.ui.text import size
from graphbuild.values.errors import EXIT_OK, GraphbuildError, mistake

_LIST = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED")
_LIST_FIELDS = ("Repository", "Tag", "ID", "CreatedSince", "Size", "Shared")
_HISTORY = ("LAYER", "CREATED", "CREATED BY", "SIZE", "TARGET", "PLACE", "COMMENT")
_HISTORY_FIELDS = ("ID", "CreatedSince", "CreatedBy", "Size", "Target", "Place", "Comment")
_FILTERS = "dangling=true|false, label=KEY[=VALUE], reference=GLOB, before=IMAGE, since=IMAGE"
_NOTHING: dict[str, Any] = {
    "User": "",
    "ExposedPorts": {},
    "Env": [],
    "Cmd": [],
    "Volumes": {},
    "WorkingDir": "",
    "Entrypoint": [],
    "OnBuild": [],
    "Labels": {},
    "StopSignal": "",
    "Shell": [],
}

Wanted = Callable[[Shelved, str], bool]


def listed(library: Library, options: Any) -> int:
    """A row a name; `<none>` for an image without one."""
    wanted = [_filter(library, text) for text in options.filter]
    if options.name:
        wanted.append(lambda _, name: _matches(name, options.name))
    rows = [
        _row(shelved, name, options)
        for shelved in shelf(library)
        for name in shelved.names or ("",)
        if all(fits(shelved, name) for fits in wanted)
    ]
    if options.quiet:
        sys.stdout.write("".join(f"{digest}\n" for digest in dict.fromkeys(row["ID"] for row in rows)))
        return EXIT_OK
    show(options.format, _LIST, rows, _LIST_FIELDS)
    return EXIT_OK


def _row(shelved: Shelved, name: str, options: Any) -> dict[str, str]:
    digest = shelved.image.id
    repository, _, tag = familiar(name).rpartition(":") if name else ("<none>", "", "<none>")
    return {
        "Repository": repository,
        "Tag": tag,
        "ID": str(digest) if options.no_trunc or options.digests else digest.short,
        "Digest": str(digest),
        "CreatedSince": age(shelved.about.created),
        "CreatedAt": moment(shelved.about.created),
        "Size": size(shelved.size),
        "Shared": size(shelved.shared),
        "Unique": size(shelved.size - shelved.shared),
    }


def _matches(name: str, pattern: str) -> bool:
    """Whether a name is meant: by its repository, its whole name, or a glob of either as they are shown."""
    if not name:
        return False
    shown = familiar(name)
    return pattern == name or any(fnmatch.fnmatchcase(text, pattern) for text in (shown, shown.rpartition(":")[0]))


def _filter(library: Library, text: str) -> Wanted:
    """What `--filter` lets through: a test of an image under one of its names."""
    key, _, value = text.partition("=")
    label, equals, wanted = value.partition("=")
    match key:
        case "dangling" if value.lower() in ("true", "false", "1", "0"):
            return lambda _, name: bool(name) is (value.lower() in ("false", "0"))
        case "label" if label:
            return lambda shelved, _: label in (labels := _labels(shelved)) and (not equals or labels[label] == wanted)
        case "reference" if value:
            return lambda _, name: _matches(name, value)
        case "before" | "since" if value:
            border = _created(library.about(library.find(value)).created)
            before = key == "before"
            return lambda shelved, _: (_created(shelved.about.created) < border) if before else (_created(shelved.about.created) > border)
    raise mistake(f"--filter {text!r} is not known", hint=_FILTERS)


def _labels(shelved: Shelved) -> dict[str, str]:
    return (shelved.about.config.labels if shelved.about.config else None) or {}


def _created(text: str | None) -> float:
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except (ValueError, OverflowError):
        return 0


def inspected(library: Library, options: Any) -> int:
    """All that is known of images: those that are there are shown, whatever else was asked for."""
    found, missing = find_all(library, options.images)
    fields = [_fields(library, image) for image in found]
    if options.format and options.format != "json":
        for each in fields:
            say(fill(options.format, each))
    else:
        sys.stdout.write(json.dumps(fields, indent=None if options.format else 4) + "\n")
    complain(missing)
    return EXIT_OK


def find_all(library: Library, texts: Sequence[str]) -> tuple[list[StoredImage], list[GraphbuildError]]:
    """The images that are there, and what is to be said of the others."""
    found, missing = [], []
    for text in texts:
        try:
            found.append(library.find(text))
        except GraphbuildError as error:
            missing.append(error)
    return found, missing


def complain(errors: Sequence[GraphbuildError]) -> None:
    """Raise all of them as one, if there are any."""
    if errors:
        raise GraphbuildError(*(problem for error in errors for problem in error.problems))


def _fields(library: Library, image: StoredImage) -> dict[str, Any]:
    """An image with the fields that Docker's `inspect` gives it, and what only we know of its layers."""
    about = library.about(image)
    last = next(iter(reversed(about.history or ())), None)
    return {
        "Id": str(image.id),
        "RepoTags": [familiar(name) for name in library.names_of(image)],
        "RepoDigests": [],
        "Comment": (last.comment if last else None) or "",
        "Created": about.created or "",
        "Author": about.author or "",
        "Config": _NOTHING | msgspec.to_builtins(about.config or OciConfig()),
        "Architecture": about.architecture,
        "Variant": about.variant or "",
        "Os": about.os,
        "Size": sum(layer.size for layer in image.layers),
        "RootFS": {"Type": "layers", "Layers": [str(layer.diff_id) for layer in image.layers]},
        "Layers": [
            {"DiffId": str(layer.diff_id), "Tree": str(layer.tree or ""), "Size": layer.size, "Target": layer.target, "Place": layer.place}
            for layer in image.layers
        ],
    }


def history(library: Library, options: Any) -> int:
    """What made each layer, the topmost first."""
    image = library.find(options.image)
    rows = [_step(step, options) for step in reversed(steps(library.about(image), image))]
    if options.quiet:
        sys.stdout.write("".join(f"{row['ID']}\n" for row in rows))
        return EXIT_OK
    show(options.format, _HISTORY, rows, _HISTORY_FIELDS)
    return EXIT_OK


def _step(step: Step, options: Any) -> dict[str, str]:
    text = " ".join((step.history.created_by or "").split())
    made = step.layer
    return {
        "ID": (str(made.diff_id) if options.no_trunc else made.diff_id.short) if made else "<none>",
        "CreatedSince": age(step.history.created),
        "CreatedAt": step.history.created or "",
        "CreatedBy": text if options.no_trunc or len(text) <= 60 else text[:59] + "…",
        "Size": size(made.size) if made else "0 B",
        "Target": made.target if made else "",
        "Place": made.place if made else "",
        "Comment": step.history.comment or "",
    }
