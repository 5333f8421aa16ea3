"""A layer's tar that is written before the layer is known: while its files are looked for, by whoever has them in hand to hash them.

All but the contents follows from what a search sees, so that each entry has its place at once, and many can be written at the same
time. What is there without a gap is hashed meanwhile. A draft is never needed: one that is not what the layer turns out to be, because
something changed, or came in another order, or was known before and not read, is thrown away, and the tar written as any other.
"""

import hashlib
import mmap
import os
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Protocol

from graphbuild.layers.cancel import Cancel, check
from graphbuild.layers.stretch import NOTHING, Lead
from graphbuild.layers.tar_write import END, Headers
from graphbuild.layers.ustar import BLOCK
from graphbuild.layers.writeback import start_writing_out
from graphbuild.values.digest import Digest, sha256
from graphbuild.values.entry import Entry, Kind

_WINDOW = 16 << 20  # bytes that are mapped at once


class Writer(Protocol):
    """A blob in the making."""

    fd: int

    def commit(self, digest: Digest, size: int) -> Path: ...


class Draft:
    """One tar. The file that `opened` gives is opened when somebody asks for its descriptor, and gone after `close` unless it was committed."""

    def __init__(self, opened: Callable[[], AbstractContextManager[Writer]], epoch: int, cancelled: Cancel) -> None:
        self._opened = opened
        self._cancelled = cancelled
        self._stack = ExitStack()
        self._writer: Writer | None = None
        self._headers = Headers(epoch)
        self._entries: list[Entry] = []  # what has its place
        self._rest = b""  # the headers that come before the next content
        self.size = 0  # bytes that have their place, without these
        self._lost = False
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._ends: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    @property
    def fd(self) -> int:
        """The file, open for reading and writing."""
        if self._writer is None:
            self._writer = self._stack.enter_context(self._opened())
        return self._writer.fd

    def add(self, entry: Entry) -> Lead:
        """Give an entry, whose digest need not be known yet, the next place. What comes before the content of a FILE is returned."""
        self._entries.append(entry)
        headers, before = self._headers, self._rest
        rest = headers.shared(entry)
        if rest is not None:
            if before:
                self._rest = b""
            self.size += len(before) + BLOCK + entry.size + -entry.size % BLOCK
            return before, entry.path, rest
        before += headers.header(entry)
        if entry.kind is not Kind.FILE:
            self._rest = before
            return NOTHING
        self._rest = b""
        self.size += len(before) + entry.size + -entry.size % BLOCK
        return before, b"", None

    def written(self, end: int) -> None:
        """All that is before this offset has been written."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, daemon=True)
            self._thread.start()
        self._ends.put(end)

    def lose(self) -> None:
        """Something is missing."""
        self._lost = True

    def finish(self, entries: Sequence[Entry]) -> tuple[Digest, int, Path] | None:
        """Make it a blob if it holds just these entries: its diff_id, size in bytes and path. It is closed, whatever it holds."""
        try:
            if self._thread is None or self._writer is None or self._lost or list(entries) != self._entries:
                return None
            self._join()
            end = self._rest + END
            if self._lost or self._hashed != self.size or os.pwrite(self.fd, end, self.size) != len(end):
                return None
            self._hash.update(end)
            diff_id, size = sha256(self._hash.hexdigest()), self.size + len(end)
            return diff_id, size, self._writer.commit(diff_id, size)
        finally:
            self.close()

    def close(self) -> None:
        """Give the space back."""
        self._lost = True
        self._join()
        self._entries.clear()
        self._stack.close()

    def _join(self) -> None:
        if self._thread is not None:
            self._ends.put(None)
            self._thread.join()
            self._thread = None

    def _follow(self) -> None:
        """Hash what is written."""
        while (end := self._ends.get()) is not None:
            while self._hashed < end and not self._lost:
                self._hash_to(min(end, self._hashed + _WINDOW))

    def _hash_to(self, end: int) -> None:
        start = self._hashed - self._hashed % mmap.ALLOCATIONGRANULARITY
        try:
            check(self._cancelled)
            with mmap.mmap(self.fd, end - start, mmap.MAP_SHARED, mmap.PROT_READ, offset=start) as pages, memoryview(pages) as view:
                self._hash.update(view[self._hashed - start :])
            start_writing_out(self.fd)
        except Exception:  # noqa: BLE001 - whatever it is, a tar that is written without a draft meets it again
            self._lost = True
        self._hashed = end
