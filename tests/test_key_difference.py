"""What `explain` says of two keys: the fields that differ, and of these what differs, in words that fit on a line. And their encoding."""

import msgspec
from blake3 import blake3

from graphbuild.build.keys import VERSION, Field, decode_fields, difference, encode_fields, key_of

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


def test_of_a_config_its_members_are_named():
    before = (Field("config", '{"env":[["PORT","80"],["LOG","debug"]],"user":"0","cmd":null}'),)
    after = (Field("config", '{"env":[["PORT","80"],["LOG","warning"]],"user":"1000","cmd":["sh","-c"]}'),)
    assert difference(before, after) == ["config.env: LOG changed, debug → warning", "config.user: 0 → 1000", "config.cmd: (none) → sh -c"]
    assert difference(before, (Field("config", "{"),)) == [f"config: {before[0].value} → {{"]
    deep = '{"a":' * 10_000
    assert difference((Field("signal", deep),), (Field("signal", "x"),)) == [f"signal: {deep[:200]}… → x"]


def test_equal_keys_do_not_differ():
    fields = (Field("action", "run"), Field("argv", ["true"]))
    assert difference(fields, fields) == []


def test_items_without_names_are_told_by_their_place():
    assert difference((Field("argv", ["a"]),), (Field("argv", ["a", "b"]),)) == ["argv: [1] added"]


def test_words_of_any_bytes_have_a_key_and_can_be_read_again():
    fields = (Field("argv", ["echo", "\udcff"], ("\udcfe",)), Field("env", [["A", "ž"]]))
    assert decode_fields(encode_fields(fields)) == (Field("argv", ["echo", b"\xff"], ("\\xfe",)), Field("env", [["A", "ž"]]))
    assert len({key_of((Field("argv", [word]),)) for word in ("\udcff", "\udcfe", "\\xff", "ÿ")}) == 4


def test_other_keys_are_those_of_plain_text():
    fields = (Field("argv", ["echo", "ž"], ("to",)),)
    assert key_of(fields).hex == blake3(msgspec.msgpack.encode([VERSION, [["argv", ["echo", "ž"]]]])).hexdigest()
    assert encode_fields(fields) == msgspec.msgpack.encode(fields)
