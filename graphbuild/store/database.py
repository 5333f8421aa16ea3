"""The rows that say what exists. What has no row does not exist, whatever lies on the disk.

Invariants: a row is written after its file is in place. Rows of files carry the id of the boot they were written in until a
`sync` has put everything they stand for on the disk; a row of another boot is a miss. Rows without files (what an action's
result is, a layer's diff_id) are facts about content and need no boot. Before a file goes, its row's removal is on the disk.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA_VERSION = 2  # 2 added images, names, containers
OF_FILES = ("blobs", "layers", "folders", "failed")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS blobs (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, boot TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS layers (id INTEGER PRIMARY KEY AUTOINCREMENT, tree BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, boot TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS folders (id INTEGER PRIMARY KEY AUTOINCREMENT, tree BLOB NOT NULL UNIQUE, size INTEGER, boot TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS failed (id INTEGER PRIMARY KEY AUTOINCREMENT, workspace TEXT NOT NULL, target TEXT NOT NULL, folder TEXT NOT NULL,
    info BLOB NOT NULL, used REAL NOT NULL, boot TEXT NOT NULL, UNIQUE (workspace, target));
CREATE TABLE IF NOT EXISTS diff_ids (tree BLOB PRIMARY KEY, diff_id BLOB NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS compressed (diff_id BLOB, codec TEXT, digest BLOB NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (diff_id, codec)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS actions (key BLOB PRIMARY KEY, body BLOB NOT NULL, refs BLOB NOT NULL, used REAL NOT NULL, hits INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS lasts (workspace TEXT, target TEXT, body BLOB NOT NULL, used REAL NOT NULL, PRIMARY KEY (workspace, target));
CREATE TABLE IF NOT EXISTS images (id BLOB PRIMARY KEY, body BLOB NOT NULL, refs BLOB NOT NULL, used REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY, id BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS containers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, body BLOB NOT NULL, refs BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unsynced_blobs ON blobs (id) WHERE boot != '';
CREATE INDEX IF NOT EXISTS unsynced_layers ON layers (id) WHERE boot != '';
CREATE INDEX IF NOT EXISTS unsynced_folders ON folders (id) WHERE boot != '';
CREATE INDEX IF NOT EXISTS unsynced_failed ON failed (id) WHERE boot != '';
"""


class Database:
    """One connection, shared by threads under `mutex`. `boot` is what new rows of files carry; "" marks durable ones."""

    def __init__(self, path: Path, boot: str, mutex: threading.RLock) -> None:
        self.boot = boot
        self.mutex = mutex
        self._path = path
        self._connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._dirty = False

    @property
    def complete(self) -> bool:
        """Whether the tables are there."""
        return bool(self._connection.execute("PRAGMA user_version").fetchone()[0] == _SCHEMA_VERSION)

    def create(self) -> None:
        """Make the tables, or those that an older store lacks, as a whole or not at all. The caller keeps other processes out."""
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;")

    def one(self, query: str, values: Sequence[object] = ()) -> Any:
        """The first row, a tuple, or None."""
        with self.mutex:
            return self._connection.execute(query, values).fetchone()

    def all(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        with self.mutex:
            return self._connection.execute(query, values).fetchall()

    def put(self, statement: str, values: Sequence[object]) -> None:
        """A transaction of one statement: cheaper than `write`."""
        with self.mutex:
            self._connection.execute(statement, values)
            self._dirty = True

    @contextmanager
    def write(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction that keeps other writers out from its start; `durable`: on the disk when it returns."""
        with self.mutex:
            if durable:
                self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk rolls back by itself
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                if durable:
                    self._connection.execute("PRAGMA synchronous = NORMAL")
            self._dirty = True

    def sync(self) -> None:
        """Make everything durable that any process had finished when this was called."""
        with self.mutex:
            if not self._dirty and not self._unsynced():
                return
            newest = {table: self._connection.execute(f"SELECT max(id) FROM {table}").fetchone()[0] or 0 for table in OF_FILES}
        sync_file_system(self._path.parent)
        with self.write(durable=True) as rows:
            for table, last in newest.items():
                rows.execute(f"UPDATE {table} SET boot = '' WHERE boot != '' AND boot = ? AND id <= ?", (self.boot, last))
        self._dirty = False

    def _unsynced(self) -> bool:
        """Whether somebody of this boot left files that are not known to be on the disk: it may have been killed."""
        found = " UNION ALL ".join(f"SELECT 1 FROM {table} WHERE boot != '' AND boot = ?1" for table in OF_FILES)
        return bool(self._connection.execute(f"SELECT EXISTS ({found})", (self.boot,)).fetchone()[0])

    def close(self) -> None:
        with self.mutex:
            self._connection.close()


def boot_id() -> str:
    """The kernel's name for this boot; where it has none, one that only this process knows."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return os.urandom(16).hex()


def sync_file_system(folder: Path) -> None:
    """syncfs(2) on the file system of a folder."""
    import ctypes

    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(libc, "syncfs"):
            os.sync()
        elif libc.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(descriptor)
