"""The containers of a store by id and by name. What one is stands in its body, which is opaque here, and in its folder.

Invariants: ids and names are unique; a container's row holds all that it stands on, so no collection takes it. A row is written
after its folder is there, and goes before it: a folder without a row is nobody's.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec

from graphbuild.store.database import Database
from graphbuild.store.gate import Gate
from graphbuild.store.reference import Reference
from graphbuild.store.trouble import reported


class StoredContainer(msgspec.Struct, frozen=True):
    """`id`: 64 hex digits. `body` is its owner's business."""

    id: str
    name: str
    body: bytes


class NameTaken(Exception):  # noqa: N818 - said of the name
    """Another container has it."""


_COLUMNS = "SELECT id, name, body FROM containers"


class Containers:
    """The containers of one store."""

    def __init__(self, root: Path, database: Database, gate: Gate) -> None:
        self._root = root
        self._database = database
        self._gate = gate

    def folder(self, container: str) -> Path:
        """Where a container's files are."""
        return self._root / "containers" / container

    def put(self, container: StoredContainer, references: Iterable[Reference]) -> None:
        """Add a container, whose folder is there. NameTaken if there is one of that name."""
        held = list(references)
        with reported(self._root), self._gate:
            for reference in held:
                self._gate.hold(reference)
            try:
                with self._database.write() as rows:
                    values = (container.id, container.name, container.body, b"".join(held))
                    rows.execute("INSERT INTO containers (id, name, body, refs) VALUES (?, ?, ?, ?)", values)
            except sqlite3.IntegrityError:
                raise NameTaken(container.name) from None

    def rename(self, container: str, name: str) -> None:
        """Give a container another name. NameTaken if there is one of that name."""
        with reported(self._root), self._gate:
            try:
                with self._database.write() as rows:
                    rows.execute("UPDATE containers SET name = ? WHERE id = ?", (name, container))
            except sqlite3.IntegrityError:
                raise NameTaken(name) from None

    def update(self, container: str, body: bytes) -> None:
        """Change what a container is."""
        with reported(self._root), self._gate, self._database.write() as rows:
            rows.execute("UPDATE containers SET body = ? WHERE id = ?", (body, container))

    def named(self, name: str) -> StoredContainer | None:
        return next(iter(self._found("WHERE name = ?", name)), None)

    def beginning(self, digits: str) -> list[StoredContainer]:
        """The containers whose id begins with some hex digits."""
        return self._found("WHERE id GLOB ? || '*' ORDER BY id", digits)

    def all(self) -> list[StoredContainer]:
        return self._found("ORDER BY id")

    def remove(self, container: str) -> None:
        """Forget a container. Its folder is the caller's to discard, after this."""
        with reported(self._root), self._gate, self._database.write() as rows:
            rows.execute("DELETE FROM containers WHERE id = ?", (container,))

    def _found(self, where: str, *values: str) -> list[StoredContainer]:
        with reported(self._root):
            return [StoredContainer(*row) for row in self._database.all(f"{_COLUMNS} {where}", values)]
