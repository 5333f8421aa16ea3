"""What two images differ in: files, packages, config, sizes. A pure comparison of values that came from a store."""

import os
from typing import Any, Literal

import msgspec

from graphbuild.engine.library import Library
from graphbuild.engine.packages import packages
from graphbuild.image.model import OciConfig
from graphbuild.layers.stack import Stack
from graphbuild.store.images import StoredImage
from graphbuild.values.entry import Entry, Kind


class FileChange(msgspec.Struct, frozen=True):
    """`what` changed of a file that both have: "content", "mode", "owner" …; `delta` is in bytes."""

    path: str
    change: Literal["added", "removed", "changed"]
    delta: int
    what: tuple[str, ...] = ()


class VersionChange(msgspec.Struct, frozen=True):
    """`name` is `manager:name`; "" stands for not there."""

    name: str
    old: str
    new: str


class ConfigChange(msgspec.Struct, frozen=True):
    """A field of the config, or one variable or label of it. None stands for not set."""

    field: str
    old: Any
    new: Any


class Difference(msgspec.Struct, frozen=True):
    """Everything that differs. `sizes` are bytes of all layers' files; `pulled`: bytes of layers that who has the old one lacks."""

    old: str
    new: str
    files: tuple[FileChange, ...]
    packages: tuple[VersionChange, ...]
    config: tuple[ConfigChange, ...]
    sizes: tuple[int, int]
    pulled: int


def difference(library: Library, old: StoredImage, new: StoredImage) -> Difference:
    """What changes from one image to another."""
    one, other = (library.forms.stack(library.outputs(image)) for image in (old, new))
    there = {layer.diff_id for layer in old.layers}
    same = library.outputs(old) == library.outputs(new)
    return Difference(
        str(old.id),
        str(new.id),
        () if same else tuple(_files(one, other)),
        () if same else tuple(_versions(packages(one), packages(other))),
        tuple(_config(library.about(old).config or OciConfig(), library.about(new).config or OciConfig())),
        (_size(old), _size(new)),
        sum(layer.size for layer in new.layers if layer.diff_id not in there),
    )


def _size(image: StoredImage) -> int:
    return sum(layer.size for layer in image.layers)


def _files(old: Stack, new: Stack) -> list[FileChange]:
    before = {entry.path: entry for entry in old.flatten()}
    after = {entry.path: entry for entry in new.flatten()}
    found = []
    for path in sorted(before.keys() | after.keys()):
        one, other = before.get(path), after.get(path)
        if one == other:
            continue
        shown = "/" + os.fsdecode(path)
        if one is None or other is None:
            found.append(FileChange(shown, "added" if one is None else "removed", (other.size if other else 0) - (one.size if one else 0)))
        else:
            found.append(FileChange(shown, "changed", other.size - one.size, _what(one, other)))
    return found


def _what(old: Entry, new: Entry) -> tuple[str, ...]:
    if old.kind is not new.kind:
        return (f"{Kind(old.kind).name.lower()} → {Kind(new.kind).name.lower()}",)
    pairs = {
        "content": (old.digest == new.digest and old.target == new.target),
        "mode": old.mode == new.mode,
        "owner": (old.uid, old.gid) == (new.uid, new.gid),
        "device": old.device == new.device,
        "xattrs": old.xattrs == new.xattrs,
    }
    return tuple(name for name, same in pairs.items() if not same)


def _versions(old: dict[str, str], new: dict[str, str]) -> list[VersionChange]:
    names = sorted(old.keys() | new.keys())
    return [VersionChange(name, old.get(name, ""), new.get(name, "")) for name in names if old.get(name) != new.get(name)]


def _config(old: OciConfig, new: OciConfig) -> list[ConfigChange]:
    before, after = _flat(old), _flat(new)
    names = sorted(before.keys() | after.keys())
    return [ConfigChange(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def _flat(config: OciConfig) -> dict[str, Any]:
    """The config's fields under the names that `inspect` gives them; variables, labels, ports and volumes one by one."""
    found: dict[str, Any] = {}
    for name, value in msgspec.to_builtins(config).items():
        match value:
            case dict() if name != "Healthcheck":
                found |= {f"{name}.{key}": text if name == "Labels" else True for key, text in value.items()}
            case list() | tuple() if name == "Env":
                found |= {f"Env.{text.partition('=')[0]}": text.partition("=")[2] for text in value}
            case _:
                found[name] = value
    return found
