"""The certificate of an unchanged build over so many paths that several processes look at them."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from graphbuild.build import certificate as certificates
from graphbuild.build.certificate import Unchanged, certificate_of, refreshed_certificate, write_certificate
from graphbuild.build.inputs import Inputs
from graphbuild.rules.refs import Sources
from graphbuild.start import changed_paths, read_certificate
from graphbuild.values.certificate import AMENDED, Proof, Stale
from graphbuild.values.errors import GraphbuildError

FOLDERS, FILES = 60, 100


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(FOLDERS):
        (tmp_path / f"files/{number:02}").mkdir(parents=True)
        for index in range(FILES):
            (tmp_path / f"files/{number:02}/{index}").touch()
    (tmp_path / "generation").touch()
    return tmp_path


def certificate(root: Path, *outputs: Path) -> str:
    """That of a build which copied `files`, looked for a file that was not there, and wrote `outputs`."""
    path = str(root / "certificates" / "it")
    while True:  # until what was just made is old enough to be certified
        inputs = Inputs(root, root / "stat")
        inputs.scan(Sources("", ("files",)))
        assert inputs.watch(root / "missing") is None
        if (proof := certificate_of(path, inputs, outputs, root / "generation", {}, ("", "ok"))) and write_certificate(*proof):
            return path
        time.sleep(0.01)


def unchanged(path: str) -> bool:
    payload = read_certificate(path)
    return payload is not None and changed_paths(payload[0]) == []


def test_it_holds_as_long_as_nothing_changes(root: Path):
    path = certificate(root)
    assert unchanged(path)
    assert unchanged(path)


def test_the_first_thing_that_changed_is_told_and_nothing_else(root: Path):
    path = certificate(root)
    payload = read_certificate(path)
    assert payload is not None
    told: list[str] = []
    assert changed_paths(payload[0], lambda: told.append("changed")) == []
    assert told == []
    for folder in (3, 30, 59):
        content(root, folder)
    changed = changed_paths(payload[0], lambda: told.append("changed"))
    assert changed is not None
    assert {os.fsdecode(name) for name, _ in changed} >= {f"{root}/files/{folder:02}/7" for folder in (3, 30, 59)}
    assert told == (["changed"] if len(os.sched_getaffinity(0)) > 1 else [])


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


def stale(path: str) -> Stale:
    said = read_certificate(path)
    assert said is not None
    changed = changed_paths(said[0])
    assert changed
    return path, said, changed


def looked_at_again(root: Path, path: str) -> Proof:
    """What is to be written after those files that changed were looked at, and nothing else."""
    while True:  # until what just changed is old enough to be certified
        old = stale(path)
        inputs = Inputs(root, root / "stat")
        for name, _ in old[2]:
            inputs.watch(Path(os.fsdecode(name)))
        if proof := refreshed_certificate(old, inputs, ()):
            return proof
        time.sleep(0.01)


def refresh(root: Path, path: str) -> str:
    """Write it; returns where."""
    proof = looked_at_again(root, path)
    assert write_certificate(*proof)
    return proof[0]


def test_what_changed_in_a_few_folders_is_an_amendment(root: Path):
    path = certificate(root)
    before = Path(path).read_bytes()
    for folder in (3, 40, 3):
        content(root, folder)
        assert not unchanged(path)
        assert refresh(root, path) == path + AMENDED
        assert unchanged(path)
    assert Path(path).read_bytes() == before
    content(root, 40)
    assert not unchanged(path), "what was amended before is looked at, too"


def test_many_amended_folders_become_a_certificate(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(certificates, "code_files", list)  # of how many folders our code is, depends on what other tests imported
    path = certificate(root)
    before = Path(path).read_bytes()
    written = []
    for folder in range(FOLDERS // 4):
        content(root, folder)
        written.append(refresh(root, path))
        assert unchanged(path)
    assert {path, path + AMENDED} == set(written)
    assert Path(path).read_bytes() != before


def test_a_damaged_amendment_and_one_of_another_certificate_count_as_none(root: Path):
    path = certificate(root)
    content(root, 3)
    refresh(root, path)
    amendment = Path(path + AMENDED)
    whole = amendment.read_bytes()
    for damaged in (b"", whole[:-1], whole[:30], whole[:-1] + bytes([whole[-1] ^ 1])):
        amendment.write_bytes(damaged)
        assert not unchanged(path)
    amendment.write_bytes(whole)
    assert unchanged(path)
    content(root, 4)
    certificate(root)
    assert unchanged(path)
    (root / "files/03/7").write_text("another")
    assert [os.path.basename(name) for name, _ in stale(path)[2]] == [b"7"]


@pytest.mark.parametrize("change", [content, mode, removal, addition])
def test_a_search_that_trusts_the_certificate_finds_what_a_search_of_all_finds(root: Path, change: Callable[[Path, int], None]):
    (root / ".graphbuildignore").write_text("files/*/9\n")
    (root / "files/05/empty").mkdir()
    path = certificate(root)
    change(root, 3)
    (root / "files/40/new").mkdir()
    (root / "files/40/new/file").write_text("new")
    shutil.rmtree(root / "files/50")
    trusting, looking = Inputs(root, root / "stat"), Inputs(root, root / "stat")
    trusting.known = Unchanged(stale(path))
    for sources in (Sources("", ("files",)), Sources("", ("files/*/1*", "!files/03/**")), Sources("files", ("**/7", "05"))):
        assert trusting.scan(sources) == looking.scan(sources)
    seen = {os.path.relpath(folder, os.fsencode(root)) for folder in trusting.watched}
    assert {b"files", b"files/40", b"files/40/new"} <= seen, "what changed is looked at, and noted"
    assert b"files/05" not in seen, "what did not is not"


def test_what_changes_after_the_comparison_is_not_built_from(root: Path):
    path = certificate(root)
    content(root, 3)
    inputs = Inputs(root, root / "stat")
    inputs.known = Unchanged(stale(path))
    (root / "files/30/8").write_text("later")
    sources = Sources("", ("files",))
    late = next(file for file in inputs.scan(sources) if file.path == b"files/30/8")
    with pytest.raises(GraphbuildError, match="changed while it was built from"):
        inputs.opener(sources)(late)


def test_outputs_beside_sources_hide_none_of_them(root: Path):
    (root / "files/05/out").write_text("an output")
    path = certificate(root, root / "files/05/out")
    content(root, 3)
    trusting, looking = Inputs(root, root / "stat"), Inputs(root, root / "stat")
    trusting.known = Unchanged(stale(path))
    sources = Sources("", ("files",))
    assert trusting.scan(sources) == looking.scan(sources)
