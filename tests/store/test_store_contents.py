"""What is put into a store is found again, by this process, by others and after reopening."""

import os
import sqlite3
import threading
from pathlib import Path

import pytest
from store_parts import child, encoded_layer, key, never, nothing, put_folder_layer, record_of, write_blob

from graphbuild.layers.cancel import Cancelled
from graphbuild.store.actions import LastRun, LayerOutput, Outputs, Record
from graphbuild.store.store import Store
from graphbuild.values.config import Config
from graphbuild.values.digest import sha256
from graphbuild.values.entry import decode_index, tree_digest
from graphbuild.values.errors import EXIT_MACHINE, GraphbuildError


def test_blobs_are_found_by_their_digest(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    digest = store.put_blob(b"hello")
    assert str(digest) == "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    path = store.blob(digest)
    assert path is not None
    assert path.read_bytes() == b"hello"
    assert store.put_blob(b"hello") == digest
    assert store.blob(sha256("0" * 64)) is None
    assert Store(tmp_path / "s").blob(digest) == path


def test_a_blob_that_is_not_committed_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    with pytest.raises(ZeroDivisionError), store.blob_writer() as writer:  # noqa: PT012 - what is written before it fails matters
        os.write(writer.fd, b"half")
        raise ZeroDivisionError
    with store.blob_writer() as writer, pytest.raises(ValueError, match="4 announced"):
        writer.commit(sha256("0" * 64), 4)
    assert os.listdir(tmp_path / "s/tmp") == []
    assert os.listdir(tmp_path / "s/blobs/sha256") == []


def test_a_finished_file_is_adopted(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    digest = store.put_blob(b"same")
    with store.scratch() as scratch:
        (scratch / "x").write_bytes(b"same")
        assert store.adopt_blob(scratch / "x", digest, 4) == store.blob(digest)
        assert not (scratch / "x").exists()


def test_a_layer_has_an_index_and_forms(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    encoded = encoded_layer(b"one")
    tree = tree_digest(encoded)
    with pytest.raises(KeyError):
        store.index(tree)
    assert store.put_layer(encoded, folder=None) == tree
    assert store.index(tree) == decode_index(encoded)
    assert not store.has_layer(tree)  # an index alone can be mounted by nobody
    assert store.folder(tree) is None
    tar = write_blob(store, b"tar")
    store.set_diff_id(tree, tar, 3)
    assert store.has_layer(tree)
    assert store.diff_id(tree) == (tar, 3)
    assert put_folder_layer(store, b"one") == tree
    folder = store.folder(tree)
    assert folder is not None
    assert (folder / "f").read_bytes() == b"one"
    assert store.compressed(tar, "gzip isal 1") is None
    store.set_compressed(tar, "gzip isal 1", sha256("1" * 64), 9)
    assert store.compressed(tar, "gzip isal 1") == (sha256("1" * 64), 9)


def test_a_second_folder_of_a_layer_goes_to_the_trash(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    tree = put_folder_layer(store, b"one")
    inode = os.stat(store.folder(tree) or "").st_ino
    put_folder_layer(store, b"one")
    assert os.stat(store.folder(tree) or "").st_ino == inode
    assert store.sweep() == 0
    assert os.listdir(tmp_path / "s/trash") == []


def test_a_damaged_index_is_an_error(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    tree = put_folder_layer(store, b"one")
    path = tmp_path / "s/index" / tree.hex
    path.chmod(0o600)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(GraphbuildError, match="damaged"):
        Store(tmp_path / "s").index(tree)


def test_records_round_trip(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    tree, blob = put_folder_layer(store, b"one"), store.put_blob(b"two")
    config = Config(env=(("A", "b"),), entrypoint=("x",))
    record = Record(Outputs((LayerOutput(tree, blob),), config, blob, 7), b"\x00fields", "//a:b#run", 0.25, log=True)
    assert store.lookup(key(1)) is None
    store.record(key(1), record)
    assert store.lookup(key(1)) == record
    assert Store(tmp_path / "s").lookup(key(1)) == record


@pytest.mark.parametrize("missing", ["layer", "blob", "diff_id"])
def test_a_record_counts_only_while_its_outputs_exist(tmp_path: Path, missing: str) -> None:
    store = Store(tmp_path / "s")
    here = put_folder_layer(store, b"one")
    gone = tree_digest(b"never stored")
    outputs = {
        "layer": Outputs((LayerOutput(here), LayerOutput(gone))),
        "blob": Outputs((LayerOutput(here),), blob=sha256("0" * 64)),
        "diff_id": Outputs((LayerOutput(here, sha256("0" * 64)),)),
    }[missing]
    store.record(key(1), Record(outputs, b"", "", 0, log=False))
    assert store.lookup(key(1)) is None


def test_last_runs(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    last = LastRun(key(1), b"f", "built", ("argv changed",), 2.0)
    assert store.last("/ws", "//a:b#run") is None
    store.set_last("/ws", "//a:b#run", last)
    store.set_lasts("/ws", [("//a:c#run", last)])
    assert store.last("/ws", "//a:b#run") == store.last("/ws", "//a:c#run") == last
    assert store.last("/other", "//a:b#run") is None


def test_a_log_exists_also_when_the_step_failed(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    assert store.log(key(1)) is None
    with pytest.raises(ZeroDivisionError), store.log_writer(key(1)) as log:  # noqa: PT012 - what is written before it fails matters
        log.write(b"words")
        raise ZeroDivisionError
    path = store.log(key(1))
    assert path is not None
    assert path.read_bytes() == b"words"


def test_the_last_failure_of_a_target_is_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    assert store.failed("/ws", "//a:b#run") is None
    for text in ("one", "two"):
        with store.scratch() as scratch:
            (scratch / "upper").mkdir()
            (scratch / "upper/f").write_text(text)
            store.keep_failed("/ws", "//a:b#run", scratch / "upper", text.encode())
    found = store.failed("/ws", "//a:b#run")
    assert found is not None
    assert (found[0] / "f").read_text() == "two"
    assert found[1] == b"two"
    assert len(os.listdir(tmp_path / "s/failed")) == 1


def test_cache_folders_persist_and_are_shared_or_not(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    with store.cache_folder("pip", "shared") as one, store.cache_folder("pip", "shared") as two:
        assert one == two
        (one / "x").touch()
    with store.cache_folder("pip", "locked") as alone:
        assert (alone / "x").exists()
        with pytest.raises(Cancelled), store.cache_folder("pip", "locked", lambda: True):
            pass
    with store.cache_folder("pip", "private") as one, store.cache_folder("pip", "private") as two:
        assert one != two
        (one / "mine").touch()
    with store.cache_folder("pip", "private") as again:
        assert (again / "mine").exists()
    with store.cache_folder("other/../../id", "shared") as other:
        assert other.is_relative_to(tmp_path / "s/caches")


def test_locks_are_exclusive_between_threads(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    waited = threading.Event()
    order: list[str] = []

    def second() -> None:
        with store.lock(key(1), never, waited.set):
            order.append("second")

    with store.lock(key(1), never, nothing):
        thread = threading.Thread(target=second)
        thread.start()
        assert waited.wait(10)
        with store.lock(key(2), never, nothing):
            order.append("first")
        with pytest.raises(Cancelled), store.lock(key(1), lambda: True, nothing):
            pass
    thread.join()
    assert order == ["first", "second"]


def test_a_lock_dies_with_its_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    code = "with Store(Path(sys.argv[1])).lock(key(1), never, nothing): print(flush=True); time.sleep(60)"
    with child(code, tmp_path / "s") as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(Cancelled), store.lock(key(1), lambda: True, nothing):
            pass
        process.kill()
        process.wait()
        with store.lock(key(1), never, nothing):
            pass


def test_rows_of_another_boot_are_misses_until_synced(tmp_path: Path) -> None:
    before = Store(tmp_path / "s", boot="monday")
    synced, tree = before.put_blob(b"synced"), put_folder_layer(before, b"synced")
    before.record(key(1), record_of(tree, blob=synced))
    before.sync()
    lost, lost_tree = before.put_blob(b"lost"), put_folder_layer(before, b"lost")
    before.record(key(2), record_of(lost_tree))
    before.record(key(3), record_of(blob=lost))
    before.close()
    (tmp_path / "s/blobs/sha256" / lost.hex).chmod(0o600)
    (tmp_path / "s/blobs/sha256" / lost.hex).write_bytes(b"")  # as a power cut leaves it
    (tmp_path / "s/layers" / lost_tree.hex / "f").write_bytes(b"")
    after = Store(tmp_path / "s", boot="tuesday")
    assert after.lookup(key(1)) is not None
    assert after.blob(lost) is None
    assert after.folder(lost_tree) is None
    assert not after.has_layer(lost_tree)
    assert after.lookup(key(2)) is None
    assert after.lookup(key(3)) is None
    after.put_blob(b"lost")
    put_folder_layer(after, b"lost")
    assert (after.blob(lost) or Path()).read_bytes() == b"lost"
    assert ((after.folder(lost_tree) or Path()) / "f").read_bytes() == b"lost"
    assert after.lookup(key(2)) is not None


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "s").close()
    (tmp_path / "s/VERSION").write_text("99\n")
    with pytest.raises(GraphbuildError, match="version 99"):
        Store(tmp_path / "s")


def test_a_folder_of_other_things_is_not_made_a_store(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(GraphbuildError, match="thesis"):
        Store(tmp_path)
    assert os.listdir(tmp_path) == ["thesis.txt"]
    with pytest.raises(GraphbuildError):
        Store(tmp_path / "thesis.txt")


def test_a_store_of_someone_else_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a folder away needs root")
    Store(tmp_path / "s").close()
    os.chown(tmp_path / "s", 1234, 1234)
    with pytest.raises(GraphbuildError, match="belongs to another user"):
        Store(tmp_path / "s")


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    Store(tmp_path / "s").close()
    (tmp_path / "s/db.sqlite").write_bytes(b"no database" * 1000)
    for name in ("db.sqlite-wal", "db.sqlite-shm"):
        (tmp_path / "s" / name).unlink(missing_ok=True)
    with pytest.raises(GraphbuildError, match="damaged") as caught:
        Store(tmp_path / "s")
    assert caught.value.exit_code == EXIT_MACHINE


def test_errors_of_files_elsewhere_are_not_the_stores(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    with pytest.raises(PermissionError), store.blob_writer():
        raise PermissionError(13, "Permission denied", "/elsewhere")
    with pytest.raises(GraphbuildError, match="cannot write the store"), store.blob_writer():
        raise PermissionError(13, "Permission denied", str(tmp_path / "s/tmp/x"))


def test_nothing_of_the_schema_depends_on_sqlites_defaults(tmp_path: Path) -> None:
    Store(tmp_path / "s").close()
    with sqlite3.connect(tmp_path / "s/db.sqlite") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
