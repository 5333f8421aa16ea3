"""Sites to be crashed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from crash_workspace import Site, busybox, end_all


@pytest.fixture(scope="session")
def base_tar() -> bytes:
    return busybox()


@pytest.fixture
def site(tmp_path: Path, base_tar: bytes) -> Iterator[Site]:
    """A workspace that has `base.tar`, without a build.yaml."""
    made = Site(tmp_path)
    made.write({"base.tar": base_tar})
    yield made
    end_all(made.mark)
