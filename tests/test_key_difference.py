"""What `explain` says of two keys: the fields that differ, and of these what differs, in words that fit on a line."""

from graphbuild.build.keys import Field, difference

OLD, NEW = "a" * 64, "b" * 64


def test_digests_are_short_and_what_is_equal_is_left_out():
    before = (Field("mounts", [["bind", "/src/r.txt", False, "r.txt", OLD]], ("/src/r.txt",)),)
    after = (Field("mounts", [["bind", "/src/r.txt", False, "r.txt", NEW]], ("/src/r.txt",)),)
    assert difference(before, after) == [f"mounts: /src/r.txt changed, {OLD[:12]} → {NEW[:12]}"]


def test_variables_are_named():
    before = (Field("env", [["A", "1"], ["B", "2"]]),)
    after = (Field("env", [["A", "one"], ["C", "3"]]),)
    assert difference(before, after) == ["env: A changed, 1 → one", "env: B removed", "env: C added"]


def test_order_alone_is_said():
    before = (Field("layers", [OLD, NEW], ("//:a#run", "//:b#run")),)
    after = (Field("layers", [NEW, OLD], ("//:b#run", "//:a#run")),)
    assert difference(before, after) == ["layers: the order changed"]


def test_equal_keys_do_not_differ():
    fields = (Field("action", "run"), Field("argv", ["true"]))
    assert difference(fields, fields) == []


def test_items_without_names_are_told_by_their_place():
    assert difference((Field("argv", ["a"]),), (Field("argv", ["a", "b"]),)) == ["argv: [1] added"]
