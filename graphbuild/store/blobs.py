"""Blobs: files named by the sha256 of their bytes (OCI's content-addressed store).

Invariants: a blob's file is complete before it has its name, and has its name before it has its row. Who commits has hashed
what he wrote; nothing is hashed twice. Files are 0444 and never written again. Knows nothing of what blobs mean.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphbuild.store import reference as refer
from graphbuild.store.database import Database
from graphbuild.store.gate import Gate, locked_file
from graphbuild.store.locks import unlock
from graphbuild.store.trouble import reported
from graphbuild.values.digest import Digest, sha256

_FIND = "SELECT 1 FROM blobs WHERE digest = ? AND boot IN ('', ?)"
_INSERT = "INSERT OR REPLACE INTO blobs (digest, size, boot) VALUES (?, ?, ?)"


class Blobs:
    """The blobs of one store."""

    def __init__(self, root: Path, database: Database, gate: Gate) -> None:
        self._root = root
        self._database = database
        self._gate = gate

    def path(self, digest: Digest) -> Path:
        """Where a blob lies if it exists. ValueError for another algorithm than sha256."""
        if digest.algorithm != "sha256":
            raise ValueError(f"blobs are named by sha256, not by {digest}")
        return self._root / "blobs" / "sha256" / digest.hex

    def find(self, digest: Digest) -> Path | None:
        """The file of a blob, or None."""
        if digest.algorithm != "sha256":
            return None
        with reported(self._root), self._gate:
            if self._database.one(_FIND, (bytes.fromhex(digest.hex), self._database.boot)) is None:
                return None
            self._gate.hold(refer.blob(digest))
        path = self.path(digest)
        return path if os.access(path, os.F_OK) else None  # somebody may have deleted it by hand

    @contextmanager
    def writer(self) -> Iterator["BlobWriter"]:
        """A new file of the store to write to; gone in the end unless it was committed."""
        with reported(self._root):
            path, descriptor = locked_file(self._root / "tmp")
            try:
                with reported(self._root):  # before the space is given back
                    yield BlobWriter(descriptor, path, self)
            finally:
                path.unlink(missing_ok=True)
                unlock(descriptor)
                os.close(descriptor)

    def adopt(self, path: Path, digest: Digest, size: int) -> Path:
        """Make a finished file of the store's file system a blob, by renaming it. If the blob exists, the file goes."""
        if os.stat(path).st_size != size:
            raise ValueError(f"{digest}: {os.stat(path).st_size} bytes were written, {size} announced")
        target, name, boot = self.path(digest), bytes.fromhex(digest.hex), self._database.boot
        with reported(self._root), self._gate:
            with self._database.write() as rows:
                if rows.execute(_FIND, (name, boot)).fetchone() and os.access(target, os.F_OK):
                    path.unlink()
                else:
                    os.chmod(path, 0o444)
                    os.rename(path, target)
                    rows.execute(_INSERT, (name, size, boot))
            self._gate.hold(refer.blob(digest))
        return target

    def put(self, data: bytes) -> Digest:
        """Store bytes."""
        import hashlib

        digest = sha256(hashlib.sha256(data).hexdigest())
        if self.find(digest) is None:
            with self.writer() as writer:
                write_all(writer.fd, data)
                writer.commit(digest, len(data))
        return digest


class BlobWriter:
    """A blob in the making. `fd` is open for reading and writing."""

    def __init__(self, fd: int, path: Path, blobs: Blobs) -> None:
        self.fd = fd
        self._path = path
        self._blobs = blobs

    def commit(self, digest: Digest, size: int) -> Path:
        """Give what was written its name. The digest is believed; ValueError if the size (bytes) is another."""
        return self._blobs.adopt(self._path, digest, size)


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
