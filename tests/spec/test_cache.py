"""Parsed packages come from the cache only where everything that made them is the same, and never from a damaged one."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.spec.cache import ParsedCache
from graphbuild.spec.package import parse_package
from graphbuild.values.errors import GraphbuildError

RULES = {"run": "step", "image": ("base", "output"), "scratch": "base"}
TEXT = b"""\
vars: {a: "1"}
bases: {empty: scratch}
steps:
  deps: {run: [x, true, null, {v: "1.10"}], from: empty, mounts: [{bind: a, to: /b}]}
"""


@pytest.fixture
def filled(tmp_path):
    cache = ParsedCache(tmp_path, RULES)
    cache.package(TEXT, "a/build.yaml", "a")
    cache.save()
    return tmp_path


def test_the_cache_gives_what_parsing_gives(filled):
    parsed = parse_package(TEXT, "a/build.yaml", "a", RULES)
    assert ParsedCache(filled, RULES).package(TEXT, "a/build.yaml", "a") == parsed


def poison(folder):
    """Make every entry of the cache say something that parsing would not."""
    from blake3 import blake3

    data = (folder / "packages").read_bytes()[32:].replace(b"deps", b"dope")
    (folder / "packages").write_bytes(blake3(data).digest() + data)


def test_what_is_cached_is_not_parsed(filled):
    poison(filled)
    assert ParsedCache(filled, RULES).package(TEXT, "a/build.yaml", "a").targets[1].name == "dope"


@pytest.mark.parametrize(
    ("text", "file", "package", "rules"),
    [
        (TEXT + b"#", "a/build.yaml", "a", RULES),
        (TEXT, "b/build.yaml", "a", RULES),
        (TEXT, "a/build.yaml", "b", RULES),
        (TEXT, "a/build.yaml", "a", {**RULES, "copy": "step"}),
        (TEXT, "a/build.yaml", "a", {**RULES, "image": "base"}),
    ],
)
def test_any_difference_is_a_miss(filled, text, file, package, rules):
    poison(filled)
    assert ParsedCache(filled, rules).package(text, file, package).targets[1].name == "deps"


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_damage_is_a_miss(tmp_path_factory, position, byte):
    folder = tmp_path_factory.mktemp("cache")
    cache = ParsedCache(folder, RULES)
    expected = cache.package(TEXT, "f", "a")
    cache.save()
    data = bytearray((folder / "packages").read_bytes())
    data[position % len(data)] = byte
    (folder / "packages").write_bytes(data)
    assert ParsedCache(folder, RULES).package(TEXT, "f", "a") == expected


@pytest.mark.parametrize("content", [b"", b"x" * 31, b"\0" * 100])
def test_rubbish_is_a_miss(filled, content):
    (filled / "packages").write_bytes(content)
    cache = ParsedCache(filled, RULES)
    assert cache.package(TEXT, "a/build.yaml", "a").targets[1].name == "deps"
    cache.save()
    assert len((filled / "packages").read_bytes()) > 100


def test_entries_of_another_form_are_a_miss(filled):
    import msgspec
    from blake3 import blake3

    key = next(iter(msgspec.msgpack.decode((filled / "packages").read_bytes()[32:])))
    data = msgspec.msgpack.encode({key: [1, 2]})
    (filled / "packages").write_bytes(blake3(data).digest() + data)
    assert ParsedCache(filled, RULES).package(TEXT, "a/build.yaml", "a").targets[1].name == "deps"


def test_problems_are_not_remembered(tmp_path):
    cache = ParsedCache(tmp_path, RULES)
    for _ in range(2):
        with pytest.raises(GraphbuildError):
            cache.package(b"steps: {a: {}}", "f", "a")
    cache.save()
    assert list(tmp_path.iterdir()) == []


def test_other_packages_stay(filled):
    cache = ParsedCache(filled, RULES)
    cache.package(b"bases: {b: scratch}", "b", "b")
    cache.save()
    poison(filled)
    assert ParsedCache(filled, RULES).package(TEXT, "a/build.yaml", "a").targets[1].name == "dope"


def test_nothing_new_is_not_written(filled):
    before = (filled / "packages").stat().st_ino
    cache = ParsedCache(filled, RULES)
    cache.package(TEXT, "a/build.yaml", "a")
    cache.save()
    assert (filled / "packages").stat().st_ino == before


def test_a_folder_that_cannot_be_written_is_no_mistake(tmp_path):
    (tmp_path / "file").write_text("")
    cache = ParsedCache(tmp_path / "file", RULES)
    cache.package(TEXT, "f", "a")
    cache.save()


def test_writers_at_once_leave_a_whole_pack(tmp_path):
    def write(number):
        cache = ParsedCache(tmp_path, RULES)
        cache.package(TEXT + b"#" * number, "f", "a")
        cache.save()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["packages"]
    assert ParsedCache(tmp_path, RULES).package(TEXT, "f", "a").targets[1].name == "deps"
