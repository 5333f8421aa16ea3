"""The public mirror, for tests marked `network`: reachable or skipped by name; what was fetched is kept for the session."""

import urllib.request
from functools import cache

import pytest

MIRROR = "http://deb.debian.org/debian"


@cache
def _reachable() -> str:
    try:
        with urllib.request.urlopen(f"{MIRROR}/dists/bookworm/InRelease", timeout=10) as response:
            return "" if response.read(64).startswith(b"-----BEGIN PGP") else "deb.debian.org answers something else"
    except OSError as error:
        return f"deb.debian.org is unreachable: {error}"


def need_mirror() -> None:
    """Skip where the mirror cannot be reached."""
    if reason := _reachable():
        pytest.skip(reason)
