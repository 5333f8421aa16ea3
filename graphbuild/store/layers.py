"""Layers: encoded indexes named by their blake3, the folder form of some, and what is known of their tars.

Invariants: an index read is checked against its name. A layer *is there* when its index is and at least one of its forms: the
folder, or the blob of its diff_id. A layer's folder is never changed after it has its name. Knows nothing of targets.
"""

import os
from collections import OrderedDict
from pathlib import Path

from graphbuild.store import reference as refer
from graphbuild.store.blobs import write_all
from graphbuild.store.database import Database
from graphbuild.store.gate import Gate, locked_file
from graphbuild.store.locks import unlock
from graphbuild.store.trash import discard
from graphbuild.store.trouble import reported
from graphbuild.values.digest import Digest, sha256
from graphbuild.values.entry import Entry, decode_index, tree_digest
from graphbuild.values.errors import GraphbuildError, mistake

_REMEMBERED = 200_000  # entries of decoded indexes kept in memory
_INDEX = "SELECT 1 FROM layers WHERE tree = ? AND boot IN ('', ?)"
_FOLDER = "SELECT 1 FROM folders WHERE tree = ? AND boot IN ('', ?)"
_COMPLETE = """SELECT 1 FROM layers l WHERE l.tree = ?1 AND l.boot IN ('', ?2) AND (
    EXISTS (SELECT 1 FROM folders f WHERE f.tree = ?1 AND f.boot IN ('', ?2)) OR
    EXISTS (SELECT 1 FROM diff_ids d JOIN blobs b ON b.digest = d.diff_id WHERE d.tree = ?1 AND b.boot IN ('', ?2)))"""


class Layers:
    """The layers of one store."""

    def __init__(self, root: Path, database: Database, gate: Gate) -> None:
        self._root = root
        self._database = database
        self._gate = gate
        self._decoded: OrderedDict[Digest, list[Entry]] = OrderedDict()
        self._entries = 0

    def put(self, encoded: bytes, folder: Path | None, entries: list[Entry] | None = None) -> Digest:
        """Store an index, and the folder form by renaming it in (into the trash if there is one already)."""
        tree = tree_digest(encoded)
        name, boot = bytes.fromhex(tree.hex), self._database.boot
        with reported(self._root), self._gate:
            target = self._root / "index" / tree.hex
            if self._database.one(_INDEX, (name, boot)) is None or not os.access(target, os.F_OK):
                self._put_index(encoded, target, name)
            self._gate.hold(refer.layer(tree))
            if folder is not None:
                self.set_folder(tree, folder)
            if entries is not None:
                self._remember(tree, entries)
        return tree

    def _put_index(self, encoded: bytes, target: Path, name: bytes) -> None:
        path, descriptor = locked_file(self._root / "tmp")
        try:
            write_all(descriptor, encoded)
            os.fchmod(descriptor, 0o444)
            with self._database.write() as rows:
                os.rename(path, target)
                rows.execute("INSERT OR REPLACE INTO layers (tree, size, boot) VALUES (?, ?, ?)", (name, len(encoded), self._database.boot))
        finally:
            path.unlink(missing_ok=True)
            unlock(descriptor)
            os.close(descriptor)

    def has(self, tree: Digest) -> bool:
        """Whether the layer is there, in one form at least."""
        reference = refer.layer(tree)
        with reported(self._root), self._gate:
            found = self._database.one(_COMPLETE, (reference[1:], self._database.boot)) is not None
            if found:
                self._gate.hold(reference)
        return found

    def index(self, tree: Digest) -> list[Entry]:
        """The entries of a layer, sorted by path; not to be changed. KeyError for an unknown layer, GraphbuildError for a damaged one."""
        reference = refer.layer(tree)
        with reported(self._root), self._gate:
            if self._database.one(_INDEX, (reference[1:], self._database.boot)) is None:
                raise KeyError(str(tree))
            self._gate.hold(reference)
            known = self._decoded.get(tree)
            if known is not None:
                self._decoded.move_to_end(tree)
                return known
        entries = self._read(tree)
        with self._gate.mutex:
            self._remember(tree, entries)
        return entries

    def _read(self, tree: Digest) -> list[Entry]:
        try:
            encoded = (self._root / "index" / tree.hex).read_bytes()
        except FileNotFoundError:
            raise _damaged(tree) from None
        if tree_digest(encoded) != tree:
            raise _damaged(tree)
        return decode_index(encoded)

    def _remember(self, tree: Digest, entries: list[Entry]) -> None:
        if tree not in self._decoded:
            self._decoded[tree] = entries
            self._entries += len(entries)
        while self._entries > _REMEMBERED and len(self._decoded) > 1:
            self._entries -= len(self._decoded.popitem(last=False)[1])

    def folder(self, tree: Digest) -> Path | None:
        """The folder form, or None."""
        reference = refer.layer(tree)
        with reported(self._root), self._gate:
            if self._database.one(_FOLDER, (reference[1:], self._database.boot)) is None:
                return None
            self._gate.hold(reference)
        path = self._root / "layers" / tree.hex
        return path if os.access(path, os.F_OK) else None

    def set_folder(self, tree: Digest, folder: Path) -> Path:
        """Rename a finished folder in as the layer's folder form; returns where it is now. An existing one stays, `folder` goes."""
        name, boot = bytes.fromhex(tree.hex), self._database.boot
        target, trash = self._root / "layers" / tree.hex, self._root / "trash"
        with reported(self._root), self._gate:
            with self._database.write() as rows:
                if rows.execute(_FOLDER, (name, boot)).fetchone() and os.access(target, os.F_OK):
                    discard(folder, trash)
                else:
                    discard(target, trash)  # a leftover that no row vouches for
                    os.rename(folder, target)
                    rows.execute("INSERT OR REPLACE INTO folders (tree, size, boot) VALUES (?, NULL, ?)", (name, boot))
            self._gate.hold(refer.layer(tree))
        return target

    def diff_id(self, tree: Digest) -> tuple[Digest, int] | None:
        """The digest and size (bytes) of the layer's uncompressed tar, as far as it was ever written."""
        with reported(self._root), self._gate:
            row = self._database.one("SELECT diff_id, size FROM diff_ids WHERE tree = ?", (bytes.fromhex(tree.hex),))
        return (sha256(row[0].hex()), row[1]) if row else None

    def set_diff_id(self, tree: Digest, diff_id: Digest, size: int) -> None:
        values = (bytes.fromhex(tree.hex), bytes.fromhex(diff_id.hex), size)
        with reported(self._root), self._gate:
            self._database.put("INSERT OR REPLACE INTO diff_ids (tree, diff_id, size) VALUES (?, ?, ?)", values)

    def compressed(self, diff_id: Digest, codec: str) -> tuple[Digest, int] | None:
        """The digest and size (bytes) of a tar's compressed form by that codec (name, version and machine)."""
        with reported(self._root), self._gate:
            query = "SELECT digest, size FROM compressed WHERE diff_id = ? AND codec = ?"
            row = self._database.one(query, (bytes.fromhex(diff_id.hex), codec))
        return (sha256(row[0].hex()), row[1]) if row else None

    def set_compressed(self, diff_id: Digest, codec: str, digest: Digest, size: int) -> None:
        values = (bytes.fromhex(diff_id.hex), codec, bytes.fromhex(digest.hex), size)
        with reported(self._root), self._gate:
            self._database.put("INSERT OR REPLACE INTO compressed (diff_id, codec, digest, size) VALUES (?, ?, ?, ?)", values)


def _damaged(tree: Digest) -> GraphbuildError:
    return mistake(f"the index of layer {tree.short} in the store is damaged", hint="run `graphbuild cache verify --repair`")
