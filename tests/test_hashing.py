"""Hashing many files: what the second process does is what one would have done alone."""

import os
from pathlib import Path

import pytest
from blake3 import blake3

from graphbuild.build.hashing import hash_file, hash_files
from graphbuild.layers.cancel import Cancelled

COUNT = 8_000


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    for number in range(COUNT):
        (folder / f"{number}\n\xff").write_bytes(b"%d " % number * (number % 7))
    return folder


def sized(folder: Path) -> list[tuple[bytes, int]]:
    return [(name, os.stat(os.path.join(os.fsencode(folder), name)).st_size) for name in sorted(os.listdir(os.fsencode(folder)))]


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_many_files_have_the_digests_of_their_content_in_order(many: Path):
    folder, files = os.fsencode(many), sized(many)
    expected = [blake3(Path(os.fsdecode(os.path.join(folder, name))).read_bytes()).digest() for name, _ in files]
    before = children()
    assert hash_files(folder, files) == expected
    assert children() == before


@pytest.mark.parametrize("place", [0, COUNT - 1])
def test_a_file_that_is_missing_is_an_error_whichever_process_had_it(many: Path, place: int):
    files = sized(many)
    files[place] = (b"no such file", 3)
    with pytest.raises(FileNotFoundError, match="no such file"):
        hash_files(os.fsencode(many), files)


def test_giving_up_ends_the_second_process_too(many: Path):
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
