"""Killed processes, several processes at once, a full disk: nothing half-written is ever read, nothing recorded is lost."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mounts import mounted, small_disk
from store_parts import child, damage, key, never, nothing, put_folder_layer, record_of, write_blob

from graphbuild.store.store import Store
from graphbuild.values.errors import EXIT_MACHINE, GraphbuildError


def forked(work: Callable[[int], None]) -> tuple[int, int]:
    """A child that does `work(pipe)`; its pid and the pipe's other end. No store may be open here: SQLite cannot be forked."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    code = 1
    try:
        os.close(reader)
        work(writer)
        code = 0
    finally:
        os._exit(code)


def busy(root: Path, seed: int) -> Callable[[int], None]:
    """Puts things, forgets some, and says so for each that is recorded."""

    def work(pipe: int) -> None:
        store = Store(root)
        with store.lease():
            for number in range(seed, seed + 1000):
                with store.lock(key(number), never, nothing), store.scratch() as scratch:
                    (scratch / "rest").write_bytes(b"rest")
                    tree = put_folder_layer(store, b"%d" % number)
                    store.set_diff_id(tree, write_blob(store, b"blob %d" % number * 1000), 1)
                    store.record(key(number), record_of(tree, blob=write_blob(store, b"result %d" % number)))
                os.write(pipe, number.to_bytes(4, "big"))
                if number % 7 == 0:
                    store.sweep()

    return work


def test_kill_9_at_any_moment(tmp_path: Path) -> None:
    root, chance = tmp_path / "s", random.Random(4)
    for turn in range(48):
        pid, pipe = forked(busy(root, turn * 1000))
        time.sleep(chance.random() * 0.04)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with os.fdopen(pipe, "rb") as said:
            recorded = [int.from_bytes(word, "big") for word in iter(lambda said=said: said.read(4), b"")]
        store = Store(root)
        assert all(store.lookup(key(number)) is not None for number in recorded)
        if turn % 8 == 0:
            store.gc(None, None)
            assert all(store.lookup(key(number)) is not None for number in recorded)
        store.close()
    store = Store(root)
    assert damage(store) == []
    store.sweep()
    assert os.listdir(root / "tmp") == os.listdir(root / "trash") == []


def test_kill_9_of_a_collection(tmp_path: Path) -> None:
    root, chance = tmp_path / "s", random.Random(5)
    store = Store(root)
    for turn in range(12):
        for number in range(8):
            store.record(key(number), record_of(put_folder_layer(store, b"%d" % number), blob=write_blob(store, b"%d" % number)))
        store.close()
        pid, pipe = forked(lambda _pipe: Store(root).gc(0, None) and None)
        time.sleep(chance.random() * 0.03)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pipe)
        store = Store(root)
        assert damage(store) == [], turn
    store.gc(0, None)
    assert store.stats().total == 0
    assert os.listdir(root / "layers") == os.listdir(root / "blobs/sha256") == os.listdir(root / "tmp") == []


_WRITER = """
store = Store(Path(sys.argv[1]))
print(flush=True); sys.stdin.readline()
for number in range(20):
    data = b"%d" % number * 100_000
    with store.lock(key(number), never, nothing):
        mine = (Path(sys.argv[2]) / str(number))
        assert not mine.exists(); mine.touch(); time.sleep(0.001); mine.unlink()
    digest = write_blob(store, data)
    assert store.blob(digest).read_bytes() == data
    put_folder_layer(store, data)
    store.record(key(number), record_of(blob=digest))
"""


def test_four_processes_write_the_same(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir()
    writers = [child(_WRITER, tmp_path / "s", tmp_path / "locked") for _ in range(4)]
    try:
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write(b"\n")
            writer.stdin.flush()
        assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    store = Store(tmp_path / "s")
    assert store.stats().blobs.count == store.stats().folders.count == 20
    assert damage(store) == []


def test_processes_that_come_first_together_make_one_store(tmp_path: Path) -> None:
    for turn in range(20):
        go, begin = os.pipe()

        def first(_pipe: int, root: Path = tmp_path / str(turn), go: int = go, begin: int = begin) -> None:
            os.close(begin)
            os.read(go, 1)  # until the last who could write has closed it
            write_blob(Store(root), b"x")

        children = [forked(first) for _ in range(4)]
        os.close(go)
        os.close(begin)
        assert [os.waitpid(pid, 0)[1] for pid, _ in children] == [0] * 4
        for _, reader in children:
            os.close(reader)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "2m") as place:
        yield place


def test_a_full_disk_is_told_and_loses_nothing(disk: Path) -> None:
    store = Store(disk / "s")
    kept = []
    with pytest.raises(GraphbuildError, match="no space left") as caught:  # noqa: PT012 - until it is full
        for number in range(1000):
            blob = write_blob(store, os.urandom(50_000))
            store.record(key(number), record_of(blob=blob))
            kept.append((number, blob))
    assert caught.value.exit_code == EXIT_MACHINE
    assert "gc" in caught.value.problems[0].hint
    assert len(kept) > 5
    for number, blob in kept:
        assert store.lookup(key(number)) is not None
        assert store.blob(blob) is not None
    with pytest.raises(GraphbuildError, match="no space left"):  # noqa: PT012 - until it is full
        while True:
            store.put_blob(os.urandom(1000))
    assert damage(store) == []


def test_sweeping_leaves_the_living_alone(tmp_path: Path) -> None:
    store, other = Store(tmp_path / "s"), Store(tmp_path / "s")
    with store.scratch() as scratch, store.blob_writer() as writer:
        (scratch / "x").touch()
        os.write(writer.fd, b"x")
        (tmp_path / "s/tmp/dead").mkdir()
        (tmp_path / "s/tmp/dead.file").touch()
        assert other.sweep() == 0
        assert (scratch / "x").exists()
        assert len(os.listdir(tmp_path / "s/tmp")) == 2
    assert os.listdir(tmp_path / "s/tmp") == []


def test_the_trash_is_deleted_whatever_is_in_it(tmp_path: Path) -> None:
    store, outside = Store(tmp_path / "s"), tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    with store.scratch() as scratch:
        (scratch / "link").symlink_to(outside)
        (scratch / "work").mkdir()
        (scratch / "work/work").mkdir()
        (scratch / "work/work/x").touch()
        (scratch / "work/work").chmod(0)
        (scratch / "work").chmod(0o500)
        os.mkfifo(scratch / "fifo")
        os.mkdir(os.fsencode(scratch) + b"/\xff\xfe")
        deep = os.open(scratch, os.O_RDONLY)
        for _ in range(1500):  # deeper than a path may be long, and than descriptors go
            os.mkdir("d" * 20, dir_fd=deep)
            below = os.open("d" * 20, os.O_RDONLY, dir_fd=deep)
            os.close(deep)
            deep = below
        os.close(deep)
    assert store.sweep() == 0
    assert os.listdir(tmp_path / "s/trash") == []
    assert (outside / "precious").exists()


def test_deleting_stays_on_its_mount(tmp_path: Path) -> None:
    store, outside = Store(tmp_path / "s"), tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    stuck = tmp_path / "s/trash/stuck"
    stuck.mkdir()
    with mounted(stuck / "mounted", "--bind", str(outside)):
        assert store.sweep() == 1
        assert (outside / "precious").exists()
    assert store.sweep() == 0
    assert (outside / "precious").exists()


def test_a_sync_keeps_what_a_build_that_never_synced_had_finished(tmp_path: Path) -> None:
    killed = Store(tmp_path / "s", boot="one")
    tree = put_folder_layer(killed, b"content")
    killed.record(key(1), record_of(tree, blob=killed.put_blob(b"blob")))
    killed.close()
    after = Store(tmp_path / "s", boot="one")
    after.sync()
    after.close()
    next_boot = Store(tmp_path / "s", boot="two")
    assert next_boot.lookup(key(1)) is not None
    next_boot.close()
