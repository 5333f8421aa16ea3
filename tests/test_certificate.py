"""The certificate of an unchanged build over so many paths that two processes look at them."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from graphbuild.build.certificate import certificate_of, write_certificate
from graphbuild.build.inputs import Inputs
from graphbuild.rules.refs import Sources
from graphbuild.start import changed_paths, read_certificate

FOLDERS, FILES = 60, 100


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(FOLDERS):
        (tmp_path / f"files/{number:02}").mkdir(parents=True)
        for index in range(FILES):
            (tmp_path / f"files/{number:02}/{index}").touch()
    (tmp_path / "generation").touch()
    return tmp_path


def certificate(root: Path) -> str:
    """That of a build which copied `files` and looked for a file that was not there."""
    path = str(root / "certificates" / "it")
    while True:  # until what was just made is old enough to be certified
        inputs = Inputs(root, root / "stat")
        inputs.scan(Sources("", ("files",)))
        assert inputs.watch(root / "missing") is None
        if (proof := certificate_of(inputs, (), root / "generation", {}, ("", "ok"))) and write_certificate(path, proof):
            return path
        time.sleep(0.01)


def unchanged(path: str) -> bool:
    payload = read_certificate(path)
    return payload is not None and changed_paths(payload[0]) == []


def test_it_holds_as_long_as_nothing_changes(root: Path):
    path = certificate(root)
    assert unchanged(path)
    assert unchanged(path)


def content(root: Path, folder: int) -> None:
    (root / f"files/{folder:02}/7").write_text("x")


def mode(root: Path, folder: int) -> None:
    (root / f"files/{folder:02}/7").chmod(0o755)


def removal(root: Path, folder: int) -> None:
    (root / f"files/{folder:02}/7").unlink()


def addition(root: Path, folder: int) -> None:
    (root / f"files/{folder:02}/more").touch()


@pytest.mark.parametrize("folder", [0, FOLDERS - 1])
@pytest.mark.parametrize("change", [content, mode, removal, addition])
def test_a_change_anywhere_ends_it(root: Path, folder: int, change: Callable[[Path, int], None]):
    path = certificate(root)
    change(root, folder)
    assert not unchanged(path)


def test_what_was_not_there_and_comes_ends_it(root: Path):
    path = certificate(root)
    (root / "missing").touch()
    assert not unchanged(path)


def test_a_file_older_than_1970_is_as_good_as_any(root: Path):
    os.utime(root / "files/00/7", ns=(-5, -5))
    path = certificate(root)
    assert unchanged(path)
    os.utime(root / "files/00/7", ns=(-5, -4))
    assert not unchanged(path)
