"""`commit --spec`: what was done in a container by hand, as a build: files, and a build.yaml that puts them where they are.

The folder then holds `base` (the container's image as an OCI layout), `changes.tar` (what was added or changed), and `build.yaml`, whose
steps take away what was deleted and unpack the rest. Building it gives the container's tree, and its config.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from graphbuild.engine.changes import apply_changes
from graphbuild.engine.containers.changed import capture_changes, stack_of
from graphbuild.engine.containers.commit import committed
from graphbuild.engine.containers.place import Opened, Place
from graphbuild.engine.containers.shelf import Container
from graphbuild.image.place import writing
from graphbuild.image.write import ImageContent, ImageLayer, write_layout
from graphbuild.layers.stack import Stack
from graphbuild.layers.tar_write import write_layer_tar
from graphbuild.values.config import Config
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import mistake

_HEAD = "# What was done by hand in container {}, as a build: `graphbuild run` here makes the same image.\n"


def write_spec(place: Place, opened: Opened, container: Container, folder: str, changes: Sequence[str], *, pause: bool) -> str:
    """Write the folder; returns the text of its build.yaml."""
    home = Path(folder)
    if (home / "build.yaml").exists():
        raise mistake(f"{home / 'build.yaml'} is there already", hint="name another folder")
    stack = stack_of(opened, container)
    with opened.store.scratch() as scratch, writing(home):
        home.mkdir(parents=True, exist_ok=True)
        entries, upper = capture_changes(place, opened, container, scratch, pause=pause)
        _write_base(opened, container, home / "base")
        kept = [msgspec.structs.replace(entry, opaque=False) for entry in entries if entry.kind is not Kind.WHITEOUT]
        if kept:
            _write_tar(kept, upper, home / "changes.tar")
        before = opened.library.config(container.spec.image)
        after = apply_changes(committed(container.spec.config), changes)
        text = _HEAD.format(container.name) + _spec(_deleted(entries, stack), has_files=bool(kept), config=_differences(before, after))
        (home / "build.yaml").write_text(text)
    return text


def _write_base(opened: Opened, container: Container, target: Path) -> None:
    image = container.spec.image
    layers = []
    for layer in image.layers:
        path = opened.store.blob(layer.diff_id)
        if path is None:
            raise mistake(f"layer {layer.diff_id.short} of the image is gone", hint="run `graphbuild cache verify`")
        layers.append(ImageLayer(layer.diff_id, path.stat().st_size, path))
    write_layout(ImageContent(opened.library.config(image), tuple(layers)), "none", target)


def _write_tar(entries: Sequence[Entry], upper: Path, target: Path) -> None:
    def open_file(entry: Entry) -> int:
        return os.open(os.path.join(os.fsencode(upper), entry.path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    with target.open("wb") as file:
        write_layer_tar(entries, open_file, file.fileno(), epoch=0)


def _deleted(entries: Sequence[Entry], stack: Stack) -> list[str]:
    """Paths to remove before the rest is put in place: what is gone, and what something of another kind is at now."""
    found: list[str] = []
    for entry in entries:
        below = stack.lookup(entry.path)
        folder = entry.kind is Kind.DIRECTORY
        gone = entry.kind is Kind.WHITEOUT or (below is not None and (entry.opaque or (below.kind is Kind.DIRECTORY) != folder))
        if gone and not any(entry.path.startswith(os.fsencode(other[1:]) + b"/") for other in found[-1:]):
            found.append("/" + os.fsdecode(entry.path))
    if any("\udc80" <= char <= "\udcff" for path in found for char in path):
        raise mistake("a deleted file has a name that is not UTF-8, which a build.yaml cannot say", hint="commit the container instead")
    return found


def _differences(before: Config, after: Config) -> dict[str, Any]:
    """What the image's config changes, in the words of the rule `image`."""
    said: dict[str, Any] = {}
    for name in ("user", "workdir", "entrypoint", "cmd", "stop_signal"):
        value = getattr(after, name)
        if value != getattr(before, name) or (name == "cmd" and after.entrypoint != before.entrypoint):
            said[name] = list(value) if isinstance(value, tuple) else value
    said = {name: [] if value is None else value for name, value in said.items()}
    for name in ("env", "labels"):
        known = dict(getattr(before, name))
        changed = {key: value for key, value in getattr(after, name) if known.get(key) != value}
        if changed:
            said[name] = changed
    for name in ("expose", "volumes"):
        added = sorted(set(getattr(after, name)) - set(getattr(before, name)))
        if added:
            said[name] = added
    check = after.healthcheck
    if check is not None and check != before.healthcheck:
        kind, *words = check.test
        test: Any = "none" if kind == "NONE" else words[0] if kind == "CMD-SHELL" else words
        times = {name: getattr(check, name) / 10**9 for name in ("interval", "timeout", "start_period", "start_interval")}
        said["healthcheck"] = {"test": test, **{name: value for name, value in times.items() if value}}
        if check.retries:
            said["healthcheck"]["retries"] = check.retries
    return said


def _spec(deleted: Sequence[str], *, has_files: bool, config: dict[str, Any]) -> str:
    lines = ["bases:", "  base: {oci: base}"]
    last = "base"
    if deleted or has_files:
        lines.append("steps:")
    if deleted:
        lines += [
            "  removed:",
            f"    from: {last}",
            "    user: root",
            "    run:",
            "      command:",
            "        - rm",
            "        - -rf",
            "        - --",
        ]
        lines += [f"        - {json.dumps(path, ensure_ascii=False)}" for path in deleted]
        lines.append("      like_docker: true")
        last = "removed"
    if has_files:
        lines += ["  changed:", f"    from: {last}", "    put: {files: [{path: changes.tar, unpack: true}], to: /}"]
        last = "changed"
    lines += ["outputs:", "  image:", f"    from: {last}", "    image:"]
    if config:
        lines.append("      config:")
        lines += [f"        {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in config.items()]
    lines.append("      to: {oci: dist/image}")
    return "\n".join(lines) + "\n"
