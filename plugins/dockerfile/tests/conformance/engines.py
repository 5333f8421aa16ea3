"""The engines that judge, and what reads their images: the repository's own (tests/peers.py, tests/flatten.py), which no test folder of a
plugin has on its path.

The judge is the modern engine with containerd's image store, as buildx's own builders and Docker 29 have it: with the older graph drivers
BuildKit cannot merge layers and quietly treats `COPY --link` as COPY. BuildKit starts `git` and `xz`, so the judge has a root of its own
with both; `python engines.py` makes it (500 MB).
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[4] / "tests"))

import peers
from flatten import Image, Node, apply, config_of, difference, read_archive
from peers import Engine, docker_engine, peer_cache

__all__ = [
    "Engine",
    "Image",
    "Node",
    "apply",
    "config_of",
    "difference",
    "docker_engine",
    "judge_is_made",
    "judging_engine",
    "peer_cache",
    "read_archive",
]

_STORE = "TEST_INTEGRATION_USE_SNAPSHOTTER"  # Docker's own switch for its tests: no file to write in a root that others use
_PROGRAMS = ("git", "xz-utils")


def _cache() -> Path:
    return peer_cache() / "conformance"


def judge_is_made() -> bool:
    return (_cache() / "debian-unstable-docker").exists()


def make_judge() -> Path:
    """The judge's root, made where it is not yet there."""
    packages = peers._MODERN
    peers._MODERN = (*packages, *_PROGRAMS)
    try:
        return peers.modern_root(_cache())
    finally:
        peers._MODERN = packages


@contextlib.contextmanager
def judging_engine(*, image_store: bool = True) -> Iterator[Engine]:
    """The modern engine with containerd's image store, or with the graph driver that it has by default."""
    make_judge()
    with contextlib.ExitStack() as stack:
        if image_store:
            os.environ[_STORE] = "1"
        try:
            engine = stack.enter_context(peers.modern_docker_engine(_cache()))
        finally:
            os.environ.pop(_STORE, None)
        yield engine


if __name__ == "__main__":
    print(make_judge())
