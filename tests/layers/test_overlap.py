"""Where layers that do not know of each other meet."""

import pytest
from layer_samples import file, folder, hardlink, layer_of, symlink, whiteout

from graphbuild.layers.overlap import covered_symlinks, overlaps
from graphbuild.layers.stack import Stack


@pytest.mark.parametrize(
    ("one", "other", "conflicts"),
    [
        ([file(b"a")], [file(b"b")], []),
        ([file(b"a")], [file(b"a")], []),
        ([file(b"a")], [file(b"a", b"two\n")], [b"a"]),
        ([file(b"a")], [file(b"a", mode=0o755)], [b"a"]),
        ([file(b"a")], [whiteout(b"a")], [b"a"]),
        ([whiteout(b"a")], [whiteout(b"a")], []),
        ([file(b"d/x")], [file(b"d/y")], []),
        ([file(b"d/x")], [folder(b"d", 0o700)], []),
        ([folder(b"d", 0o755)], [folder(b"d", 0o700)], [b"d"]),
        ([file(b"d/x")], [folder(b"d", opaque=True)], [b"d"]),
        ([file(b"d/x")], [file(b"d")], [b"d"]),
        ([file(b"d/x")], [symlink(b"d", b"e")], [b"d"]),
        ([file(b"d/x")], [whiteout(b"d")], [b"d"]),
        ([file(b"a"), hardlink(b"b", file(b"a"))], [file(b"b")], []),
        ([file(b"a"), hardlink(b"b", file(b"a"))], [file(b"b", b"two\n")], [b"b"]),
    ],
)
def test_conflicts_are_found_from_both_sides(one, other, conflicts):
    first, second = [layer_of(one)], [layer_of(other)]
    assert [conflict.path for conflict in overlaps(first, second)] == conflicts
    assert [conflict.path for conflict in overlaps(second, first)] == conflicts


def test_shared_layers_are_left_out_and_the_topmost_counts():
    shared = layer_of([file(b"a"), file(b"b")])
    one = [shared, layer_of([file(b"x")]), layer_of([file(b"x", b"two\n")])]
    other = [shared, layer_of([file(b"x", b"two\n")])]
    assert list(overlaps(one, other)) == []
    (conflict,) = overlaps(one[:2], other)
    assert (conflict.path, conflict.one, conflict.other) == (b"x", file(b"x"), file(b"x", b"two\n"))


def test_directories_over_symlinks_are_found():
    lower = Stack([layer_of([symlink(b"bin", b"usr/bin"), symlink(b"lib", b"usr/lib"), symlink(b"sbin", b"usr/sbin")])])
    upper = [layer_of([file(b"bin/x"), folder(b"lib"), symlink(b"sbin", b"usr/bin"), file(b"usr/lib/y")])]
    assert list(covered_symlinks(lower, upper)) == [(b"bin", b"usr/bin"), (b"lib", b"usr/lib")]
