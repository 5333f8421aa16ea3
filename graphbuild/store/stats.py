"""What a store holds, in numbers."""

import os
from pathlib import Path

import msgspec

from graphbuild.store.census import contents, measure_folders, other_holders
from graphbuild.store.database import Database
from graphbuild.store.gate import Gate
from graphbuild.store.plan import Holder, plan
from graphbuild.store.trouble import reported


class Amount(msgspec.Struct, frozen=True):
    """`size` in bytes."""

    count: int
    size: int


class Stats(msgspec.Struct, frozen=True):
    """`reclaimable`: bytes that a collection without limits frees. `oldest`: when the least recently used action was used, in
    seconds of the epoch, or None. `hits` counts lookups that found something, since the store was made.
    """

    actions: Amount
    blobs: Amount
    indexes: Amount
    folders: Amount
    logs: Amount
    caches: Amount
    failed: Amount
    reclaimable: int
    hits: int
    oldest: float | None

    @property
    def total(self) -> int:
        """Bytes of all kinds."""
        kinds = (self.actions, self.blobs, self.indexes, self.folders, self.logs, self.caches, self.failed)
        return sum(kind.size for kind in kinds)


def take_stats(root: Path, database: Database, gate: Gate) -> Stats:
    """Count. A running build's results count as reclaimable only when nothing records them yet and nobody leases them."""
    with reported(root):
        measure_folders(root, database)
        others = other_holders(root, database)
        with gate.closed():
            reclaimable = plan(contents(root, database, others, gate.leased())).freed
        hits, oldest = database.one("SELECT total(hits), min(used) FROM actions")
        return Stats(
            actions=Amount(*database.one("SELECT count(*), coalesce(sum(length(body)), 0) FROM actions")),
            blobs=_amount(database, "blobs"),
            indexes=_amount(database, "layers"),
            folders=_amount(database, "folders"),
            logs=_files(root / "logs"),
            caches=_of(others, "cache"),
            failed=_of(others, "failed"),
            reclaimable=reclaimable,
            hits=int(hits),
            oldest=oldest,
        )


def _amount(database: Database, table: str) -> Amount:
    return Amount(*database.one(f"SELECT count(*), coalesce(sum(size), 0) FROM {table} WHERE boot IN ('', ?)", (database.boot,)))


def _files(folder: Path) -> Amount:
    with os.scandir(folder) as found:
        sizes = [entry.stat(follow_symlinks=False).st_size for entry in found]
    return Amount(len(sizes), sum(sizes))


def _of(holders: list[Holder], kind: str) -> Amount:
    sizes = [holder.size for holder in holders if holder.kind == kind]
    return Amount(len(sizes), sum(sizes))
