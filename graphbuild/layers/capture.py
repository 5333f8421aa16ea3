"""What a step changed: overlayfs's upper directory as an index, and in place as the folder form of that index.

overlayfs writes down more than what changed: directories on the way to a change, whiteouts of what was made and removed, files that
were opened for writing and left as they were. None of that is part of the layer: an entry is kept only if it differs from
what the stack below shows. What is dropped from the index is removed from disk, so the folder can be mounted as it is.
The upper directory must have been mounted with `userxattr`, and be at rest. The root itself is never an entry.
"""

import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from graphbuild.layers.cancel import Cancel, never
from graphbuild.layers.disk import Found, read_tree
from graphbuild.layers.stack import Stack
from graphbuild.layers.tar_tree import Ids, link_entry
from graphbuild.layers.xattrs import IMPLICIT, MARK, OPAQUE, drop_private, set_private
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import is_full, mistake

_CAPABILITY = b"security.capability"


def capture(
    upper: Path,
    lower: Stack,
    *,
    epoch: int,
    ids: Ids = "full",
    ignored: Collection[bytes] = (),
    like_docker: bool = False,
    cancelled: Cancel = never,
) -> list[Entry]:
    """Read and normalise `upper`, which lies over `lower`. Returns the sorted index, empty if nothing changed.

    `ignored`: paths (of mount points) that are no part of the layer as long as they are empty or removed. `ids="single"`: only
    one user exists here, so what disk shows as its own keeps the owner it has in `lower`. `like_docker`: no extended
    attribute is kept but security.capability, as by Docker's engine. GraphbuildError for what no layer can hold.
    """
    root = os.fsencode(upper)
    capturing = _Capture(lower, ids, frozenset(ignored), like_docker=like_docker)
    try:
        for found in read_tree(root, cancelled):
            capturing.see(found)
        entries = capturing.finish()
        capturing.settle(root, epoch)
    except OSError as error:
        if is_full(error):
            raise
        raise mistake(f"cannot capture what the step wrote: {error.strerror}: {os.fsdecode(error.filename or b'')}") from None
    return entries


class _Capture:
    def __init__(self, lower: Stack, ids: Ids, ignored: frozenset[bytes], *, like_docker: bool) -> None:
        self._lower = lower
        self._ids = ids
        self._ignored = ignored
        self._like_docker = like_docker
        self._alone = {b"": False}  # of every directory: does nothing of `lower` show through it?
        self._kept: dict[bytes, Found] = {}
        self._folders: list[tuple[Found, bool]] = []  # in the order they were found, with: could it be implicit?
        self._used: set[bytes] = set()  # directories that hold something
        self._implicit: dict[bytes, Found] = {}
        self._inodes: dict[tuple[int, int], list[bytes]] = {}

    def see(self, found: Found) -> None:
        """Decide on one path, in the order of `read_tree`. What is dropped is unlinked at once."""
        entry = found.entry
        if entry is None:
            os.unlink(found.place)
            return
        folder = found.path.rpartition(b"/")[0]
        below = None if self._alone[folder] else self._lower.lookup(found.path)
        if entry.kind is Kind.DIRECTORY:
            self._directory(found, entry, below)
            return
        if entry.kind is Kind.WHITEOUT:
            dropped = below is None or found.path in self._ignored
        else:
            entry, below = self._attributes(found, self._owned(entry, below), below)
            empty = entry.kind is Kind.FILE and not entry.size and found.path in self._ignored
            dropped = empty or (found.links == 1 and entry == below)
        if dropped:
            os.unlink(found.place)
            return
        found.entry = entry
        self._keep(found)
        # overlayfs links its whiteouts with each other; symlinks are as good when they are two.
        if found.links > 1 and entry.kind not in (Kind.WHITEOUT, Kind.SYMLINK):
            self._inodes.setdefault(found.inode, []).append(found.path)

    def _directory(self, found: Found, entry: Entry, below: Entry | None) -> None:
        real = below is not None and below.kind is Kind.DIRECTORY
        self._alone[found.path] = self._alone[found.path.rpartition(b"/")[0]] or entry.opaque or not real
        if entry.opaque and not real:
            drop_private(found.place, OPAQUE)
        entry = self._owned(msgspec.structs.replace(entry, opaque=entry.opaque and real), below)
        entry, below = self._attributes(found, entry, below)
        if found.implicit:
            drop_private(found.place, MARK)
        found.entry = entry
        self._folders.append((found, entry == below))

    def _owned(self, entry: Entry, below: Entry | None) -> Entry:
        if self._ids == "single" and below is not None and (entry.uid, entry.gid) == (0, 0):
            return msgspec.structs.replace(entry, uid=below.uid, gid=below.gid)
        return entry

    def _attributes(self, found: Found, entry: Entry, below: Entry | None) -> tuple[Entry, Entry | None]:
        """Both without the extended attributes that are not kept; on disk they go too."""
        if not self._like_docker:
            return entry, below
        for name in [name for name, _ in entry.xattrs if name != _CAPABILITY]:
            os.removexattr(found.place, name, follow_symlinks=False)
        return _as_docker(entry), below and _as_docker(below)

    def _keep(self, found: Found) -> None:
        self._kept[found.path] = found
        self._used.add(found.path.rpartition(b"/")[0])

    def finish(self) -> list[Entry]:
        """The index, after directories that are nothing but the way to somewhere were told from those that changed."""
        for found, same in reversed(self._folders):
            used = found.path in self._used
            if not used and (same or found.path in self._ignored):
                os.rmdir(found.place)
            elif same:
                self._implicit[found.path] = found
                self._used.add(found.path.rpartition(b"/")[0])
            else:
                self._keep(found)
        entries = {path: found.entry for path, found in self._kept.items() if found.entry is not None}
        for names in self._inodes.values():
            first, *others = sorted(names)
            for other in others:
                entries[other] = link_entry(entries[first], other)
        return [entries[path] for path in sorted(entries)]

    def settle(self, root: bytes, epoch: int) -> None:
        """Give everything its mtime, and implicit directories what every folder form shows for them."""
        times = (epoch * 10**9, epoch * 10**9)
        for found in self._kept.values():
            os.utime(found.place, ns=times, follow_symlinks=False)
        for found in self._implicit.values():
            _make_implicit(found, own=self._ids == "full")
        for path in sorted((*self._implicit, *(found.path for found, _ in self._folders if found.path in self._kept)), reverse=True):
            os.utime((self._implicit.get(path) or self._kept[path]).place, ns=times)
        os.utime(root, ns=times)


def _as_docker(entry: Entry) -> Entry:
    """Most entries have no extended attributes."""
    if not entry.xattrs:
        return entry
    return msgspec.structs.replace(entry, xattrs=tuple(pair for pair in entry.xattrs if pair[0] == _CAPABILITY))


def _make_implicit(found: Found, *, own: bool) -> None:
    entry = found.entry
    if entry is None:
        return
    if own and (entry.uid, entry.gid) != (0, 0):
        os.chown(found.place, 0, 0, follow_symlinks=False)
    for name, _ in entry.xattrs:
        os.removexattr(found.place, name, follow_symlinks=False)
    if entry.mode != 0o755:
        os.chmod(found.place, 0o755)
    set_private(found.place, MARK, IMPLICIT)
