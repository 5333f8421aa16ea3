"""Layers made up for tests: entries with contents, as tars, as folders, at random."""

import contextlib
import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import strategies as st

from graphbuild.layers.folder import materialize
from graphbuild.layers.stack import Layer
from graphbuild.layers.tar_write import write_layer_tar
from graphbuild.values.entry import Entry, Kind, encode_index, tree_digest

CONTENTS = [b"", b"one", b"two\n", bytes(200_000), b"x" * 70_000 + bytes(70_000)]
BY_DIGEST = {blake3(content).digest(): content for content in CONTENTS}
FAKE_ROOT = os.geteuid() == 0


def file(path: bytes, content: bytes = b"one", mode: int = 0o644, uid: int = 0, gid: int = 0, xattrs=()) -> Entry:
    BY_DIGEST.setdefault(blake3(content).digest(), content)
    return Entry(path, Kind.FILE, mode, uid, gid, len(content), blake3(content).digest(), xattrs=xattrs)


def folder(path: bytes, mode: int = 0o755, *, opaque: bool = False, uid: int = 0, gid: int = 0, xattrs=()) -> Entry:
    return Entry(path, Kind.DIRECTORY, mode, uid, gid, opaque=opaque, xattrs=xattrs)


def symlink(path: bytes, target: bytes) -> Entry:
    return Entry(path, Kind.SYMLINK, 0o777, target=target)


def whiteout(path: bytes) -> Entry:
    return Entry(path, Kind.WHITEOUT)


def hardlink(path: bytes, first: Entry) -> Entry:
    return Entry(path, Kind.HARDLINK, first.mode, first.uid, first.gid, target=first.path, xattrs=first.xattrs)


def open_content(entry: Entry) -> int:
    fd = os.memfd_create("content")
    os.write(fd, BY_DIGEST[entry.digest])
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def tar_of(entries: list[Entry], epoch: int = 0) -> bytes:
    fd = os.memfd_create("tar")
    try:
        write_layer_tar(entries, open_content, fd, epoch=epoch)
        os.lseek(fd, 0, os.SEEK_SET)
        with os.fdopen(os.dup(fd), "rb") as data:
            return data.read()
    finally:
        os.close(fd)


def folder_of(entries: list[Entry], place: Path) -> Path:
    place.mkdir()
    materialize(io.BytesIO(tar_of(entries)), entries, place, epoch=0, ids="full" if FAKE_ROOT else "single")
    return place


def layer_of(entries: list[Entry], place: Path | None = None) -> Layer:
    entries = sorted(entries, key=lambda entry: entry.path)
    made: list[Path] = []

    def form() -> Path:
        assert place is not None, "no folder was expected to be needed"
        if not made:
            made.append(folder_of(entries, place))
        return made[0]

    return Layer(tree_digest(encode_index(entries)), entries, form)


_NAMES = [b"a", b"b", b"a-b", b"\xff\xfe", "ü".encode()]
_PATHS = st.lists(st.sampled_from(_NAMES), min_size=1, max_size=3).map(b"/".join)


def _entry(path: bytes, kind: Kind, mode: int, owner: int, content: bytes, *, opaque: bool, tagged: bool) -> Entry:
    xattrs = ((b"user.tag", content[:3]),) if tagged else ()
    match kind:
        case Kind.FILE:
            return file(path, content, mode, owner, owner, xattrs)
        case Kind.DIRECTORY:
            return folder(path, mode, opaque=opaque, uid=owner, xattrs=xattrs)
        case Kind.SYMLINK:
            return symlink(path, b"../b" if opaque else b"a/b")
        case _:
            return Entry(path, kind, 0 if kind is Kind.WHITEOUT else mode)


@st.composite
def layers(draw, kinds=(Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK, Kind.WHITEOUT, Kind.FIFO), most: int = 10) -> list[Entry]:
    """The sorted index of a random layer, in which nothing lies below what is no directory."""
    entries: dict[bytes, Entry] = {}
    for path in sorted(draw(st.sets(_PATHS, max_size=most))):
        parents = [path[:at] for at in range(len(path)) if path[at : at + 1] == b"/"]
        if any(parent in entries and entries[parent].kind is not Kind.DIRECTORY for parent in parents):
            continue
        mode = draw(st.sampled_from([0o644, 0o755, 0o4755, 0o1777, 0o700]))
        owner = draw(st.sampled_from([0, 1000])) if FAKE_ROOT else 0
        flags = {"opaque": draw(st.booleans()), "tagged": draw(st.booleans())}
        firsts = [entry for entry in entries.values() if entry.kind is Kind.FILE]
        if firsts and draw(st.integers(0, 4)) == 0:
            entries[path] = hardlink(path, draw(st.sampled_from(firsts)))
        else:
            entries[path] = _entry(path, draw(st.sampled_from(kinds)), mode, owner, draw(st.sampled_from(CONTENTS)), **flags)
    return [entries[path] for path in sorted(entries)]


@contextlib.contextmanager
def overlay(lower: list[Path], upper: Path | None, target: Path) -> Iterator[Path]:
    """A real overlay mount; `lower` from the lowest to the topmost."""
    options = "userxattr,lowerdir=" + ":".join(map(str, reversed(lower)))
    if upper is not None:
        work = upper.with_name(upper.name + ".work")
        work.mkdir()
        options += f",upperdir={upper},workdir={work}"
    target.mkdir()
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(target)], check=True)
    try:
        yield target
    finally:
        subprocess.run(["umount", str(target)], check=True)


def _overlay_works() -> bool:
    return FAKE_ROOT and b"overlay" in Path("/proc/filesystems").read_bytes()


needs_overlay = pytest.mark.skipif(not _overlay_works(), reason="mounting overlayfs needs root and a kernel with overlayfs")
needs_root = pytest.mark.skipif(not FAKE_ROOT, reason="owners and device nodes need root")
