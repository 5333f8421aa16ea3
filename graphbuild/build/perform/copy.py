"""Performing `Copy`: which entry each chosen file becomes, and the layer's tar written straight from the files.

The layer is known before a byte is copied: its entries follow from the files' digests, so the key is its tree digest.
Directories that the layer only passes through are implicit; those it makes are entries where they carry something of
their own: emptiness, an owner or a mode that was asked for, or attributes they had in another target.
"""

import functools
import itertools
import os
from collections.abc import Callable, Iterable

import msgspec

from graphbuild.build.drafting import Drafting
from graphbuild.build.keys import Field, Fields
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.perform.select import Selected, select
from graphbuild.build.source import SourceFile
from graphbuild.build.world import World
from graphbuild.layers.draft import Draft
from graphbuild.layers.stack import Stack
from graphbuild.rules.actions import Copy
from graphbuild.rules.refs import Sources
from graphbuild.sandbox.users import resolve_owner
from graphbuild.store.actions import LayerOutput, Outputs
from graphbuild.values.digest import Digest
from graphbuild.values.digest import tree as blake3_digest
from graphbuild.values.entry import Entry, Kind, encode_index, tree_digest
from graphbuild.values.errors import mistake


class _Copied(msgspec.Struct, frozen=True):
    """What a copy will hold: its entries, how the content of each FILE is opened, and a draft of the tar, which may be written."""

    entries: list[Entry]
    open: Callable[[Entry], int]
    draft: Draft | None = None


def prepare_copy(action: Copy, world: World) -> Prepared:
    destination = _Destination(action, world)
    if isinstance(action.source, Sources):
        copied = _from_workspace(action.source, destination, world)
    else:
        copied = _from_stack(select(action.source, world), destination)
    return layer_of(_distinct([*copied.entries, *destination.made(copied.entries)]), copied.open, world, copied.draft)


def layer_of(entries: list[Entry], open_file: Callable[[Entry], int], world: World, draft: Draft | None = None) -> Prepared:
    """What makes a layer of entries, and nothing of none: its key is its tree digest.

    `open_file` opens the content of each FILE; `draft`: the tar, if it is written already.
    """
    encoded = encode_index(entries, world.settings.epoch)
    tree = tree_digest(encoded)
    epoch = Field("epoch", world.settings.epoch)
    fields = (Field("action", "copy"), Field("layer", tree.hex), epoch)
    size = sum(entry.size for entry in entries)

    def perform(task: Task) -> Outputs:
        if not entries:
            return Outputs(())
        if not world.store.has_layer(tree):
            world.forms.write_blob(tree, entries, open_file, _earlier(task.previous(), epoch), draft)
            world.store.put_layer(encoded, folder=None, entries=entries)
        return Outputs((LayerOutput(tree, None),), size=size)

    return Prepared(fields, perform, entries=entries)


def _earlier(previous: Fields, epoch: Field) -> Digest | None:
    """The layer that the last run of this copy made, if its tar has the same mtimes."""
    layer = next((field.value for field in previous if field.name == "layer"), "")
    return blake3_digest(layer) if layer and epoch in previous else None


class _Destination:
    """Where a copy's files go: `to` and the owner's names, resolved in the base where there is one."""

    def __init__(self, action: Copy, world: World) -> None:
        self._base: Stack | None = world.stack(action.base) if action.base else None
        self._strip = os.fsencode(action.strip.strip("/"))
        self._to = os.fsencode(action.to.strip("/"))
        self._chmod = action.chmod
        self._owner = self._resolve_owner(action.owner)
        self._places: dict[bytes, bytes] = {}  # a source folder → where what is in it goes, with its slash

    @property
    def changes_attributes(self) -> bool:
        return self._owner is not None or self._chmod is not None

    def path(self, path: bytes, kind: Kind) -> bytes:
        """Where a file goes: below `to`, less `strip`, its folders' symlinks followed inside the base; b"" for `to` itself."""
        folder, _, name = path.rpartition(b"/")
        if path == self._strip:
            if kind is Kind.DIRECTORY:
                return b""
            folder = self._strip
        place = self._places.get(folder)
        if place is None:
            place = self._places[folder] = self._place(folder)
        return place + name

    def owner(self, uid: int = 0, gid: int = 0) -> tuple[int, int]:
        return self._owner or (uid, gid)

    def mode(self, kind: Kind, mode: int) -> int:
        if self._chmod is None or kind is Kind.SYMLINK:
            return mode
        return self._chmod | (self._chmod & 0o444) >> 2 if kind is Kind.DIRECTORY else self._chmod

    def entry(self, file: SourceFile, filled: bool) -> Entry | None:
        """What a file of the workspace becomes; nothing of a folder that is implicit, since something in it is copied (`filled`)."""
        kind = file.kind
        if kind is Kind.DIRECTORY and filled and not self.changes_attributes:
            return None
        path = self.path(file.path, kind)
        if not path:
            return None
        uid, gid = self._owner or (0, 0)
        return Entry(path, kind, self.mode(kind, file.mode), uid, gid, file.size, file.digest, file.target)

    def made(self, entries: Iterable[Entry]) -> list[Entry]:
        """The folders that a copy with an owner or mode makes and that the base does not have, as entries of their own."""
        if not self.changes_attributes:
            return []
        uid, gid = self.owner()
        made: dict[bytes, Entry] = {}
        for entry in entries:
            parent = entry.path.rpartition(b"/")[0]
            while parent and parent not in made and self._makes(parent):
                made[parent] = Entry(parent, Kind.DIRECTORY, self.mode(Kind.DIRECTORY, 0o755), uid, gid)
                parent = parent.rpartition(b"/")[0]
        return list(made.values())

    def _makes(self, folder: bytes) -> bool:
        if self._base is not None:
            return self._base.lookup(folder) is None
        return folder.startswith(self._to + b"/") if self._to else True

    def _place(self, folder: bytes) -> bytes:
        """Where the files of a source folder go, as a prefix."""
        rest = folder
        if self._strip and (folder == self._strip or folder.startswith(self._strip + b"/")):
            rest = folder[len(self._strip) + 1 :]
        place = b"/".join(part for part in (self._to, rest) if part)
        if self._base is not None and place:
            place = self._resolved(place, self._base)
        return place + b"/" if place else b""

    def _resolved(self, folder: bytes, base: Stack) -> bytes:
        real = base.resolve(folder)
        found = base.lookup(real) if real else None
        if found is not None and found.kind is not Kind.DIRECTORY:
            raise mistake(f"/{os.fsdecode(folder)} is no folder in the base, so nothing can be copied into it")
        return real

    def _resolve_owner(self, owner: str) -> tuple[int, int] | None:
        if not owner:
            return None
        if all(part.isdigit() for part in owner.split(":")):
            return resolve_owner(owner, b"", b"")
        if self._base is None:
            raise mistake(f"the owner {owner!r} is a name, and there is no base to look it up in", hint="say `from: BASE`, or use numbers")
        return resolve_owner(owner, self._base.read(b"etc/passwd") or b"", self._base.read(b"etc/group") or b"")


def _from_workspace(sources: Sources, destination: _Destination, world: World) -> _Copied:
    # Folders that become entries have their place before neighbours like `folder-2`, which a search meets before what is in them.
    draft = None if destination.changes_attributes else world.forms.draft()
    drafting = Drafting(destination.entry, draft)
    world.inputs.scan(sources, drafting)
    entries, files = drafting.made()
    by_path = functools.cache(lambda: dict(zip((entry.path for entry in entries), files, strict=True)))  # which is seldom asked for
    open_source = world.inputs.opener(sources)
    return _Copied(entries, lambda entry: open_source(by_path()[entry.path]), draft)


def _from_stack(chosen: list[Selected], destination: _Destination) -> _Copied:
    places = {item.entry.path: destination.path(item.entry.path, item.entry.kind) for item in chosen}
    entries: list[Entry] = []
    found: dict[bytes, Selected] = {}
    for item in chosen:
        entry = item.entry
        path = places[entry.path]
        if not path:
            continue
        uid, gid = destination.owner(entry.uid, entry.gid)
        target = places[entry.target] if entry.kind is Kind.HARDLINK else entry.target
        mode = destination.mode(entry.kind, entry.mode)
        entries.append(Entry(path, entry.kind, mode, uid, gid, entry.size, entry.digest, target, entry.device, entry.xattrs))
        found[path] = item
    return _Copied(entries, lambda entry: found[entry.path].open())


def _distinct(entries: list[Entry]) -> list[Entry]:
    """Entries by path, sorted; GraphbuildError when two different files want one place."""
    if all(one.path < other.path for one, other in itertools.pairwise(entries)):
        return entries
    found: dict[bytes, Entry] = {}
    for entry in entries:
        other = found.setdefault(entry.path, entry)
        if other is not entry and other != entry and not (other.kind is Kind.DIRECTORY and entry.kind is Kind.DIRECTORY):
            raise mistake(f"two files are copied to /{os.fsdecode(entry.path)}", hint="a `strip` may have made them one")
    return [found[path] for path in sorted(found)]
