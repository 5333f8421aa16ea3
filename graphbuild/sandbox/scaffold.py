"""What the steps of one build share, because making it anew for each is much of what a short step costs.

A tmpfs that only root of the namespace can enter: secrets, trampolines and /etc/hosts are never on a disk. Stubs: most steps have
theirs in common, and no mount writes to one. What is done with goes with all the rest, when the build is over.
"""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphbuild.sandbox import kernel, overlay
from graphbuild.sandbox.stub import Stub, write_stub


class Scaffold:
    """`folder` is empty, on the file system that steps' upper directories are on; what is left in it goes with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mutex = threading.Lock()
        self._numbers = itertools.count()
        self._memory: Path | None = None
        self._stubs: dict[tuple[Stub, int], Path] = {}

    @contextmanager
    def private(self) -> Iterator[Path]:
        """A folder in memory that nobody else can enter, for one step."""
        with self._mutex:
            folder = self._tmpfs() / str(next(self._numbers))
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            import shutil  # while the first step runs, there is time

            shutil.rmtree(folder, ignore_errors=True)

    def stub(self, wanted: Stub, epoch: int) -> Path:
        """A folder that holds what the stub says, with that mtime. It must not be changed."""
        with self._mutex:
            made = self._stubs.get((wanted, epoch))
            if made is None:
                made = self._new("stub")
                write_stub(wanted, made, epoch)
                self._stubs[(wanted, epoch)] = made
            return made

    def work(self) -> Path:
        """A work folder for one overlay, which fills it: emptying it for the next one would take longer than a new one."""
        with self._mutex:
            return self._new("work")

    def close(self) -> None:
        """Unmount. Steps must have ended."""
        if self._memory is not None:
            overlay.unmount(self._memory)
            self._memory = None

    def _new(self, name: str) -> Path:
        folder = self._folder / f"{name}{next(self._numbers)}"
        folder.mkdir(mode=0o755)
        return folder

    def _tmpfs(self) -> Path:
        """Where the tmpfs is mounted; kept out of the swap where the kernel lets us."""
        if self._memory is None:
            folder = self._new("memory")
            name, flags = bytes(folder), kernel.MS_NODEV | kernel.MS_NOSUID
            try:
                kernel.mount(b"tmpfs", name, b"tmpfs", flags, b"mode=0700,noswap")
            except OSError:  # before 6.4, or in a user namespace
                kernel.mount(b"tmpfs", name, b"tmpfs", flags, b"mode=0700")
            self._memory = folder
        return self._memory
