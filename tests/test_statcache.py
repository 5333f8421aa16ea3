"""The digests that are remembered by stat: never another file's, and no more than a cache."""

from pathlib import Path

import pytest

from graphbuild.build.statcache import StatCache

ONE = (3, 1_700_000_000_000_000_000, 1_700_000_000_000_000_001, 77, 0o100644)
DIGEST = bytes(range(32))


def filled(folder: Path, count: int = 1) -> StatCache:
    cache = StatCache(folder, b"/workspace")
    for number in range(count):
        cache.put(b"folder/file-%d" % number, ONE, DIGEST)
    return cache


def get(cache: StatCache, path: bytes, signature) -> bytes | None:
    return cache.known({path: signature}).get(path)


def test_what_was_saved_is_known_by_the_next_build(tmp_path):
    filled(tmp_path, 3).save()
    again = StatCache(tmp_path, b"/workspace")
    assert [get(again, b"folder/file-%d" % number, ONE) for number in range(4)] == [DIGEST, DIGEST, DIGEST, None]
    assert get(StatCache(tmp_path, b"/other"), b"folder/file-0", ONE) is None


@pytest.mark.parametrize("changed", range(5))
def test_every_number_of_the_stat_counts(tmp_path, changed):
    other = tuple(number + (place == changed) for place, number in enumerate(ONE))
    assert get(filled(tmp_path), b"folder/file-0", other) is None


def test_a_stat_that_cannot_be_written_down_is_not_remembered_and_matches_nothing(tmp_path):
    peculiar = (3, 1 << 64, 1 << 64, 77, 0o100644)
    cache = filled(tmp_path)
    cache.put(b"folder/file-0", peculiar, bytes(32))
    assert get(cache, b"folder/file-0", peculiar) is None
    assert get(cache, b"folder/file-0", ONE) == DIGEST


def test_inodes_take_64_bits(tmp_path):
    cache = StatCache(tmp_path, b"/workspace")
    cache.put(b"file", (1, -5, 2, (1 << 64) - 1, 0o100644), DIGEST)
    cache.save()
    assert get(StatCache(tmp_path, b"/workspace"), b"file", (1, -5, 2, (1 << 64) - 1, 0o100644)) == DIGEST


def test_a_damaged_or_older_file_holds_nothing(tmp_path):
    filled(tmp_path, 2).save()
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for bad in (b"", whole[:-1], whole[:-1] + b"x", b"x" * 32 + whole[32:], whole[:30]):
        file.write_bytes(bad)
        assert get(StatCache(tmp_path, b"/workspace"), b"folder/file-0", ONE) is None


def test_few_small_additions_are_not_worth_writing_all_again(tmp_path):
    filled(tmp_path, 1000).save()
    (file,) = tmp_path.iterdir()
    before = file.stat().st_ino
    cache = StatCache(tmp_path, b"/workspace")
    cache.put(b"new", ONE, DIGEST)
    cache.save()
    assert file.stat().st_ino == before
    for number in range(60):
        cache.put(b"more-%d" % number, ONE, DIGEST)
    cache.save()
    assert get(StatCache(tmp_path, b"/workspace"), b"new", ONE) == DIGEST


def test_a_large_file_is_always_worth_it(tmp_path):
    filled(tmp_path, 1000).save()
    cache = StatCache(tmp_path, b"/workspace")
    cache.put(b"large", (1 << 30, *ONE[1:]), DIGEST)
    cache.save()
    assert get(StatCache(tmp_path, b"/workspace"), b"large", (1 << 30, *ONE[1:])) == DIGEST


def test_nothing_new_is_not_written(tmp_path):
    StatCache(tmp_path / "none", b"/workspace").save()
    assert not (tmp_path / "none").exists()
