"""Damage of every kind is found, named, and dropped by a repair."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from store_parts import damage, key, put_folder_layer, record_of, write_blob

from graphbuild.store.store import Store
from graphbuild.values.errors import GraphbuildError


class Parts:
    """A store with one of everything."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root)
        self.tree = put_folder_layer(self.store, b"content")
        self.blob = write_blob(self.store, b"blob")
        self.tar, self.packed = write_blob(self.store, b"tar"), write_blob(self.store, b"packed")
        self.store.set_diff_id(self.tree, self.tar, 3)
        self.store.set_compressed(self.tar, "gzip", self.packed, 6)
        self.store.record(key(1), record_of(self.tree, blob=self.blob))
        with self.store.scratch() as scratch:
            (scratch / "upper").mkdir()
            self.kept = self.store.keep_failed("/ws", "//a:b", scratch / "upper", b"")

    @property
    def file(self) -> Path:
        return self.root / "blobs/sha256" / self.blob.hex

    @property
    def folder(self) -> Path:
        return self.root / "layers" / self.tree.hex

    @property
    def index(self) -> Path:
        return self.root / "index" / self.tree.hex

    def execute(self, statement: str) -> None:
        with sqlite3.connect(self.root / "db.sqlite") as connection:
            connection.execute(statement)
        connection.close()


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(data)


def add_file(path: Path) -> None:
    (path / "added").touch()
    os.utime(path / "added", (0, 0))


KINDS: list[tuple[str, Callable[[Parts], object]]] = [
    ("blob", lambda parts: overwrite(parts.file, b"blub")),
    ("blob", lambda parts: overwrite(parts.file, b"blob and more")),
    ("blob", lambda parts: parts.file.unlink()),
    ("index", lambda parts: overwrite(parts.index, parts.index.read_bytes() + b"x")),
    ("index", lambda parts: parts.index.unlink()),
    ("folder", lambda parts: overwrite(parts.folder / "f", b"Content")),
    ("folder", lambda parts: (parts.folder / "f").unlink()),
    ("folder", lambda parts: (parts.folder / "f").chmod(0o755)),
    ("folder", lambda parts: add_file(parts.folder)),
    ("folder", lambda parts: parts.folder.rename(parts.folder.with_name("x"))),
    ("failed", lambda parts: parts.kept.rmdir()),
    ("record", lambda parts: parts.execute("DELETE FROM blobs WHERE size = 4")),
    ("record", lambda parts: parts.execute("DELETE FROM layers")),
    ("record", lambda parts: parts.execute("UPDATE actions SET body = x'c1'")),
    ("compressed", lambda parts: parts.execute("DELETE FROM blobs WHERE size = 6")),
]


def test_a_good_store_has_no_damage(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "s")
    seen: list[tuple[int, int]] = []
    assert list(parts.store.verify(lambda done, total: seen.append((done, total)))) == []
    assert seen[-1] == (5, 5)


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_damage_is_found_and_dropped(tmp_path: Path, number: int) -> None:
    kind, harm = KINDS[number]
    parts = Parts(tmp_path / "s")
    harm(parts)
    found = damage(parts.store)
    assert kind in [one for one, _ in found]
    assert damage(parts.store) == found  # looking changes nothing
    assert {one for one, _ in damage(parts.store, repair=True)} >= {one for one, _ in found}
    assert damage(parts.store) == []
    if kind not in ("failed", "compressed"):
        record = parts.store.lookup(key(1))
        assert record is None or kind == "folder"  # a layer whose tar is whole needs no folder


def test_a_damaged_database_is_found(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "s")
    parts.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    parts.execute("PRAGMA writable_schema = ON")
    with sqlite3.connect(tmp_path / "s/db.sqlite") as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_master WHERE name = 'unsynced_blobs'")
    connection.close()
    with pytest.raises(GraphbuildError, match="is damaged"):
        damage(Store(tmp_path / "s"))
