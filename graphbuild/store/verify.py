"""Checking a store against itself: every byte that has a name, and every row.

Nothing is believed: blobs are hashed, indexes are hashed and decoded, folders are scanned and compared with their indexes,
records are decoded and what they name is looked up. What another process removes meanwhile is not damage.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import msgspec

from graphbuild.store.actions import Record
from graphbuild.store.database import Database
from graphbuild.store.gate import Gate
from graphbuild.store.reference import split
from graphbuild.store.scratch import sweep
from graphbuild.store.trash import discard
from graphbuild.store.trouble import DamagedDatabase, reported
from graphbuild.values.digest import tree
from graphbuild.values.entry import Entry, Kind, decode_index, tree_digest
from graphbuild.values.errors import GraphbuildError

DamageKind = Literal["blob", "index", "folder", "failed", "compressed", "record", "image"]
_TABLES = {"blob": ("blobs", "digest"), "index": ("layers", "tree"), "folder": ("folders", "tree")}
_FOLDERS = {"blob": "blobs/sha256", "index": "index", "folder": "layers"}


class Damage(msgspec.Struct, frozen=True):
    """One thing that differs from what its name or its row says. `name` is a digest's hex, or a path."""

    kind: DamageKind
    name: str
    message: str


class _Check(msgspec.Struct, frozen=True):
    kind: DamageKind
    name: bytes
    size: int


def verify(root: Path, database: Database, gate: Gate, progress: Callable[[int, int], None], *, repair: bool) -> Iterator[Damage]:
    """Everything that is damaged. `progress(done, total)` counts things; `repair` drops what is damaged, so that it is built again.

    DamagedDatabase where the rows cannot be believed: there is nothing to compare with.
    """
    with reported(root):
        for (message,) in database.all("PRAGMA integrity_check"):
            if message != "ok":
                raise DamagedDatabase(root, str(message))
        checks = _checks(database)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            results = pool.map(lambda check: _message(root, check), checks)
            for done, (check, message) in enumerate(zip(checks, results, strict=True), 1):
                progress(done, len(checks))
                if message and _exists(database, check):
                    if repair:
                        _drop(root, database, gate, check)
                    yield Damage(check.kind, check.name.hex(), message)
        yield from _verify_rows(root, database, repair=repair)


def drop_database(root: Path) -> None:
    """Take a damaged database away: the next who opens the store makes another, and gc sweeps what no row knows any more.

    Who has it open keeps it, and what it holds a lease on.
    """
    with reported(root):
        for path in sorted(root.glob("db.sqlite*")):
            discard(path, root / "trash")
        sweep(root)


def _checks(database: Database) -> list[_Check]:
    boot = (database.boot,)
    blobs = database.all("SELECT digest, size FROM blobs WHERE boot IN ('', ?)", boot)
    indexes = database.all("SELECT tree, size FROM layers WHERE boot IN ('', ?)", boot)
    folders = database.all("SELECT tree, 0 FROM folders WHERE boot IN ('', ?)", boot)
    kinds: tuple[tuple[DamageKind, list[tuple[bytes, int]]], ...] = (("blob", blobs), ("index", indexes), ("folder", folders))
    return [_Check(kind, name, size) for kind, found in kinds for name, size in found]


def _exists(database: Database, check: _Check) -> bool:
    table, column = _TABLES[check.kind]
    return database.one(f"SELECT 1 FROM {table} WHERE {column} = ? AND boot IN ('', ?)", (check.name, database.boot)) is not None


def _message(root: Path, check: _Check) -> str:
    """What is wrong with a file or folder, or ""."""
    path = root / _FOLDERS[check.kind] / check.name.hex()
    try:
        match check.kind:
            case "blob":
                return _check_blob(path, check)
            case "index":
                return _check_index(path, check)
            case _:
                return _check_against_index(path, root / "index" / check.name.hex())
    except FileNotFoundError:
        return "it is missing"
    except (OSError, ValueError) as error:
        return f"it cannot be read: {error}"
    except GraphbuildError as error:
        return f"it cannot be read: {error.problems[0].message}"


def _check_blob(path: Path, check: _Check) -> str:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size != check.size:
            return f"it has {size} bytes instead of {check.size}"
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return "" if found == check.name.hex() else f"its content has the sha256 {found}"


def _check_index(path: Path, check: _Check) -> str:
    encoded = path.read_bytes()
    found = tree_digest(encoded)
    if found != tree(check.name.hex()):
        return f"its content has the blake3 {found.hex}"
    decode_index(encoded)
    return ""


def _check_against_index(folder: Path, index: Path) -> str:
    try:
        entries = decode_index(index.read_bytes())
    except (OSError, ValueError):
        return "its index is missing or damaged"
    return check_folder(folder, entries)


def check_folder(folder: Path, entries: Sequence[Entry]) -> str:
    """What a layer's folder form has that its index has not, or the other way round; "" for nothing."""
    from graphbuild.layers.folder import scan

    exact = _owns_all_ids()
    wanted = {entry.path: _comparable(entry, exact) for entry in entries}
    found = {entry.path: _comparable(entry, exact) for entry in scan(folder)}
    if wanted == found:
        return ""
    different = sorted(path for path in wanted.keys() | found.keys() if wanted.get(path) != found.get(path))
    path = os.fsdecode(different[0]).encode("utf-8", "backslashreplace").decode()
    what = "is missing" if different[0] not in found else "was added" if different[0] not in wanted else "differs"
    return f"/{path} {what}" + (f", and {len(different) - 1} more" if len(different) > 1 else "")


def _owns_all_ids() -> bool:
    """Whether owners, devices and capabilities can be on the disk as the index has them: root of the machine only."""
    try:
        mapped = Path("/proc/self/uid_map").read_text("ascii").split()
    except OSError:
        return os.geteuid() == 0
    return os.geteuid() == 0 and mapped == ["0", "0", "4294967295"]


def _comparable(entry: Entry, exact: bool) -> Entry:
    if exact:
        return entry
    xattrs = tuple(pair for pair in entry.xattrs if pair[0].startswith(b"user."))
    entry = msgspec.structs.replace(entry, uid=0, gid=0, xattrs=xattrs)
    if entry.kind in (Kind.CHARACTER, Kind.BLOCK) or (entry.kind is Kind.FILE and not entry.size):
        return Entry(entry.path, Kind.FILE)  # where devices cannot be made, an empty file stands for one
    return entry


def _drop(root: Path, database: Database, gate: Gate, check: _Check) -> None:
    table, column = _TABLES[check.kind]
    with gate.closed():
        with database.write(durable=True) as rows:
            rows.execute(f"DELETE FROM {table} WHERE {column} = ?", (check.name,))
        gate.forget()
        discard(root / _FOLDERS[check.kind] / check.name.hex(), root / "trash")


def _verify_rows(root: Path, database: Database, *, repair: bool) -> Iterator[Damage]:
    for identity, name in database.all("SELECT id, folder FROM failed WHERE boot IN ('', ?)", (database.boot,)):
        if not (root / "failed" / name).is_dir():
            _delete(database, "DELETE FROM failed WHERE id = ?", identity, repair=repair)
            yield Damage("failed", name, "its folder is missing")
    query = "SELECT diff_id, digest FROM compressed WHERE digest NOT IN (SELECT digest FROM blobs)"
    for diff_id, digest in database.all(query):
        _delete(database, "DELETE FROM compressed WHERE digest = ?", digest, repair=repair)
        yield Damage("compressed", diff_id.hex(), f"its compressed form {digest.hex()[:12]} is not in the store")
    there = {b"b" + digest for (digest,) in database.all("SELECT digest FROM blobs")}
    there |= {b"l" + name for (name,) in database.all(_WHOLE)}
    decoder = msgspec.msgpack.Decoder(Record)
    for key, body, references in database.all("SELECT key, body, refs FROM actions"):
        message = _record_message(decoder, body, [name for name in split(references) if name not in there])
        if message:
            _delete(database, "DELETE FROM actions WHERE key = ?", key, repair=repair)
            yield Damage("record", key.hex(), message)
    for image, references in database.all("SELECT id, refs FROM images"):
        missing = [name for name in split(references) if name not in there]
        if missing:
            names = ", ".join(name for (name,) in database.all("SELECT name FROM names WHERE id = ? ORDER BY name", (image,)))
            _delete(database, "DELETE FROM images WHERE id = ?", image, repair=repair)
            _delete(database, "DELETE FROM names WHERE id = ?", image, repair=repair)
            yield Damage(
                "image", image.hex(), f"{names or 'without a name'}: {_missing(missing[0])}; what no build makes, load or pull again"
            )


_WHOLE = """SELECT tree FROM layers WHERE tree IN (SELECT tree FROM folders)
    OR tree IN (SELECT d.tree FROM diff_ids d JOIN blobs b ON b.digest = d.diff_id)"""


def _record_message(decoder: "msgspec.msgpack.Decoder[Record]", body: bytes, missing: list[bytes]) -> str:
    try:
        label = decoder.decode(body).label
    except (msgspec.DecodeError, ValueError) as error:
        return f"it cannot be decoded: {error}"
    return f"{label}: {_missing(missing[0])}" if missing else ""


def _missing(reference: bytes) -> str:
    kinds = {b"b": "blob", b"l": "layer"}
    return f"its {kinds[reference[:1]]} {reference[1:].hex()[:12]} is not in the store"


def _delete(database: Database, statement: str, value: object, *, repair: bool) -> None:
    if repair:
        with database.write(durable=True) as rows:
            rows.execute(statement, (value,))
