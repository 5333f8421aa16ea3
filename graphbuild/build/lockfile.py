"""build.lock: what was resolved from outside, pinned, one file a workspace.

JSON, sorted, one entry a line group, so that a change shows as a readable diff. An entry is named by its rule and the
request it answers: what the target says, not the target's name. Two targets that ask the same share an entry.
"""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from graphbuild.graph.configure import Configured
from graphbuild.rules.api import LockContext
from graphbuild.values.errors import Place, mistake
from graphbuild.values.label import Label

NAME = "build.lock"
_VERSION = 1
_MANY = 10  # new things of one answer that are named
IMAGES, URLS = "image", "url"  # of the entries of images and of downloads, whichever rule's target names them

Key = tuple[str, str]  # of an entry: rule, request


class Contexts(Protocol):
    """Makes what a target's rule is given to find answers with (`LockContext`)."""

    def __call__(self, target: Configured, locked: Any = None, refresh: tuple[str, ...] = ()) -> LockContext: ...


class Entry(msgspec.Struct, frozen=True, order=True):
    """One locked answer. `data` is plain JSON, as the rule's `lock` returned it."""

    rule: str
    request: str
    data: Any


class _File(msgspec.Struct, frozen=True):
    version: int
    entries: list[Entry]


class Change(msgspec.Struct, frozen=True):
    """What is new in an answer: of one thing with a name, which had the version `old` and has `new` ("" where it is not there), or of all of it."""

    label: Label
    key: Key
    name: str = ""
    old: str = ""
    new: str = ""

    def __str__(self) -> str:
        if not self.name:
            return f"{self.label}: {self.new}"
        return f"{self.label}: {self.name} {self.old or '(new)'} → {self.new or '(gone)'}"


def told(changes: Iterable[Change]) -> list[str]:
    """Changes in lines. Of a first answer that is of many things, a line says how many: all of them is what build.lock is for."""
    grouped: dict[Key, list[Change]] = {}
    for change in changes:
        grouped.setdefault(change.key, []).append(change)
    lines: list[str] = []
    for group in grouped.values():
        if len(group) > _MANY and not any(change.old for change in group):
            lines.append(f"{group[0].label}: {group[0].name} and {len(group) - 1} more (new)")
        else:
            lines.extend(map(str, group))
    return lines


class Refresh(msgspec.Struct, frozen=True):
    """Which answers are to be found again though there are some: all, or of an entry the names in it, () for the whole entry."""

    everything: bool = False
    entries: Mapping[Key, tuple[str, ...]] = {}

    def names(self, key: Key) -> tuple[str, ...] | None:
        """The names that are looked up again; None where the answer stays."""
        return () if self.everything else self.entries.get(key)


class LockFile:
    """The workspace's lock. Nothing is written before `save`."""

    def __init__(self, root: Path, text: bytes | None = None) -> None:
        """`text`: what the file holds, in the place of what it holds now; b"" for nothing."""
        self.path = root / NAME
        self._entries: dict[Key, Any] = {}
        self._pins: dict[str, str] | None = None
        self._changed = False
        text = _read(self.path) if text is None else text
        if text:
            self._parse(text)

    def get(self, target: Configured) -> Any:
        """The locked data of a target; None when it is not locked. Of one that pins images and URLs, the digests of all of them by name."""
        if target.rule.pins:
            if self._pins is None:
                pins = {request: data for (rule, request), data in self._entries.items() if rule in (IMAGES, URLS)}
                self._pins = {request: data["version"] for request, data in pins.items() if isinstance(data, dict) and "version" in data}
            return self._pins
        return self._entries.get(_key(target))

    def entries(self) -> Mapping[Key, Any]:
        """Every answer."""
        return self._entries

    def missing(self, target: Configured, context: Contexts) -> list[str]:
        """What a target asks for that is not locked."""
        return [request for (rule, request), _ in _questions(target, context) if (rule, request) not in self._entries]

    def asked(self, target: Configured, context: Contexts) -> list[Key]:
        """The entries that a target asks for, whether or not they are there."""
        return [key for key, _ in _questions(target, context)]

    def resolve(self, targets: Iterable[Configured], context: Contexts, refresh: Refresh) -> list[Change]:
        """Lock what is not locked yet, and what is to be found again. Returns what is new."""
        changes: list[Change] = []
        done: set[Key] = set()
        for target in targets:
            for key, ask in _questions(target, context):
                names = refresh.names(key)
                if key in done or (key in self._entries and names is None):
                    continue
                done.add(key)
                before = self._entries.get(key)
                data = msgspec.json.decode(msgspec.json.encode(ask(before, names or ())))
                changes.extend(Change(target.label, key, *parts) for parts in difference(before, data))
                if before != data:
                    self._entries[key] = data
                    self._pins, self._changed = None, True
        return changes

    def prune(self, targets: Iterable[Configured], context: Contexts) -> int:
        """Drop entries that no target asks for; how many. For callers that know every target of the workspace."""
        wanted = {key for target in targets for key, _ in _questions(target, context)}
        stale = [key for key in self._entries if key not in wanted]
        for key in stale:
            del self._entries[key]
        self._pins, self._changed = None, self._changed or bool(stale)
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


def _questions(target: Configured, context: Contexts) -> Iterator[tuple[Key, Callable[[Any, tuple[str, ...]], Any]]]:
    """The entries that a target asks for, and how each is answered, given what was locked and which names to look up again."""
    rule = target.rule
    if rule.lock:
        lock = rule.lock
        yield _key(target), lambda locked, names: lock(context(target, locked, names), target.attributes)
    if rule.pins:
        asking = context(target)
        for name in dict.fromkeys(rule.pins(asking, target.attributes)):
            if name.startswith(("http://", "https://")):  # no reference begins so
                yield (URLS, name), functools.partial(_pinned, name, asking.pin_url)
            elif "@" not in name:  # a digest pins by itself
                yield (IMAGES, name), functools.partial(_pinned, name, asking.pin_image)


def _pinned(name: str, pin: Callable[[str], str], _locked: Any, _names: tuple[str, ...]) -> dict[str, str]:
    return {"name": name, "version": pin(name)}


def _key(target: Configured) -> Key:
    rule = target.rule
    request = (
        rule.lock_key(target.attributes, target.platform)
        if rule.lock_key
        else msgspec.json.encode(target.attributes, order="sorted").decode()
    )
    return rule.name, request


def difference(old: Any, new: Any) -> list[tuple[str, str, str]]:
    """What a new answer changes, as name, old and new version of things that have such; one word under no name for anything else."""
    if old == new:
        return []
    before, after = versions(old), versions(new)
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return [(name, before.get(name, ""), after.get(name, "")) for name in names] or [("", "", "locked" if old is None else "changed")]


def versions(data: Any) -> dict[str, str]:
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
