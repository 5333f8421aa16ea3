"""Reading what a store holds, as values: for collections and statistics."""

import os
from collections import defaultdict
from pathlib import Path

from graphbuild.store.caches import all_caches, disk_usage
from graphbuild.store.database import Database
from graphbuild.store.images import decode_image
from graphbuild.store.plan import Contents, Holder
from graphbuild.store.reference import Reference, split
from graphbuild.values.entry import Kind, decode_index

_BLOCK = 4096  # what a file system gives out at once


def measure_folders(root: Path, database: Database) -> None:
    """Note how large the folders are that nobody measured yet: by their indexes, since walking them takes longer."""
    query = "SELECT tree FROM folders WHERE size IS NULL AND boot IN ('', ?)"
    sizes = [(_folder_size(root / "index" / tree.hex()), tree) for (tree,) in database.all(query, (database.boot,))]
    if sizes:
        with database.write() as rows:
            rows.executemany("UPDATE folders SET size = ? WHERE tree = ?", sizes)


def _folder_size(index: Path) -> int:
    try:
        entries = decode_index(index.read_bytes())
    except (OSError, ValueError):
        return 0
    blocks = sum(-(-entry.size // _BLOCK) if entry.kind is Kind.FILE else entry.kind is Kind.DIRECTORY for entry in entries)
    return blocks * _BLOCK


def other_holders(root: Path, database: Database) -> list[Holder]:
    """Cache mounts and what failed steps left. They hold nothing but themselves."""
    caches = [Holder("cache", os.fsencode(path), disk_usage(path), used) for path, used in all_caches(root)]
    rows = database.all("SELECT folder, used FROM failed WHERE boot IN ('', ?)", (database.boot,))
    return caches + [Holder("failed", name.encode(), disk_usage(root / "failed" / name), used) for name, used in rows]


def contents(root: Path, database: Database, others: list[Holder], leased: set[Reference]) -> Contents:
    """All that exists now. For a true picture nobody else may write meanwhile (`Gate.closed`)."""
    boot = (database.boot,)
    blobs = {b"b" + digest: size for digest, size in database.all("SELECT digest, size FROM blobs WHERE boot IN ('', ?)", boot)}
    indexes = {b"l" + tree: size for tree, size in database.all("SELECT tree, size FROM layers WHERE boot IN ('', ?)", boot)}
    folders = {b"l" + tree: size or 0 for tree, size in database.all("SELECT tree, size FROM folders WHERE boot IN ('', ?)", boot)}
    layers = {name: indexes.get(name, 0) + folders.get(name, 0) for name in indexes | folders}
    tars = {b"l" + tree: b"b" + diff_id for tree, diff_id in database.all("SELECT tree, diff_id FROM diff_ids")}
    whole = {name for name in indexes if name in folders or tars.get(name) in blobs} | blobs.keys()
    edges: dict[Reference, list[Reference]] = defaultdict(list)
    for layer, tar in tars.items():
        edges[layer].append(tar)
    for diff_id, digest in database.all("SELECT diff_id, digest FROM compressed"):
        edges[b"b" + diff_id].append(b"b" + digest)
    holders = (*_actions(root, database, whole), *_images(database, whole), *_containers(database), *others)
    return Contents(holders, blobs | layers, {name: tuple(held) for name, held in edges.items()}, frozenset(leased))


def _actions(root: Path, database: Database, whole: set[Reference]) -> list[Holder]:
    """Action records with their logs, and the logs of actions that failed, by which no record goes."""
    with os.scandir(root / "logs") as found:
        logs = {entry.name: entry.stat(follow_symlinks=False) for entry in found}
    holders: list[Holder] = []
    for key, size, references, used in database.all("SELECT key, length(body), refs, used FROM actions"):
        log = logs.pop(key.hex(), None)
        held = split(references)
        holders.append(Holder("action", key, size + (log.st_size if log else 0), used, tuple(held), not whole.issuperset(held)))
    return holders + [Holder("log", _name(name), status.st_size, status.st_mtime) for name, status in sorted(logs.items())]


def _images(database: Database, whole: set[Reference]) -> list[Holder]:
    """Images; those of builds go as the records of their actions go."""
    holders = []
    for body, references, used in database.all("SELECT body, refs, used FROM images"):
        image, held = decode_image(body), split(references)
        broken = image.built and not whole.issuperset(held)
        holders.append(Holder("image", bytes.fromhex(image.id.hex), len(body), used, tuple(held), broken, lasting=not image.built))
    return holders


def _containers(database: Database) -> list[Holder]:
    """Containers hold what they stand on for as long as they exist."""
    rows = database.all("SELECT id, length(body), refs FROM containers")
    return [Holder("container", name.encode(), size, 0, tuple(split(references)), lasting=True) for name, size, references in rows]


def _name(log: str) -> bytes:
    try:
        return bytes.fromhex(log)
    except ValueError:
        return os.fsencode(log)
