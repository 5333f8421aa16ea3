"""What is captured of a real overlay's upper directory, and what the folder is afterwards."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from layer_samples import (
    FAKE_ROOT,
    file,
    folder,
    folder_of,
    hardlink,
    layer_of,
    layers,
    needs_overlay,
    needs_root,
    overlay,
    symlink,
    whiteout,
)

from graphbuild.layers.cancel import Cancelled
from graphbuild.layers.capture import capture
from graphbuild.layers.folder import scan
from graphbuild.layers.stack import Layer, Stack
from graphbuild.values.digest import Digest
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import GraphbuildError

LOWER = [
    folder(b"dir", 0o750),
    file(b"dir/a", b"one"),
    file(b"dir/b", b"two\n"),
    folder(b"dir/sub"),
    file(b"dir/sub/deep", b"one"),
    file(b"linked", b"one"),
    hardlink(b"linked2", file(b"linked", b"one")),
    symlink(b"sym", b"dir"),
    file(b"top", b"one"),
]


def step(tmp_path: Path, work: Callable[[Path], None], lower: list[Entry] = LOWER, **more) -> list[Entry]:
    """Do something in an overlay over `lower`; capture it, and check that the folder is the form of what was captured."""
    below = layer_of(lower, tmp_path / "lower")
    upper = tmp_path / "upper"
    upper.mkdir()
    with overlay([below.folder()], upper, tmp_path / "merged") as merged:
        work(merged)
    entries = capture(upper, Stack([below]), epoch=3, **more)
    assert scan(upper) == entries
    assert {path.lstat().st_mtime for path in [upper, *upper.rglob("*")]} == {3.0}
    tar_of_files = {entry.path for entry in entries}
    assert len(tar_of_files) == len(entries)
    return entries


@needs_overlay
@pytest.mark.parametrize(
    ("work", "expected"),
    [
        (lambda root: None, []),
        (lambda root: (root / "top").write_bytes(b"two\n"), [file(b"top", b"two\n")]),
        (lambda root: (root / "new").write_bytes(b"one"), [file(b"new")]),
        (lambda root: (root / "top").unlink(), [whiteout(b"top")]),
        (lambda root: (root / "dir/sub/new").write_bytes(b"one"), [file(b"dir/sub/new")]),
        (lambda root: shutil.rmtree(root / "dir"), [whiteout(b"dir")]),
        (lambda root: (root / "top").write_bytes(b"one"), []),
        (lambda root: os.utime(root / "top"), []),
        (lambda root: (root / "dir").chmod(0o700), [folder(b"dir", 0o700)]),
        (lambda root: (root / "dir/sub").rmdir() if not (root / "dir/sub/deep").unlink() else None, [whiteout(b"dir/sub")]),
        (lambda root: [(root / "made").mkdir(), (root / "made").rmdir()], []),
        (lambda root: [(root / "t").write_bytes(b""), (root / "t").unlink()], []),
        (lambda root: (root / "made").mkdir(), [folder(b"made")]),
        (lambda root: os.mkfifo(root / "fifo", 0o600), [Entry(b"fifo", Kind.FIFO, 0o600)]),
        (lambda root: os.mknod(root / "null", 0o20666, os.makedev(1, 3)), [Entry(b"null", Kind.CHARACTER, 0o644, device=(1, 3))]),
        (lambda root: (root / "top").chmod(0o4755), [file(b"top", b"one", 0o4755)]),
        (lambda root: os.chown(root / "top", 1000, 2000), [file(b"top", b"one", 0o644, 1000, 2000)]),
        (lambda root: os.symlink("x", root / "link"), [symlink(b"link", b"x")]),
        (lambda root: [(root / "sym").unlink(), os.symlink("dir", root / "sym")], []),
        (lambda root: [(root / "sym").unlink(), (root / "sym").mkdir()], [folder(b"sym")]),
        (lambda root: os.setxattr(root / "top", "user.tag", b"1"), [file(b"top", xattrs=((b"user.tag", b"1"),))]),
        (lambda root: os.setxattr(root / "dir", "user.tag", b"1"), [folder(b"dir", 0o750, xattrs=((b"user.tag", b"1"),))]),
        (lambda root: open(os.fsencode(root) + b"/\xff\n", "wb").close(), [file(b"\xff\n", b"")]),
        (lambda root: (root / "linked").write_bytes(b"two\n"), [file(b"linked", b"two\n")]),
    ],
)
def test_what_changed_is_captured(work, expected, tmp_path):
    os.umask(0o022)
    assert step(tmp_path, work) == expected


@needs_overlay
def test_a_directory_made_anew_is_opaque_only_over_a_real_one(tmp_path):
    def work(root: Path) -> None:
        shutil.rmtree(root / "dir")
        (root / "dir").mkdir(mode=0o755)
        (root / "dir/a").write_bytes(b"one")  # the same as below, which an opaque directory hides
        (root / "fresh/inner").mkdir(parents=True)

    expected = [folder(b"dir", opaque=True), file(b"dir/a"), folder(b"fresh"), folder(b"fresh/inner")]
    assert step(tmp_path, work) == expected
    assert "user.overlay.opaque" not in os.listxattr(tmp_path / "upper/fresh")


@needs_overlay
def test_a_renamed_directory_is_a_copy_and_a_removal(tmp_path):
    entries = step(tmp_path, lambda root: subprocess.run(["mv", str(root / "dir"), str(root / "moved")], check=True))
    assert [(entry.path, entry.kind.value) for entry in entries] == [
        (b"dir", "w"),
        (b"moved", "d"),
        (b"moved/a", "f"),
        (b"moved/b", "f"),
        (b"moved/sub", "d"),
        (b"moved/sub/deep", "f"),
    ]


@needs_overlay
def test_as_docker_attributes_of_users_are_not_kept(tmp_path):
    lower = [*LOWER, file(b"tagged", b"one", xattrs=((b"user.tag", b"1"),)), folder(b"tags", xattrs=((b"user.tag", b"1"),))]

    def work(root: Path) -> None:
        os.setxattr(root / "top", "user.tag", b"1")  # and nothing else: as good as unchanged
        os.setxattr(root / "dir", "user.tag", b"1")
        (root / "tagged").write_bytes(b"two")
        (root / "tags").chmod(0o700)
        (root / "made").mkdir()
        os.setxattr(root / "made", "user.tag", b"1")

    assert step(tmp_path, work, lower, like_docker=True) == [folder(b"made"), file(b"tagged", b"two"), folder(b"tags", 0o700)]


@needs_overlay
def test_hard_links_are_named_by_their_first_path_and_whiteouts_are_none(tmp_path):
    def work(root: Path) -> None:
        (root / "z").write_bytes(b"two\n")
        os.link(root / "z", root / "a")
        os.link(root / "z", root / "dir/m")
        for name in ("top", "sym", "dir/a"):
            (root / name).unlink()

    first = file(b"a", b"two\n")
    expected = [first, whiteout(b"dir/a"), hardlink(b"dir/m", first), whiteout(b"sym"), whiteout(b"top"), hardlink(b"z", first)]
    assert step(tmp_path, work) == expected


@needs_overlay
def test_capabilities_sparse_files_and_sockets(tmp_path):
    def work(root: Path) -> None:
        with (root / "sparse").open("wb") as out:
            out.seek(5_000_000)
            out.write(b"end")
            out.truncate(6_000_000)
        shutil.copy("/bin/true", root / "true")
        os.setxattr(root / "true", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
        server = socket.socket(socket.AF_UNIX)
        old = os.getcwd()
        os.chdir(root)
        server.bind("sock")
        os.chdir(old)
        server.close()

    entries = {entry.path: entry for entry in step(tmp_path, work)}
    assert entries[b"sparse"] == file(b"sparse", bytes(5_000_000) + b"end" + bytes(999_997))
    assert dict(entries[b"true"].xattrs).keys() == {b"security.capability"}
    assert b"sock" not in entries


@needs_overlay
def test_a_large_file_is_hashed_like_a_small_one(tmp_path):
    content = os.urandom(1 << 20) * 65
    assert step(tmp_path, lambda root: (root / "big").write_bytes(content)) == [file(b"big", content)]


@needs_overlay
def test_mount_points_are_ignored_while_they_are_empty(tmp_path):
    def work(root: Path) -> None:
        (root / "mnt").mkdir()
        (root / "resolv").write_bytes(b"")
        (root / "used").mkdir()
        (root / "used/x").write_bytes(b"one")
        (root / "top").unlink()

    ignored = (b"mnt", b"resolv", b"used", b"top")
    assert step(tmp_path, work, ignored=ignored) == [folder(b"used"), file(b"used/x")]


@needs_root
def test_one_id_keeps_the_owners_of_what_is_below(tmp_path):
    below = Layer(Digest("blake3", "0" * 64), [folder(b"home", uid=1000, gid=1000), file(b"home/x", b"one", 0o600, 1000, 1000)], Path)
    upper = tmp_path / "upper"
    (upper / "home").mkdir(parents=True, mode=0o755)
    (upper / "home/x").write_bytes(b"two\n")
    (upper / "home/x").chmod(0o600)
    (upper / "home/y").write_bytes(b"one")
    (upper / "home/y").chmod(0o644)
    made = capture(upper, Stack([below]), epoch=0, ids="single")
    assert made == [file(b"home/x", b"two\n", 0o600, 1000, 1000), file(b"home/y")]


def test_capture_can_be_given_up(tmp_path):
    with pytest.raises(Cancelled):
        capture(tmp_path, Stack([]), epoch=0, cancelled=lambda: True)


def test_a_path_too_long_for_a_layer_is_an_error(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=fd)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    with pytest.raises(GraphbuildError, match="too long a path"):
        capture(tmp_path, Stack([]), epoch=0, ids="single")
    subprocess.run(["rm", "-rf", *map(str, tmp_path.iterdir())], check=True)


@settings(max_examples=30, deadline=None)
@given(entries=layers(kinds=(Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK, Kind.FIFO)))
def test_a_folder_form_on_nothing_is_captured_as_itself(entries, tmp_path_factory):
    """Nothing of lower layers to be opaque over; implicit directories become new ones, since nothing below has them."""
    place = folder_of(entries, tmp_path_factory.mktemp("capture") / "form")
    listed = {entry.path for entry in entries}
    made = capture(place, Stack([]), epoch=0, ids="full" if FAKE_ROOT else "single")
    clear = [Entry(e.path, e.kind, e.mode, e.uid, e.gid, e.size, e.digest, e.target, e.device, e.xattrs) for e in entries]
    assert [entry for entry in made if entry.path in listed] == clear
    assert all(entry.kind is Kind.DIRECTORY for entry in made if entry.path not in listed)
    assert scan(place) == made


@needs_overlay
@settings(max_examples=25, deadline=None)
@given(lower=layers(), upper=layers())
def test_a_random_upper_shows_the_same_tree_after_capture(lower, upper, tmp_path_factory):
    place = tmp_path_factory.mktemp("random")
    below, above = layer_of(lower, place / "lower"), layer_of(upper, place / "upper")
    before = {entry.path: entry for entry in Stack([below, above]).flatten()}
    wrong = set(Stack([below, above]).implicit())
    entries = capture(above.folder(), Stack([below]), epoch=0)
    after = {entry.path: entry for entry in Stack([below, layer_of(entries)]).flatten()}
    assert scan(above.folder()) == entries
    # In a folder an implicit directory has attributes of its own: without a stub they are what a step would have seen.
    assert {path: entry for path, entry in before.items() if path not in wrong and entry.kind is not Kind.HARDLINK} == {
        path: entry for path, entry in after.items() if path not in wrong and path in before and before[path].kind is not Kind.HARDLINK
    }
