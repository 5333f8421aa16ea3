"""Hashing many files: what several processes do is what one would have done alone."""

import os
import signal
from pathlib import Path

import pytest
from blake3 import blake3

from graphbuild.build.hashing import Hashing, Sized, hash_file
from graphbuild.layers.cancel import Cancel, Cancelled, never

COUNT = 8_000


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for number in range(COUNT):
        (folder / f"{number}\n\xff").write_bytes(b"%d " % number * (number % 7))
    return folder


def sized(folder: Path) -> list[tuple[bytes, int]]:
    return [(name, os.stat(os.path.join(os.fsencode(folder), name)).st_size) for name in sorted(os.listdir(os.fsencode(folder)))]


def hash_files(folder: bytes, files: list[Sized], cancelled: Cancel = never) -> list[bytes]:
    """In as many calls as a search would make."""
    with Hashing(folder, cancelled) as hashing:
        for start in range(0, len(files), 97):
            hashing.add(files[start : start + 97])
        return hashing.digests()


def expected(folder: bytes, files: list[Sized]) -> list[bytes]:
    return [blake3(Path(os.fsdecode(os.path.join(folder, name))).read_bytes()).digest() for name, _ in files]


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_many_files_have_the_digests_of_their_content_in_order(many: Path):
    folder, files = os.fsencode(many), sized(many)
    before = children()
    assert hash_files(folder, files) == expected(folder, files)
    assert children() == before


@pytest.mark.parametrize("place", [0, COUNT - 1])
def test_a_file_that_is_missing_is_an_error_whichever_process_had_it(many: Path, place: int):
    files = sized(many)
    files[place] = (b"no such file", 3)
    with pytest.raises(FileNotFoundError, match="no such file"):
        hash_files(os.fsencode(many), files)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs a second processor: one alone starts no other process")
def test_what_a_process_had_taken_when_it_was_killed_is_hashed_here(many: Path):
    folder, files = os.fsencode(many), sized(many)
    before = children()
    with Hashing(folder) as hashing:
        hashing.add(files)
        started = set(children()) - set(before)
        assert started
        for process in started:
            os.kill(int(process), signal.SIGKILL)
        assert hashing.digests() == expected(folder, files)


def test_more_pieces_than_a_pipe_holds_are_hashed_too(many: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("graphbuild.build.hashing._PIECE", 1)
    folder, files = os.fsencode(many), sized(many)
    assert hash_files(folder, files) == expected(folder, files)


def test_giving_up_ends_the_other_processes_too(many: Path):
    before = children()
    with pytest.raises(Cancelled):
        hash_files(os.fsencode(many), sized(many), lambda: True)
    assert children() == before


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (16 << 20) + 5])
@pytest.mark.parametrize("guess", [0, 10, 16 << 20])
def test_the_size_is_only_a_guess(tmp_path: Path, size: int, guess: int):
    content = os.urandom(size)
    (tmp_path / "file").write_bytes(content)
    assert hash_file(os.fsencode(tmp_path / "file"), guess) == blake3(content).digest()
