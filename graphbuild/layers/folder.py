"""A layer's folder form: read back as an index, made from the layer's tar, or written from files."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from graphbuild.layers.cancel import Cancel, check, never
from graphbuild.layers.disk import read_tree
from graphbuild.layers.tar_disk import Folder
from graphbuild.layers.tar_headers import Readable, TarError
from graphbuild.layers.tar_read import unpack
from graphbuild.layers.tar_tree import Ids, Tree, link_entry
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import mistake

_CHUNK = 1 << 20


def scan(folder: Path, cancelled: Cancel = never) -> list[Entry]:
    """The index that a folder form says it has, all contents hashed again.

    Where only one user exists (`ids="single"`) owners are as disk has them, and attributes that could not be set are missing.
    """
    entries: dict[bytes, Entry] = {}
    inodes: dict[tuple[int, int], list[bytes]] = {}
    for found in read_tree(os.fsencode(folder), cancelled):
        if found.entry is None:
            raise mistake(f"/{os.fsdecode(found.path)} is a socket, which no layer has")
        if found.implicit:
            continue
        entries[found.path] = found.entry
        if found.links > 1 and found.entry.kind not in (Kind.DIRECTORY, Kind.WHITEOUT, Kind.SYMLINK):
            inodes.setdefault(found.inode, []).append(found.path)
    for names in inodes.values():
        first, *others = sorted(names)
        for other in others:
            entries[other] = link_entry(entries[first], other)
    return [entries[path] for path in sorted(entries)]


def materialize(blob: Readable, entries: Sequence[Entry], folder: Path, *, epoch: int, ids: Ids = "full") -> None:
    """Make the folder form of a layer in the empty `folder` from its uncompressed tar. GraphbuildError if that holds anything but `entries`."""
    made = unpack(blob, folder, epoch=epoch, whiteouts=True, ids=ids, source="layer blob")
    if made == list(entries):
        return
    wrong = sorted({entry.path for entry in set(made) ^ set(entries)})
    names = ", ".join("/" + os.fsdecode(path) for path in wrong[:3])
    raise mistake(f"a layer's tar does not hold what its index says: {names}", hint="`graphbuild cache verify` finds what is damaged")


def write_tree(entries: Sequence[Entry], open_file: Callable[[Entry], int], folder: Path, *, epoch: int, cancelled: Cancel = never) -> None:
    """Write entries into the empty `folder` as plain files, for people: no whiteouts, nothing of overlayfs; owners only as root.

    `open_file` gives a descriptor at the start of a FILE's content, which is closed here. GraphbuildError where that is not as the entry says.
    """
    with Folder(folder, epoch=epoch, ids="full" if os.geteuid() == 0 else "single", marks=False) as sink:
        tree = Tree(sink)
        path = b""
        try:
            for entry in entries:
                check(cancelled)
                path = entry.path
                _put(tree, entry, open_file)
            made = tree.finish()
        except (OSError, TarError) as error:
            raise mistake(f"cannot write /{os.fsdecode(path)}: {error}") from None
        if made != [entry for entry in entries if entry.kind is not Kind.WHITEOUT]:
            raise mistake("a file changed while it was read", hint="run again when nothing writes to it")


def _put(tree: Tree, entry: Entry, open_file: Callable[[Entry], int]) -> None:
    match entry.kind:
        case Kind.DIRECTORY:
            tree.directory(entry)
        case Kind.FILE:
            fd = open_file(entry)
            try:
                tree.file(entry, iter(lambda: os.read(fd, _CHUNK), b""))
            finally:
                os.close(fd)
        case Kind.HARDLINK:
            tree.link(entry.path, entry.target)
        case Kind.WHITEOUT:
            pass
        case _:
            tree.node(entry)
