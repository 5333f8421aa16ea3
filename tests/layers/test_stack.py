"""A stack seen as one tree, by itself and against a real overlay mount."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_samples import file, folder, folder_of, hardlink, layer_of, layers, needs_overlay, overlay, symlink, whiteout

from graphbuild.layers.cancel import never
from graphbuild.layers.disk import read_tree
from graphbuild.layers.stack import Stack
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import GraphbuildError


def stack(*indexes: list[Entry]) -> Stack:
    return Stack([layer_of(index) for index in indexes])


def test_the_topmost_layer_decides():
    seen = stack([file(b"a"), file(b"b")], [file(b"a", b"two\n")])
    assert seen.lookup(b"a") == file(b"a", b"two\n")
    assert seen.lookup(b"b") == file(b"b")
    assert seen.lookup(b"c") is None
    assert seen.lookup(b"") is None


def test_a_whiteout_hides_a_whole_tree_until_it_is_made_anew():
    seen = stack([folder(b"d", 0o700), file(b"d/x")], [whiteout(b"d")], [file(b"d/y")])
    assert seen.lookup(b"d/x") is None
    assert seen.lookup(b"d/y") == file(b"d/y")
    assert seen.lookup(b"d") == folder(b"d")


def test_an_opaque_directory_hides_what_is_below_it():
    seen = stack([file(b"d/x")], [folder(b"d", 0o700, opaque=True), file(b"d/y")])
    assert [entry.path for entry in seen.flatten()] == [b"d", b"d/y"]
    assert seen.lookup(b"d") == folder(b"d", 0o700)


def test_a_file_shadows_a_directory_and_what_was_in_it():
    seen = stack([file(b"d/x")], [file(b"d")], [file(b"d/y")])
    assert seen.lookup(b"d/x") is None
    assert [entry.path for entry in seen.flatten()] == [b"d", b"d/y"]


def test_an_implicit_directory_shows_the_lower_attributes():
    seen = stack([folder(b"tmp", 0o1777, uid=7)], [file(b"tmp/x")])
    assert seen.lookup(b"tmp") == folder(b"tmp", 0o1777, uid=7)
    assert seen.implicit() == [b"tmp"]
    assert stack([file(b"srv/x")]).implicit() == []
    assert stack([folder(b"srv")], [file(b"srv/x")]).implicit() == []


def test_a_directory_of_one_layer_with_a_whiteout_needs_another_layer_to_hide_it():
    assert stack([], [whiteout(b"d/x")]).implicit() == [b"d"]
    assert stack([file(b"d/x")], [whiteout(b"d/x")]).implicit() == []


def test_links_come_as_files_and_survive_their_first_name():
    first = file(b"a", b"one")
    seen = stack([first, hardlink(b"b", first), hardlink(b"c", first)], [file(b"a", b"two\n")])
    assert seen.lookup(b"c") == file(b"c")
    second = file(b"b")
    assert seen.flatten() == [file(b"a", b"two\n"), second, hardlink(b"c", second)]


def test_walk_below_a_prefix():
    seen = stack([folder(b"a"), file(b"a/x"), file(b"a-b"), file(b"ab")], [file(b"a/w")])
    assert [entry.path for entry, _ in seen.walk(b"a")] == [b"a", b"a/w", b"a/x"]
    assert [entry.path for entry, _ in seen.walk(b"a-b")] == [b"a-b"]
    assert list(seen.walk(b"none")) == []


def test_a_very_deep_path_is_no_trouble():
    path = b"/".join([b"d"] * 2000)
    assert stack([file(path)]).lookup(path) == file(path)


@pytest.mark.parametrize(
    ("path", "real"),
    [
        (b"bin/sh", b"usr/bin/sh"),
        (b"/bin/../x", b"usr/x"),
        (b"abs/file", b"usr/bin/file"),
        (b"../../up", b"up"),
        (b"climb/x", b"x"),
        (b"a/./b//c", b"a/b/c"),
        (b"", b""),
        (b"/", b""),
        (b"chain", b"usr/bin"),
        (b"dangling/x", b"not/there/x"),
    ],
)
def test_resolve_stays_in_the_root(path, real):
    seen = stack(
        [
            symlink(b"abs", b"/usr/bin"),
            symlink(b"bin", b"usr/bin"),
            symlink(b"chain", b"abs/"),
            symlink(b"climb", b"../../../.."),
            symlink(b"dangling", b"not/there"),
            folder(b"usr/bin"),
        ]
    )
    assert seen.resolve(path) == real


def test_resolve_can_leave_the_last_symlink():
    seen = stack([symlink(b"bin", b"usr/bin"), symlink(b"usr/bin/sh", b"dash")])
    assert seen.resolve(b"bin/sh", follow_last=False) == b"usr/bin/sh"
    assert seen.resolve(b"bin/sh/", follow_last=False) == b"usr/bin/sh"
    assert seen.resolve(b"bin/sh") == b"usr/bin/dash"


def test_a_loop_of_symlinks_is_an_error():
    with pytest.raises(GraphbuildError, match="too many symlinks"):
        stack([symlink(b"a", b"b"), symlink(b"b", b"a")]).resolve(b"a")


def test_read_follows_symlinks_through_folders(tmp_path):
    lower = layer_of([symlink(b"etc", b"/usr/etc"), file(b"usr/etc/passwd", b"two\n")], tmp_path / "lower")
    upper = layer_of([file(b"x")])
    seen = Stack([lower, upper])
    assert seen.read(b"/etc/passwd") == b"two\n"
    assert seen.read(b"etc/group") is None
    assert seen.read(b"etc") is None
    with pytest.raises(GraphbuildError, match="larger than 3 bytes"):
        seen.read(b"etc/passwd", limit=3)


@settings(max_examples=60, deadline=None)
@given(indexes=st.lists(layers(), min_size=1, max_size=4))
def test_lookup_walk_and_flatten_agree(indexes):
    seen = stack(*indexes)
    flat = seen.flatten()
    assert [entry.path for entry in flat] == sorted(entry.path for entry in flat)
    alone = stack(flat)
    for entry in flat:
        assert seen.lookup(entry.path) == alone.lookup(entry.path)
    assert alone.flatten() == flat
    everything = {path for layer in seen.layers for path in layer.paths}
    assert {path for path in everything if seen.lookup(path)} == {entry.path for entry in flat}


@needs_overlay
@settings(max_examples=25, deadline=None)
@given(indexes=st.lists(layers(kinds=(Kind.FILE, Kind.DIRECTORY, Kind.SYMLINK, Kind.WHITEOUT)), min_size=2, max_size=4))
def test_a_real_overlay_shows_the_same(indexes, tmp_path_factory):
    place = tmp_path_factory.mktemp("stack")
    seen = Stack([layer_of(index, place / f"layer{number}") for number, index in enumerate(indexes)])
    stub = folder_of([entry for path in seen.implicit() if (entry := seen.lookup(path))], place / "stub")
    with overlay([*(layer.folder() for layer in seen.layers), stub], None, place / "merged") as merged:
        shown = {found.path: found.entry for found in read_tree(os.fsencode(merged), never)}
        assert shown == {entry.path: seen.lookup(entry.path) for entry in seen.flatten()}
        _same_links(merged, seen)


def _same_links(merged: Path, seen: Stack) -> None:
    for entry, layer in seen.walk():
        if entry.kind is Kind.HARDLINK:
            one, other = (os.lstat(os.fsencode(layer.folder()) + b"/" + path) for path in (entry.path, entry.target))
            assert one.st_ino == other.st_ino
            assert stat.S_ISREG(os.lstat(os.fsencode(merged) + b"/" + entry.path).st_mode)


def test_the_names_in_a_folder_whatever_sorts_between_it_and_what_is_below():
    """`-`, `.` and a space come before the slash."""
    below = [file(b"d/a/x"), file(b"d/a-b/y"), file(b"d/a.txt"), file(b"d/a b"), file(b"d/b/c/d"), file(b"d/b0")]
    seen = stack(sorted(below, key=lambda entry: entry.path), [file(b"d/a-b/z"), whiteout(b"d/b")])
    assert seen.names(b"d") == [b"a", b"a b", b"a-b", b"a.txt", b"b0"]
    assert stack([folder(b"a"), file(b"a-b"), file(b"a/x")]).names(b"") == [b"a", b"a-b"]
