"""Collecting what is not needed any more, while builds run.

Order, which is what makes it safe to be killed or cut off anywhere: rows go first and durably, then files go to the trash by
renames, both with the gate closed; the trash is emptied after that. Files without a row are collected in passing.
"""

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import msgspec

from graphbuild.store.caches import remove_cache
from graphbuild.store.census import contents, measure_folders, other_holders
from graphbuild.store.database import OF_FILES, Database
from graphbuild.store.gate import Gate
from graphbuild.store.plan import Holder, Plan, plan
from graphbuild.store.scratch import sweep
from graphbuild.store.trash import discard
from graphbuild.store.trouble import reported

_EXPLAINABLE = 90 * 86400.0  # seconds for which `explain` remembers how a target's actions went


class GcReport(msgspec.Struct, frozen=True):
    """`removed` and `in_use` count records, layers, blobs, logs and caches; `freed` and `kept` are bytes."""

    removed: int
    freed: int
    kept: int
    in_use: int


def collect(root: Path, database: Database, gate: Gate, max_size: int | None, keep: float | None, *, dry_run: bool = False) -> GcReport:
    """Remove what is not needed, then the least recently used until `max_size` bytes stay, all used within `keep` seconds.

    What a running build uses stays, whatever the limits. `dry_run` says what would happen.
    """
    now = time.time()
    with reported(root):
        if not dry_run:
            _clear(root / "certificates", root / "trash")
        measure_folders(root, database)
        others = other_holders(root, database)
        with gate.closed():
            leased = gate.leased()
            made = plan(contents(root, database, others, leased), max_size, now - keep if keep is not None else None)
            if not dry_run:
                _remove_rows(database, made, now - min(keep, _EXPLAINABLE) if keep is not None else now - _EXPLAINABLE)
                strays = _move_files(root, database, made)
        if dry_run:
            return GcReport(len(made.holders) + len(made.things), made.freed, made.kept, made.in_use)
        busy = [cache for cache in made.holders if cache.kind == "cache" and not remove_cache(root, Path(os.fsdecode(cache.name)))]
        sweep(root)
    stayed = sum(cache.size for cache in busy)
    removed = len(made.holders) + len(made.things) + strays - len(busy)
    return GcReport(removed, made.freed - stayed, made.kept + stayed, made.in_use + len(busy))


def _clear(folder: Path, trash: Path) -> None:
    """Certificates say that results exist, so they go before any result does."""
    for name in os.listdir(folder):
        discard(folder / name, trash)


def _remove_rows(database: Database, made: Plan, explainable: float) -> None:
    things: dict[bytes, list[tuple[bytes]]] = {b"b": [], b"l": []}
    for thing in made.things:
        things[thing[:1]].append((thing[1:],))
    with database.write(durable=True) as rows:
        rows.executemany("DELETE FROM actions WHERE key = ?", _names(made, "action"))
        rows.executemany("DELETE FROM failed WHERE folder = ?", [(name.decode(),) for (name,) in _names(made, "failed")])
        rows.executemany("DELETE FROM names WHERE id = ?", _names(made, "image"))
        rows.executemany("DELETE FROM images WHERE id = ?", _names(made, "image"))
        rows.executemany("DELETE FROM blobs WHERE digest = ?", things[b"b"])
        rows.executemany("DELETE FROM layers WHERE tree = ?", things[b"l"])
        rows.executemany("DELETE FROM folders WHERE tree = ?", things[b"l"])
        for table in OF_FILES:
            rows.execute(f"DELETE FROM {table} WHERE boot NOT IN ('', ?)", (database.boot,))
        _remove_facts(rows, explainable)


def _remove_facts(rows: sqlite3.Connection, explainable: float) -> None:
    """A tar's blob comes before its layer, so a diff_id without a layer may be of a layer in the making."""
    rows.execute("DELETE FROM diff_ids WHERE tree NOT IN (SELECT tree FROM layers) AND diff_id NOT IN (SELECT digest FROM blobs)")
    known = "(SELECT digest FROM blobs UNION SELECT diff_id FROM diff_ids)"
    rows.execute(f"DELETE FROM compressed WHERE diff_id NOT IN {known} OR digest NOT IN (SELECT digest FROM blobs)")
    rows.execute("DELETE FROM lasts WHERE used < ?", (explainable,))


def _names(made: Plan, kind: str) -> list[tuple[bytes]]:
    return [(holder.name,) for holder in made.holders if holder.kind == kind]


def _move_files(root: Path, database: Database, made: Plan) -> int:
    """Everything without a row goes to the trash; how much of that nobody had planned (a killed build's leftovers)."""
    strays = -len([thing for thing in made.things if thing[:1] == b"b"])
    strays += _move(root / "blobs/sha256", _hex(database, "SELECT digest FROM blobs"), root / "trash")
    _move(root / "index", _hex(database, "SELECT tree FROM layers"), root / "trash")
    _move(root / "layers", _hex(database, "SELECT tree FROM folders"), root / "trash")
    _move(root / "failed", {name for (name,) in database.all("SELECT folder FROM failed")}, root / "trash")
    for holder in made.holders:
        if holder.kind in ("action", "log"):
            discard(root / "logs" / _log_name(holder), root / "trash")
    return max(0, strays)


def _log_name(holder: Holder) -> str:
    return holder.name.hex() if len(holder.name) == 32 else os.fsdecode(holder.name)


def _hex(database: Database, query: str) -> set[str]:
    return {name.hex() for (name,) in database.all(query)}


def _move(folder: Path, known: set[str], trash: Path) -> int:
    strays = [name for name in os.listdir(folder) if name not in known]
    for name in strays:
        with contextlib.suppress(PermissionError):
            discard(folder / name, trash)
    return len(strays)
