"""What the last failed step of each target left behind, for looking inside."""

import contextlib
import os
import time
from pathlib import Path

from graphbuild.store.database import Database
from graphbuild.store.gate import Gate
from graphbuild.store.layout import unique_name
from graphbuild.store.trash import discard
from graphbuild.store.trouble import need_room, reported

_FIND = "SELECT folder, info FROM failed WHERE workspace = ? AND target = ? AND boot IN ('', ?)"
_INSERT = "INSERT OR REPLACE INTO failed (workspace, target, folder, info, used, boot) VALUES (?, ?, ?, ?, ?, ?)"


class Failed:
    """The failed steps of one store."""

    def __init__(self, root: Path, database: Database, gate: Gate) -> None:
        self._root = root
        self._database = database
        self._gate = gate

    def keep(self, workspace: str, target: str, folder: Path, info: bytes) -> Path:
        """Rename the folder in, in place of an older one of the target; returns where it is now. `info` is opaque.

        Not where the disk is full: what failed may be what fills it.
        """
        place = self._root / "failed" / unique_name()
        need_room(self._root)
        with reported(self._root), self._gate:
            try:
                with self._database.write() as rows:
                    old = rows.execute("SELECT folder FROM failed WHERE workspace = ? AND target = ?", (workspace, target)).fetchone()
                    os.rename(folder, place)
                    rows.execute(_INSERT, (workspace, target, place.name, info, time.time(), self._database.boot))
            except BaseException:
                with contextlib.suppress(FileNotFoundError):  # it had not been renamed
                    os.rename(place, folder)
                raise
            if old is not None:
                discard(self._root / "failed" / old[0], self._root / "trash")
        return place

    def find(self, workspace: str, target: str) -> tuple[Path, bytes] | None:
        """What is kept of a target, and its info."""
        with reported(self._root), self._gate:
            row = self._database.one(_FIND, (workspace, target, self._database.boot))
        if row is None:
            return None
        path = self._root / "failed" / row[0]
        return (path, row[1]) if path.is_dir() else None
