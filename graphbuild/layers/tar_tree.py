"""What archives and parts have made so far: a layer's tree in memory, and the sink that does on disk what the tree decides.

Everything is checked against the tree before the sink hears of it: parents are directories of this tree, never a file or a symlink; a
hard link names a file that is there; what is replaced is taken away first. Whiteouts are judged at the end, since they speak of lower
layers only, wherever they were said (OCI image-spec, layer.md). Paths are clean here (`tar_read.clean_path`).
"""

import os
from collections.abc import Iterator
from typing import Literal, Protocol

import msgspec

from graphbuild.layers.tar_headers import TarError
from graphbuild.values.entry import Entry, Kind

_ZEROS = bytes(1 << 20)

Ids = Literal["full", "single"]  # may this process give files to other users, or does only one exist for it?
Chunk = bytes | int  # data, or the length of a hole


class Sink(Protocol):
    """Does what the tree decides. Paths are checked; parents are there; a path that is made anew is free."""

    def directory(self, path: bytes) -> None: ...

    def file(self, entry: Entry, chunks: Iterator[Chunk]) -> None:
        """Write a file; `chunks` must be read to their end. `entry.digest` is not known yet."""

    def node(self, entry: Entry) -> None:
        """Make a symlink, device or fifo."""

    def link(self, first: bytes, path: bytes) -> None: ...

    def remove(self, path: bytes, *, directory: bool) -> None:
        """Remove an empty directory, or anything else."""

    def finish(self, entries: list[Entry], implicit: list[bytes]) -> None:
        """Everything is there: set what directories could not have before, put whiteouts down. Both lists are sorted."""


class Nowhere:
    """The sink of who wants an index only."""

    def directory(self, path: bytes) -> None:
        """Nothing to do."""

    def file(self, entry: Entry, chunks: Iterator[Chunk]) -> None:  # noqa: ARG002
        for _ in chunks:
            pass

    def node(self, entry: Entry) -> None:
        """Nothing to do."""

    def link(self, first: bytes, path: bytes) -> None:
        """Nothing to do."""

    def remove(self, path: bytes, *, directory: bool) -> None:
        """Nothing to do."""

    def finish(self, entries: list[Entry], implicit: list[bytes]) -> None:
        """Nothing to do."""


def link_entry(first: Entry, path: bytes) -> Entry:
    """Another name of `first` in an index. It repeats mode, owner and xattrs, because Docker's unpack applies them to links too."""
    return Entry(path, Kind.HARDLINK, first.mode, first.uid, first.gid, target=first.path, xattrs=first.xattrs)


class Tree:
    """Takes entries in order; later ones replace earlier ones."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._nodes: dict[bytes, Entry] = {}  # explicit ones; links to one file are copies of its entry
        self._children: dict[bytes, set[bytes]] = {b"": set()}  # of every directory, explicit or not
        self._inodes: dict[bytes, int] = {}  # of names that are linked
        self._names: list[set[bytes]] = []  # by inode
        self._whiteouts: set[bytes] = set()
        self._opaque: set[bytes] = set()

    def whiteout(self, path: bytes) -> None:
        """Say that a path of lower layers is gone."""
        self._folder_of(path)
        self._whiteouts.add(path)

    def opaque(self, folder: bytes) -> None:
        """Say that nothing of lower layers shows through a directory."""
        self._folder_of(folder + b"/")
        self._opaque.add(folder)

    def finish(self) -> list[Entry]:
        """The sorted index; the sink is finished with it."""
        nodes = self._nodes
        for path in self._opaque | {path for path in self._whiteouts if path in self._children}:
            if path in self._children:
                nodes[path] = msgspec.structs.replace(nodes.get(path) or Entry(path, Kind.DIRECTORY, 0o755), opaque=True)
        for path in self._whiteouts:
            # The layer's own file at the path hides the lower one by itself.
            if path not in nodes and path not in self._children and path.rpartition(b"/")[0] in self._children:
                nodes[path] = Entry(path, Kind.WHITEOUT)
        for names in self._names:
            if len(names) > 1:
                first, *others = sorted(names)
                for other in others:
                    nodes[other] = link_entry(nodes[first], other)
        entries = [nodes[path] for path in sorted(nodes)]
        implicit = sorted(path for path in self._children if path and path not in nodes)
        self._sink.finish(entries, implicit)
        return entries

    def directory(self, entry: Entry) -> None:
        """Put a directory; one that is there takes the new attributes and keeps its children."""
        path = entry.path
        if path not in self._children:
            self._make_room(path, tree=False)
            self._new_directory(path)
        self._nodes[path] = entry

    def file(self, entry: Entry, chunks: Iterator[Chunk], *, tree: bool = False) -> None:
        """Put a file, whose digest is computed here. `tree`: it may replace a directory with all that is in it."""
        from blake3 import blake3

        self._make_room(entry.path, tree=tree)
        hasher = blake3()
        self._sink.file(entry, _hashed(chunks, hasher))
        self._put(msgspec.structs.replace(entry, digest=hasher.digest()))

    def node(self, entry: Entry, *, tree: bool = False) -> None:
        """Put a symlink, device or fifo."""
        self._make_room(entry.path, tree=tree)
        self._sink.node(entry)
        self._put(entry)

    def link(self, path: bytes, first: bytes, *, tree: bool = False) -> None:
        """Put another name of what is at `first`. TarError where nothing is, or a directory."""
        if first == path and path in self._nodes and path not in self._children:
            return
        for makes_room in (False, True):  # making room may take the target away
            if makes_room:
                self._make_room(path, tree=tree)
            if first in self._children or first not in self._nodes:
                raise TarError(f"a hard link to {os.fsdecode(first)!r}, which is not a file of the archive")
        entry = msgspec.structs.replace(self._nodes[first], path=path)
        if entry.kind is Kind.SYMLINK:  # two symlinks are as good, and the index has no links to symlinks
            self._sink.node(entry)
            self._put(entry)
            return
        self._sink.link(first, path)
        self._put(entry)
        inode = self._inodes.get(first)
        if inode is None:
            inode = self._inodes[first] = len(self._names)
            self._names.append({first})
        self._inodes[path] = inode
        self._names[inode].add(path)

    def _put(self, entry: Entry) -> None:
        folder, _, name = entry.path.rpartition(b"/")
        self._children[folder].add(name)
        self._nodes[entry.path] = entry

    def _new_directory(self, path: bytes) -> None:
        folder, _, name = path.rpartition(b"/")
        self._children[folder].add(name)
        self._children[path] = set()
        self._sink.directory(path)

    def _folder_of(self, path: bytes) -> None:
        """Make the directories above a path; TarError where a file or a symlink is in the way."""
        folder = path.rpartition(b"/")[0]
        missing = []
        while folder not in self._children:
            if folder in self._nodes:
                what = "symlink" if self._nodes[folder].kind is Kind.SYMLINK else "file"
                raise TarError(f"an entry below {os.fsdecode(folder)!r}, which is a {what}")
            missing.append(folder)
            folder = folder.rpartition(b"/")[0]
        for each in reversed(missing):
            self._new_directory(each)

    def _make_room(self, path: bytes, *, tree: bool) -> None:
        """Make the path's parents, and take away what is at the path; a directory that holds something only for a `tree`."""
        self._folder_of(path)
        if path in self._children:
            if self._children[path] and not tree:
                raise TarError("a file in the place of a directory that holds something")
            self._remove_tree(path)
        elif path in self._nodes:
            self._remove(path)

    def _remove_tree(self, path: bytes) -> None:
        order, rest = [], [path]
        while rest:
            each = rest.pop()
            order.append(each)
            rest.extend(each + b"/" + name for name in self._children.get(each, ()))
        for each in reversed(order):
            self._remove(each)

    def _remove(self, path: bytes) -> None:
        self._sink.remove(path, directory=path in self._children)
        folder, _, name = path.rpartition(b"/")
        self._children[folder].discard(name)
        self._children.pop(path, None)
        self._nodes.pop(path, None)
        if path in self._inodes:
            self._names[self._inodes.pop(path)].discard(path)


class _Hasher(Protocol):
    def update(self, data: bytes, /) -> object: ...


def _hashed(chunks: Iterator[Chunk], hasher: _Hasher) -> Iterator[Chunk]:
    for chunk in chunks:
        if isinstance(chunk, int):
            for at in range(0, chunk, len(_ZEROS)):
                hasher.update(_ZEROS[: chunk - at])
        else:
            hasher.update(chunk)
        yield chunk
