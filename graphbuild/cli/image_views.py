"""`graphbuild image tree`, `diff` and `whose`: what images hold, as text, JSON and Markdown."""

import os
import sys
from typing import Any

import msgspec

from graphbuild.cli.differences import markdown, plain
from graphbuild.engine.comparing import difference
from graphbuild.engine.contents import LayerContents, layers_of, origin
from graphbuild.engine.library import Library
from graphbuild.ui.text import clean, size
from graphbuild.values.errors import EXIT_OK, mistake


def tree(library: Library, options: Any) -> int:
    """What an image holds, layer by layer."""
    layers = layers_of(library, library.find(options.image))
    if options.json:
        _write_json([_layer_fields(layer, options.top) for layer in layers])
        return EXIT_OK
    for number, layer in enumerate(layers, 1):
        made = layer.step.layer.target if layer.step.layer else ""
        title = clean(" ".join((layer.step.history.created_by or layer.step.history.comment or "").split()))[:100]
        hidden = f", {size(layer.hidden)} of them never seen" if layer.hidden else ""
        sys.stdout.write(f"layer {number}  {size(layer.size)} in {layer.entries} entries{hidden}  {made or title}\n")
        for file in layer.files[: options.top]:
            mark = f"  ({file.hidden} above)" if file.hidden else ""
            sys.stdout.write(f"  {size(file.size):>8}  /{clean(os.fsdecode(file.path))}{mark}\n")
    total, unseen = sum(layer.size for layer in layers), sum(layer.hidden for layer in layers)
    sys.stdout.write(f"in all {size(total)}, {size(unseen)} shipped and never seen\n")
    return EXIT_OK


def _layer_fields(layer: LayerContents, top: int) -> dict[str, Any]:
    made = layer.step.layer
    return {
        "diff_id": str(made.diff_id) if made else "",
        "target": made.target if made else "",
        "place": made.place if made else "",
        "created_by": layer.step.history.created_by or "",
        "size": layer.size,
        "hidden": layer.hidden,
        "entries": layer.entries,
        "files": [{"path": "/" + _text(file.path), "size": file.size, "hidden": file.hidden} for file in layer.files[:top]],
    }


def diff(library: Library, options: Any) -> int:
    """What differs between two images."""
    found = difference(library, library.find(options.old), library.find(options.new))
    match options.format:
        case "json":
            _write_json(msgspec.to_builtins(found))
        case "markdown":
            sys.stdout.write(markdown(found, f"`{options.old}` → `{options.new}`"))
        case _:
            sys.stdout.write(plain(found))
    return EXIT_OK


def whose(library: Library, options: Any) -> int:
    """Where a file of an image comes from."""
    name, path = _split(options.path)
    found = origin(library, library.find(name), path)
    made = found.step.layer
    fields = {
        "path": "/" + _text(found.entry.path),
        "leads_to": "/" + _text(found.leads_to) if found.leads_to else "",
        "layer": found.number,
        "diff_id": str(made.diff_id) if made else "",
        "target": made.target if made else "",
        "place": made.place if made else "",
        "created_by": found.step.history.created_by or "",
        "package": found.package,
    }
    if options.json:
        _write_json(fields)
        return EXIT_OK
    for key, value in fields.items():
        if value:
            sys.stdout.write(f"{key:12}{clean(str(value))}\n")
    return EXIT_OK


def _split(text: str) -> tuple[str, str]:
    """IMAGE:PATH: no name of an image holds `:/`."""
    name, found, path = text.partition(":/")
    if not found or not name:
        raise mistake(f"{text!r} is not IMAGE:PATH", hint="for example web:1:/usr/bin/python3")
    return name, path


def _text(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def _write_json(value: Any) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
