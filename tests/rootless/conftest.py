"""Workspaces of an ordinary user, with a range of subordinate ids ("full") and with its own id alone ("single")."""

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accounts import give, ordinary_user
from crash_workspace import STUBBORN, Site, end_all
from workspaces import Workspace

OWNED = {"srv/key": (33, 33, 0o600), "srv/tool": (1000, 1001, 0o4755)}  # what the base has of other owners


@pytest.fixture
def owned_tar(base_tar: bytes) -> bytes:
    """The base, with files of other owners."""
    stream = io.BytesIO(base_tar)
    with tarfile.open(fileobj=stream, mode="a") as tar:
        for name, (uid, gid, mode) in OWNED.items():
            member = tarfile.TarInfo(name)
            member.uid, member.gid, member.mode, member.size = uid, gid, mode, 3
            tar.addfile(member, io.BytesIO(b"abc"))
    return stream.getvalue()


@pytest.fixture
def of_user(folder: Path, owned_tar: bytes) -> Callable[[str], Workspace]:
    """Makes the workspace of an ordinary user who has ids of a kind."""

    def make(kind: str) -> Workspace:
        prefix, uid = ordinary_user(folder, kind)
        home = folder / "home"
        home.mkdir()
        os.chown(home, uid, uid)
        made = Workspace(home / "ws", home / "store", prefix=prefix, owner=uid)
        made.write({"base.tar": owned_tar})
        return made

    return make


@pytest.fixture(params=["full", "single"])
def user(request: pytest.FixtureRequest, of_user: Callable[[str], Workspace]) -> Workspace:
    return of_user(request.param)


@pytest.fixture
def full(of_user: Callable[[str], Workspace]) -> Workspace:
    return of_user("full")


@pytest.fixture
def single(of_user: Callable[[str], Workspace]) -> Workspace:
    return of_user("single")


@pytest.fixture
def root(workspaces: Callable[..., Workspace], owned_tar: bytes) -> Workspace:
    """The same workspace for root, at another place, to compare with."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to build the same as root and as an ordinary user")
    made = workspaces("of-root", store="store-of-root")
    made.write({"base.tar": owned_tar})
    return made


@pytest.fixture(params=["full", "single"])
def site(request: pytest.FixtureRequest, folder: Path, owned_tar: bytes) -> Iterator[Site]:
    """A place of an ordinary user where builds are interrupted."""
    prefix, uid = ordinary_user(folder, request.param)
    made = Site(folder / "home", prefix)
    made.write({"base.tar": owned_tar, "build.yaml": STUBBORN.replace("@MARK@", made.mark)})
    give(made.folder, uid)
    yield made
    end_all(made.mark)
