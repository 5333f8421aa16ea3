"""The action cache: what each key's work led to, and how each target's actions went last.

Invariants: a record is returned only while all of its outputs exist; it is a fact about content, so it may outlive them and
simply does not count then. Key fields are bytes here: whoever writes them reads them.
"""

import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from graphbuild.store import reference as refer
from graphbuild.store.blobs import Blobs
from graphbuild.store.database import Database
from graphbuild.store.gate import Gate
from graphbuild.store.layers import Layers
from graphbuild.store.reference import Reference
from graphbuild.store.trouble import reported
from graphbuild.values.config import Config, Past
from graphbuild.values.digest import Digest


class LayerOutput(msgspec.Struct, frozen=True):
    """A layer of a result. `diff_id` only where the tar is given (an imported image's) and must not be written anew.

    `packed`: the blob as a registry had it, compressed by `codec`; the tar, if it is wanted, is what is in that.
    """

    tree: Digest
    diff_id: Digest | None = None
    packed: Digest | None = None
    codec: str = ""


class Outputs(msgspec.Struct, frozen=True):
    """The result of an action: layers (lowest first), and a config and a blob where it has them. `size` in bytes, for people.

    `history` is that of an image, each entry with the layer that it is about.
    """

    layers: tuple[LayerOutput, ...] = ()
    config: Config | None = None
    blob: Digest | None = None
    size: int = 0
    history: tuple[tuple[Digest | None, Past], ...] = ()


class Record(msgspec.Struct, frozen=True):
    """A result with its story: the key's encoded fields, who made it, how long it took (seconds), whether it left a log."""

    outputs: Outputs
    fields: bytes
    label: str
    seconds: float
    log: bool


class LastRun(msgspec.Struct, frozen=True):
    """How an action of a target went last: for `explain`."""

    key: Digest
    fields: bytes
    status: str
    reasons: tuple[str, ...]
    seconds: float


_encoder = msgspec.msgpack.Encoder()
_record = msgspec.msgpack.Decoder(Record)
_last = msgspec.msgpack.Decoder(LastRun)
_RECORD = """INSERT INTO actions (key, body, refs, used, hits) VALUES (?, ?, ?, ?, 0)
    ON CONFLICT (key) DO UPDATE SET body = excluded.body, refs = excluded.refs, used = excluded.used"""
_LAST = "INSERT OR REPLACE INTO lasts (workspace, target, body, used) VALUES (?, ?, ?, ?)"


class Actions:
    """The action cache of one store."""

    def __init__(self, root: Path, database: Database, gate: Gate, layers: Layers, blobs: Blobs) -> None:
        self._root = root
        self._database = database
        self._gate = gate
        self._layers = layers
        self._blobs = blobs
        self._used: dict[bytes, tuple[float, int]] = {}

    def lookup(self, key: Digest) -> Record | None:
        """What is recorded under a key, if all that it names exists; marks it as used."""
        reference = refer.action(key)
        with reported(self._root), self._gate:
            row = self._database.one("SELECT body FROM actions WHERE key = ?", (reference[1:],))
            if row is None:
                return None
            record = _record.decode(row[0])
            if not self._complete(record.outputs):
                return None
            self._gate.hold(reference)
            hits = self._used.get(reference[1:], (0.0, 0))[1]
            self._used[reference[1:]] = (time.time(), hits + 1)
        return record

    def _complete(self, outputs: Outputs) -> bool:
        for layer in outputs.layers:
            if not self._gate.holds(refer.layer(layer.tree)) and not self._layers.has(layer.tree):
                return False
        return all(self._gate.holds(refer.blob(digest)) or self._blobs.find(digest) is not None for digest in _blobs_of(outputs))

    def record(self, key: Digest, record: Record) -> None:
        """Remember a result. What it names must be in the store already."""
        values = (bytes.fromhex(key.hex), _encoder.encode(record), b"".join(references(record.outputs)), time.time())
        with reported(self._root), self._gate:
            self._gate.hold(refer.action(key))
            self._database.put(_RECORD, values)

    def last(self, workspace: str, target: str) -> LastRun | None:
        """How the action ("//a:b#run") of a workspace (its root's path) went last."""
        with reported(self._root):
            row = self._database.one("SELECT body FROM lasts WHERE workspace = ? AND target = ?", (workspace, target))
        return _last.decode(row[0]) if row else None

    def set_lasts(self, workspace: str, lasts: Iterable[tuple[str, LastRun]]) -> None:
        """Remember how a build's actions went, in one transaction."""
        now = time.time()
        values = [(workspace, target, _encoder.encode(last), now) for target, last in lasts]
        if values:
            with reported(self._root), self._database.write() as rows:
                rows.executemany(_LAST, values)

    def flush(self) -> None:
        """Write down which records were used: one transaction for all."""
        with reported(self._root), self._gate:
            if not self._used:
                return
            values = [(used, hits, key) for key, (used, hits) in self._used.items()]
            with self._database.write() as rows:
                rows.executemany("UPDATE actions SET used = ?, hits = hits + ? WHERE key = ?", values)
            self._used.clear()


def _blobs_of(outputs: Outputs) -> list[Digest]:
    given = [blob for layer in outputs.layers if (blob := layer.packed or layer.diff_id) is not None]
    return given if outputs.blob is None else [*given, outputs.blob]


def references(outputs: Outputs) -> list[Reference]:
    """All that a result names."""
    return [*(refer.layer(layer.tree) for layer in outputs.layers), *(refer.blob(digest) for digest in _blobs_of(outputs))]
