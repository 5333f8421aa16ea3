"""Digests by stat, one packed file a folder that is searched.

A cache and no more: a file that is missing, damaged (its checksum says) or of another version holds nothing. It is
replaced whole by a rename, so concurrent builds lose at most each other's additions. Names and records are kept as they
are in the file, and looked into only for the paths that are asked for: 50,000 are read in 12 ms.
"""

import os
import struct
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from blake3 import blake3

_VERSION = b"graphbuild stat cache 2\0"
_CHECKSUM = 32
_SIGNATURE = struct.Struct("<qqqQQ")
_RECORD = _SIGNATURE.size + 32  # what a stat was, and the digest
_WORTH = 20  # files that are remembered for one that is hashed again, when writing takes longer
_WORTH_BYTES = 16 << 20  # the same for bytes that would be hashed again

Signature = tuple[int, int, int, int, int]


class StatCache:
    """The digests of the files below one folder. Thread-safe."""

    def __init__(self, cache: Path, folder: bytes) -> None:
        self._file = cache / blake3(folder).hexdigest()[:32]
        self._known: dict[bytes, bytes] = {}  # path → record
        self._new = 0
        self._new_bytes = 0
        self._saving = threading.Lock()
        self._load()
        self.is_new = not self._known  # no build before this one has searched the folder

    def known(self, files: Mapping[bytes, Signature]) -> dict[bytes, bytes]:
        """The digests of those files whose stat is what it was."""
        records, pack, size = self._known, _SIGNATURE.pack, _SIGNATURE.size
        found: dict[bytes, bytes] = {}
        if not records:
            return found
        for path, signature in files.items():
            record = records.get(path)
            if record is not None:
                try:
                    if record[:size] == pack(*signature):
                        found[path] = record[size:]
                except struct.error:
                    pass  # beyond 64 bits: such a file is not remembered
        return found

    def put(self, path: bytes, signature: Signature, digest: bytes) -> None:
        self.put_all(((path, signature, digest),))

    def put_all(self, found: Iterable[tuple[bytes, Signature, bytes]]) -> None:
        known, pack = self._known, _SIGNATURE.pack
        count = size = 0
        for path, signature, digest in found:
            try:
                known[path] = pack(*signature) + digest
            except struct.error:  # a number beyond 64 bits, from a peculiar file system
                continue
            count += 1
            size += signature[0]
        self._new += count
        self._new_bytes += size

    def save(self) -> None:
        """Write it, unless hashing what was added again would take less. A full disk loses the cache, not the build."""
        with self._saving:
            if self._new and (self._new * _WORTH >= len(self._known) or self._new_bytes >= _WORTH_BYTES):
                self._new = self._new_bytes = 0
                known = dict(self._known)  # at once: others may be adding to it
                self._write(b"\0".join((b"%d" % len(known), *known, b"".join(known.values()))))

    def _write(self, payload: bytes) -> None:
        temporary = self._file.with_suffix(f".{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(_VERSION)
                file.write(blake3(payload).digest())
                file.write(payload)
            temporary.rename(self._file)
        except OSError:
            temporary.unlink(missing_ok=True)

    def _load(self) -> None:
        try:
            data = self._file.read_bytes()
        except OSError:
            return
        start = len(_VERSION) + _CHECKSUM
        if data.startswith(_VERSION) and blake3(memoryview(data)[start:]).digest() == data[len(_VERSION) : start]:
            count, _, rest = data[start:].partition(b"\0")
            *names, records = rest.split(b"\0", int(count))
            self._known = dict(zip(names, (records[at : at + _RECORD] for at in range(0, len(records), _RECORD)), strict=True))
