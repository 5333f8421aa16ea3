"""build.lock: what was resolved from outside, pinned, one file a workspace.

JSON, sorted, one entry a line group, so that a change shows as a readable diff. An entry is named by its rule and the
request it answers: what the target says, not the target's name. Two targets that ask the same share an entry.
"""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from graphbuild.graph.configure import Configured
from graphbuild.rules.api import LockContext
from graphbuild.values.errors import Place, mistake

NAME = "build.lock"
_VERSION = 1
_IMAGES = "image"  # of the entries of images, whichever rule's target names them


class Entry(msgspec.Struct, frozen=True, order=True):
    """One locked answer. `data` is plain JSON, as the rule's `lock` returned it."""

    rule: str
    request: str
    data: Any


class _File(msgspec.Struct, frozen=True):
    version: int
    entries: list[Entry]


class LockFile:
    """The workspace's lock. Nothing is written before `save`."""

    def __init__(self, root: Path, text: bytes | None = None) -> None:
        """`text`: what the file holds, in the place of what it holds now; b"" for nothing."""
        self.path = root / NAME
        self._entries: dict[tuple[str, str], Any] = {}
        self._changed = False
        text = _read(self.path) if text is None else text
        if text:
            self._parse(text)

    def get(self, target: Configured) -> Any:
        """The locked data of a target; None when it is not locked. Of one that pins images, the digests of all of them by reference."""
        if target.rule.pins:
            images = {request: data for (rule, request), data in self._entries.items() if rule == _IMAGES}
            return {request: data["version"] for request, data in images.items() if isinstance(data, dict) and "version" in data}
        return self._entries.get(_key(target))

    def missing(self, target: Configured, context: Callable[[Configured], LockContext]) -> list[str]:
        """What a target asks for that is not locked."""
        return [request for (rule, request), _ in _questions(target, context) if (rule, request) not in self._entries]

    def resolve(self, targets: Iterable[Configured], context: Callable[[Configured], LockContext], *, update: bool) -> list[str]:
        """Lock what is not locked yet, or everything with `update`. Returns the requests whose answer is new, a line each."""
        changes: list[str] = []
        done: set[tuple[str, str]] = set()
        for target in targets:
            for key, ask in _questions(target, context):
                if key in done or (key in self._entries and not update):
                    continue
                done.add(key)
                data = msgspec.json.decode(msgspec.json.encode(ask()))
                changes.extend(f"{target.label}: {line}" for line in difference(self._entries.get(key), data))
                if self._entries.get(key) != data:
                    self._entries[key] = data
                    self._changed = True
        return changes

    def prune(self, targets: Iterable[Configured], context: Callable[[Configured], LockContext]) -> int:
        """Drop entries that no target asks for; how many. For callers that know every target of the workspace."""
        wanted = {key for target in targets for key, _ in _questions(target, context)}
        stale = [key for key in self._entries if key not in wanted]
        for key in stale:
            del self._entries[key]
        self._changed = self._changed or bool(stale)
        return len(stale)

    def save(self) -> bool:
        """Write what changed, atomically; whether there was anything to write."""
        if not self._changed:
            return False
        entries = [Entry(rule, request, data) for (rule, request), data in sorted(self._entries.items())]
        text = msgspec.json.format(msgspec.json.encode(_File(_VERSION, entries), order="sorted"), indent=1) + b"\n"
        temporary = self.path.with_name(f".{NAME}.{os.getpid()}")
        with temporary.open("wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(self.path)
        self._changed = False
        return True

    def _parse(self, text: bytes) -> None:
        try:
            file = msgspec.json.decode(text, type=_File)
        except msgspec.DecodeError as error:
            raise mistake(
                f"it cannot be read: {error}", Place(NAME, 1), "restore it from version control, or delete it and lock anew"
            ) from None
        if file.version != _VERSION:
            raise mistake(f"it is of version {file.version}, this graphbuild reads {_VERSION}", Place(NAME, 1))
        self._entries = {(entry.rule, entry.request): entry.data for entry in file.entries}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _questions(target: Configured, context: Callable[[Configured], LockContext]) -> Iterator[tuple[tuple[str, str], Callable[[], Any]]]:
    """The entries that a target asks for, and how each is answered."""
    rule = target.rule
    if rule.lock:
        lock = rule.lock
        yield _key(target), lambda: lock(context(target), target.attributes)
    if rule.pins:
        asking = context(target)
        for name in dict.fromkeys(rule.pins(asking, target.attributes)):
            if "@" not in name:  # a digest pins by itself
                yield (_IMAGES, name), functools.partial(_pinned, asking, name)


def _pinned(context: LockContext, name: str) -> dict[str, str]:
    return {"name": name, "version": context.pin_image(name)}


def _key(target: Configured) -> tuple[str, str]:
    rule = target.rule
    request = (
        rule.lock_key(target.attributes, target.platform)
        if rule.lock_key
        else msgspec.json.encode(target.attributes, order="sorted").decode()
    )
    return rule.name, request


def difference(old: Any, new: Any) -> list[str]:
    """What a new answer changes, a line an item, for lists of things with a name and a version; a word for anything else."""
    if old == new:
        return []
    before, after = _versions(old), _versions(new)
    lines = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one != other:
            lines.append(f"{name} {one or '(new)'} → {other or '(gone)'}")
    return lines or ["locked" if old is None else "changed"]


def _versions(data: Any) -> dict[str, str]:
    """Every `{"name": …, "version": …}` anywhere in plain data."""
    found: dict[str, str] = {}
    stack = [data]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if isinstance(item.get("name"), str) and isinstance(item.get("version"), str):
                found[item["name"]] = item["version"]
            else:
                stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return found
