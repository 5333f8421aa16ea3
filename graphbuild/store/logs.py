"""Logs of steps, by action key. A log has its name when its writer is closed, also when the step failed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from graphbuild.store import reference as refer
from graphbuild.store.gate import Gate, locked_file
from graphbuild.store.locks import unlock
from graphbuild.store.trouble import reported
from graphbuild.values.digest import Digest


@contextmanager
def log_writer(root: Path, gate: Gate, key: Digest) -> Iterator[BinaryIO]:
    """A binary file that becomes the key's log in the end, in place of an older one."""
    with reported(root):
        path, descriptor = locked_file(root / "tmp")
        try:
            with reported(root), open(descriptor, "wb", closefd=False) as file:
                yield file
        finally:
            with gate:
                gate.hold(refer.action(key))
                os.rename(path, root / "logs" / key.hex)
            unlock(descriptor)
            os.close(descriptor)


def log_path(root: Path, key: Digest) -> Path | None:
    path = root / "logs" / key.hex
    return path if os.access(path, os.F_OK) else None
