import os
import signal
import subprocess
import sys

import pytest

from graphbuild.image.place import copy_range, place_file, place_folder


def test_a_file_appears_when_it_is_whole(tmp_path):
    target = tmp_path / "deep" / "file"
    with place_file(target) as fd:
        os.write(fd, b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"
    assert os.listdir(target.parent) == ["file"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), place_file(target):
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_folder_takes_the_place_of_another_at_once(tmp_path):
    target = tmp_path / "folder"
    for text in ("one", "two"):
        with place_folder(target) as folder:
            (folder / text).write_text(text)
        assert os.listdir(target) == [text]
    with pytest.raises(FileNotFoundError), place_folder(target) as folder:
        (folder / "three").touch() or (folder / "missing").read_bytes()
    assert os.listdir(target) == ["two"]
    assert os.listdir(tmp_path) == ["folder"]


def test_a_symlink_to_the_destination_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with place_folder(tmp_path / "link") as folder:
        (folder / "x").touch()
    assert (tmp_path / "link").is_symlink()
    assert os.listdir(tmp_path / "real") == ["x"]


def test_the_umask_decides_the_mode(tmp_path):
    before = os.umask(0o027)
    try:
        with place_file(tmp_path / "file"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("kind", ["place_file", "place_folder"])
def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path, kind):
    code = f"import sys, time; from pathlib import Path; from graphbuild.image.place import {kind}\n"
    code += f"with {kind}(Path(sys.argv[1])): print('there', flush=True); time.sleep(60)"
    target = tmp_path / "target"
    process = subprocess.Popen([sys.executable, "-c", code, target], stdout=subprocess.PIPE)
    try:
        process.stdout.readline()
        with place_folder(target):
            assert len(os.listdir(tmp_path)) == 2
        assert len(os.listdir(tmp_path)) == 2  # the target and the other's
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with place_folder(target):
        pass
    assert os.listdir(tmp_path) == ["target"]


def test_a_range_is_copied_and_a_short_file_is_an_error(tmp_path):
    (tmp_path / "source").write_bytes(b"x" * 5000)
    with (tmp_path / "out").open("wb") as out:
        out.write(b"head")
        out.flush()
        copy_range(tmp_path / "source", out.fileno(), 4000)
        with pytest.raises(EOFError, match="has 5000 bytes, not 5001"):
            copy_range(tmp_path / "source", out.fileno(), 5001)
    assert (tmp_path / "out").read_bytes()[:4004] == b"head" + b"x" * 4000


def test_a_range_is_copied_between_file_systems(tmp_path):
    (tmp_path / "source").write_bytes(os.urandom(100_000))
    fd = os.memfd_create("target")  # a tmpfs
    copy_range(tmp_path / "source", fd, 100_000)
    assert os.pread(fd, 100_001, 0) == (tmp_path / "source").read_bytes()
    os.close(fd)
