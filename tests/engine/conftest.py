"""A store with an image in it, and containers of it driven by the command line."""

import io
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accounts import UID, user_prefix
from container_engine import Engine, diff_id, document, end

_EXTRA = "tty ps hostname timeout tar sync stty uname nc mknod mkfifo setsid"


@pytest.fixture(scope="session")
def busybox_tar(base_tar: bytes) -> bytes:
    """The base with some more applets."""
    import tarfile

    stream = io.BytesIO(base_tar)
    with tarfile.open(fileobj=stream, mode="a") as tar:
        for name in _EXTRA.split():
            member = tarfile.TarInfo(f"usr/bin/{name}")
            member.type, member.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(member)
    return stream.getvalue()


@pytest.fixture
def place() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="graphbuild-containers-", dir="/var/tmp"))
    made.chmod(0o755)
    yield made
    subprocess.run(["rm", "-rf", str(made)], check=False)


@pytest.fixture
def make_engine(place: Path, busybox_tar: bytes) -> Iterator[Callable[[str], Engine]]:
    """An engine for root, or for an ordinary user with ids ("full") or without ("single")."""
    made: list[Engine] = []

    def make(kind: str) -> Engine:
        if kind == "root" and os.geteuid():
            pytest.skip("needs root")
        prefix: tuple[str, ...] = ()
        folder = place / kind
        folder.mkdir()
        if kind != "root":
            prefix = user_prefix(place, kind)
            os.chown(folder, UID, UID)
        engine = Engine(folder, prefix)
        engine.take("base", document(diff_id(busybox_tar)), busybox_tar)
        made.append(engine)
        return engine

    yield make
    for engine in made:
        end(engine)


@pytest.fixture
def engine(make_engine: Callable[[str], Engine]) -> Engine:
    return make_engine("root")


@pytest.fixture(params=["root", "full", "single"])
def anyone(request: pytest.FixtureRequest, make_engine: Callable[[str], Engine]) -> Engine:
    return make_engine(request.param)
