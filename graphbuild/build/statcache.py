"""Digests by stat, one packed file a folder that is searched.

A cache and no more: a file that is missing, damaged (its checksum says) or of another version holds nothing. It is
replaced whole by a rename, so concurrent builds lose at most each other's additions.
"""

import marshal
import os
import threading
from pathlib import Path

from blake3 import blake3

_VERSION = 1

Signature = tuple[int, int, int, int, int]


class StatCache:
    """The digests of the files below one folder: `path → (signature, digest)`. Thread-safe."""

    def __init__(self, cache: Path, folder: bytes) -> None:
        self._file = cache / blake3(folder).hexdigest()[:32]
        self._known: dict[bytes, tuple[Signature, bytes]] = {}
        self._changed = False
        self._saving = threading.Lock()
        self._load()

    def get(self, path: bytes, signature: Signature) -> bytes | None:
        """The digest of a file whose stat is unchanged, or None."""
        known = self._known.get(path)
        return known[1] if known is not None and known[0] == signature else None

    def put(self, path: bytes, signature: Signature, digest: bytes) -> None:
        self._known[path] = (signature, digest)
        self._changed = True

    def save(self) -> None:
        """Write it, if anything was added. A full disk loses the cache, not the build."""
        with self._saving:
            if self._changed:
                self._changed = False
                self._write(marshal.dumps((_VERSION, self._known)))

    def _write(self, payload: bytes) -> None:
        temporary = self._file.with_suffix(f".{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(blake3(payload).digest())
                file.write(payload)
            temporary.rename(self._file)
        except OSError:
            temporary.unlink(missing_ok=True)

    def _load(self) -> None:
        try:
            data = memoryview(self._file.read_bytes())
        except OSError:
            return
        checksum, payload = data[:32], data[32:]
        if blake3(payload).digest() == checksum:
            version, known = marshal.loads(payload)
            if version == _VERSION:
                self._known = known
