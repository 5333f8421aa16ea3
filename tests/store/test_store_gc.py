"""Collections: what goes, what stays, and what running builds keep."""

import os
import time
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from store_parts import child, key, put_folder_layer, record_of, write_blob

from graphbuild.store.plan import Contents, Holder, plan
from graphbuild.store.store import Store
from graphbuild.values.digest import Digest


def use(store: Store, number: int, content: bytes) -> Digest:
    """Record an action with a layer; later numbers are used later."""
    tree = put_folder_layer(store, content)
    store.record(key(number), record_of(tree))
    time.sleep(0.002)
    return tree


def test_what_nothing_names_goes(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    stray, kept = store.put_blob(b"stray"), use(store, 1, b"kept")
    (tmp_path / "s/blobs/sha256" / ("0" * 64)).write_bytes(b"no row")
    (tmp_path / "s/layers" / ("1" * 64)).mkdir()
    report = store.gc(None, None)
    assert store.blob(stray) is None
    assert store.folder(kept) is not None
    assert report.freed >= 5
    assert report.removed == 2
    assert os.listdir(tmp_path / "s/blobs/sha256") == []
    assert os.listdir(tmp_path / "s/layers") == [kept.hex]
    assert os.listdir(tmp_path / "s/trash") == []


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    use(store, 1, b"one")
    two = use(store, 2, b"two")
    assert store.lookup(key(1)) is not None  # now the first is the newer
    size = store.stats().total
    report = store.gc(size - 1, None)
    assert store.lookup(key(1)) is not None
    assert store.lookup(key(2)) is None
    assert store.folder(two) is None
    assert report.kept < size
    assert store.gc(None, 0).kept == 0
    assert store.lookup(key(1)) is None


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    use(store, 1, b"one")
    (tmp_path / "s/certificates/x").touch()
    dry = store.gc(0, None, dry_run=True)
    assert store.lookup(key(1)) is not None
    assert (tmp_path / "s/certificates/x").exists()
    store.stats()
    wet = store.gc(0, None)
    assert (dry.removed, dry.freed, wet.kept) == (wet.removed, wet.freed, 0)
    assert not (tmp_path / "s/certificates/x").exists()


def test_tars_and_compressed_forms_live_as_long_as_their_layer(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    tree = use(store, 1, b"one")
    tar, packed = write_blob(store, b"the tar"), write_blob(store, b"packed")
    store.set_diff_id(tree, tar, 7)
    store.set_compressed(tar, "gzip", packed, 6)
    store.gc(None, None)
    assert store.blob(tar) is not None
    assert store.blob(packed) is not None
    store.gc(0, None)
    assert store.blob(tar) is store.blob(packed) is store.diff_id(tree) is store.compressed(tar, "gzip") is None


def test_what_a_lease_has_seen_stays(tmp_path: Path) -> None:
    store, other = Store(tmp_path / "s"), Store(tmp_path / "s")
    seen, unseen = use(store, 1, b"seen"), use(store, 2, b"unseen")
    with store.log_writer(key(1)) as log:
        log.write(b"words")
    with store.lease():
        record = store.lookup(key(1))
        assert record is not None
        fresh, blob = put_folder_layer(store, b"fresh"), store.put_blob(b"fresh")
        report = other.gc(0, 0)
        assert report.in_use >= 3
        assert store.lookup(key(1)) == record
        assert other.folder(seen) is not None
        assert store.folder(fresh) is not None
        assert store.blob(blob) is not None
        assert store.log(key(1)) is not None
        assert other.folder(unseen) is None
    other.gc(0, 0)
    assert store.folder(seen) is store.folder(fresh) is store.blob(blob) is store.log(key(1)) is None
    assert os.listdir(tmp_path / "s/leases") == []


def test_the_lease_of_a_killed_process_ends(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    use(store, 1, b"one")
    code = "store = Store(Path(sys.argv[1]))\nwith store.lease(): store.lookup(key(1)); print(flush=True); time.sleep(60)"
    with child(code, tmp_path / "s") as process:
        assert process.stdout is not None
        process.stdout.readline()
        store.gc(0, 0)
        assert store.lookup(key(1)) is not None
        process.kill()
        process.wait()
    store.gc(0, 0)
    assert store.lookup(key(1)) is None
    assert os.listdir(tmp_path / "s/leases") == []


_BUILDER = """
store = Store(Path(sys.argv[1]))
print(flush=True)
for turn in range(60):
    with store.lease():
        for number in range(3):
            found = store.lookup(key(number))
            tree = found.outputs.layers[0].tree if found else put_folder_layer(store, b"%d" % number)
            if not found:
                store.record(key(number), record_of(tree, blob=write_blob(store, b"blob %d" % number)))
            found = store.lookup(key(number))
            assert found and store.blob(found.outputs.blob).exists(), "gone"
            assert (store.folder(tree) / "f").read_bytes() == b"%d" % number
            assert store.index(tree)
"""


def test_collections_beside_running_builds(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    builders = [child(_BUILDER, tmp_path / "s") for _ in range(2)]
    try:
        for builder in builders:
            assert builder.stdout is not None
            builder.stdout.readline()
        while any(builder.poll() is None for builder in builders):
            store.gc(0, 0)
        assert [builder.wait() for builder in builders] == [0, 0]
    finally:
        for builder in builders:
            builder.kill()
            builder.communicate()


def test_caches_count_and_stay_while_used(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    for name in ("busy", "idle"):
        with store.cache_folder(name, "shared") as folder:
            (folder / "x").write_bytes(b"x" * 10_000)
    assert store.stats().caches.count == 2
    with store.cache_folder("busy", "shared") as busy:
        report = store.gc(0, None)
        assert (busy / "x").exists()
        assert report.in_use == 1
        assert report.kept >= 10_000
    with store.cache_folder("idle", "shared") as folder:
        assert os.listdir(folder) == []


def test_rows_and_files_of_a_dead_boot_go(tmp_path: Path) -> None:
    before = Store(tmp_path / "s", boot="monday")
    use(before, 1, b"one")
    before.close()
    store = Store(tmp_path / "s", boot="tuesday")
    store.gc(None, None)
    assert os.listdir(tmp_path / "s/layers") == os.listdir(tmp_path / "s/index") == []
    assert store.stats().actions.count == 0


def test_stats(tmp_path: Path) -> None:
    store = Store(tmp_path / "s")
    use(store, 1, b"one")
    store.lookup(key(1))
    store.put_blob(b"12345")
    stats = store.stats()
    assert (stats.actions.count, stats.folders.count, stats.indexes.count) == (1, 1, 1)
    assert (stats.blobs.count, stats.blobs.size, stats.reclaimable, stats.hits) == (1, 5, 5, 1)
    assert stats.oldest is not None


_names = st.integers(0, 12).map(lambda number: b"l" + number.to_bytes(32, "big"))
_holders = st.lists(
    st.builds(
        Holder, st.just("action"), st.binary(min_size=32, max_size=32), st.integers(0, 9), st.floats(0, 9), st.lists(_names).map(tuple)
    ),
    unique_by=lambda holder: holder.name,
    max_size=8,
)


@given(_holders, st.dictionaries(_names, st.integers(0, 99)), st.frozensets(_names), st.integers(0, 300), st.data())
def test_a_plan_keeps_what_is_needed(holders, sizes, leased, limit, data) -> None:
    leases = leased | frozenset(b"a" + holder.name for holder in holders if data.draw(st.booleans()))
    made = plan(Contents(tuple(holders), sizes, {}, leases), limit, None)
    staying = [holder for holder in holders if holder not in made.holders]
    needed = {name for holder in staying for name in holder.references} | leases
    assert not made.things & needed
    assert made.things >= sizes.keys() - needed
    left = sum(holder.size for holder in staying) + sum(size for name, size in sizes.items() if name not in made.things)
    assert made.kept == left
    assert left <= limit or all(b"a" + holder.name in leases for holder in staying)
    assert not any(b"a" + holder.name in leases for holder in made.holders)
