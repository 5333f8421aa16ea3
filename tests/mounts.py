"""Mounts that tests make, for as long as they need them."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, *words: str) -> Iterator[Path]:
    """`mount WORDS PLACE`, and the folder if it is missing. Skips where that may not be done."""
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")
    place.mkdir(exist_ok=True)
    if subprocess.run(["mount", *words, place], check=False, capture_output=True).returncode != 0:
        pytest.skip(f"cannot mount here: {' '.join(words)}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def small_disk(place: Path, size: str) -> AbstractContextManager[Path]:
    """An empty file system in memory, of a size as "2m"."""
    return mounted(place, "-t", "tmpfs", "-o", f"size={size}", "none")
