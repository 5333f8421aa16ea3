"""Which changes of files are worth a build."""

import os
from pathlib import Path

import pytest

from graphbuild.build.inputs import Watched, signature
from graphbuild.build.watching import Watching, shown


def seen(*paths: Path) -> Watched:
    found: Watched = {}
    for path in paths:
        sign = signature(path.lstat()) if os.path.lexists(path) else None
        found.setdefault(os.fsencode(path.parent) + b"/", {})[os.fsencode(path.name)] = sign
    return found


@pytest.fixture
def ws(tmp_path: Path) -> Path:
    for name in ("src/a", "dist/web/index", ".git/HEAD", "store/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


@pytest.fixture
def watching(ws: Path) -> Watching:
    made = Watching(os.fsencode(ws), os.fsencode(ws / "store"))
    made.learn(seen(ws / "src", ws / "src/a", ws / "src/b", ws / "dist"), [os.fsencode(ws / "dist/web")], everything=True)
    return made


def matters(watching: Watching, path: Path) -> bool:
    return watching.matters(os.fsencode(path))


def test_only_what_is_not_what_it_was(ws: Path, watching: Watching):
    assert not matters(watching, ws / "src/a")
    assert not matters(watching, ws / "src/b")
    (ws / "src/a").write_text("longer")
    (ws / "src/b").touch()
    assert matters(watching, ws / "src/a")
    assert matters(watching, ws / "src/b")
    assert watching.stale() == [os.fsencode(ws / "src/a"), os.fsencode(ws / "src/b")]
    watching.learn(seen(ws / "src/a", ws / "src/b"), [], everything=False)
    assert watching.stale() == []
    (ws / "src/a").unlink()
    assert matters(watching, ws / "src/a")


def test_what_appeared_before_anybody_could_tell(ws: Path, watching: Watching):
    (ws / "src/new").touch()
    (ws / "dist/mine").touch()
    assert watching.stale() == [os.fsencode(ws / "src/new")]


def test_what_was_noticed_is_a_change_only_once(ws: Path, watching: Watching):
    (ws / "src/a").unlink()
    (ws / "src/new").touch()
    both = [os.fsencode(ws / "src/a"), os.fsencode(ws / "src/new")]
    assert watching.stale() == both
    watching.notice(both)
    assert watching.stale() == []
    (ws / "src/new").write_text("more")
    assert matters(watching, ws / "src/new")


def test_what_is_elsewhere_does_not_matter(watching: Watching):
    assert not matters(watching, Path("/etc/passwd"))


def test_what_is_new_may_be_anything(ws: Path, watching: Watching):
    assert not matters(watching, ws / "src/new")
    (ws / "src/new").mkdir()
    assert matters(watching, ws / "src/new")


@pytest.mark.parametrize("name", ["src/a~", "src/.a.swp", "src/.#a", "src/#a#", "src/4913", ".git/index.lock", "store/y"])
def test_what_is_left_aside(ws: Path, watching: Watching, name: str):
    (ws / name).write_text("x")
    assert not matters(watching, ws / name)


def test_what_a_build_writes_is_no_change(ws: Path, watching: Watching):
    for name in ("dist/web", "dist/web/index", "dist/web/blobs", "dist"):
        assert not matters(watching, ws / name), name
    (ws / "dist/web/new").touch()
    assert not matters(watching, ws / "dist/web/new")
    (ws / "dist/mine").touch()
    assert matters(watching, ws / "dist/mine")


def test_the_folders_to_watch(ws: Path, watching: Watching):
    names = {os.path.relpath(os.fsdecode(folder), ws) for folder in watching.folders}
    assert names == {".", "src"}
    watching.learn(seen(ws / ".git/HEAD"), [], everything=False)
    assert os.fsencode(ws / ".git") in watching.folders
    (ws / ".git/HEAD").write_text("other")
    assert matters(watching, ws / ".git/HEAD")


def test_paths_for_people():
    assert shown([b"/ws/b", b"/ws/a", b"/ws/c"], b"/ws") == "a and 2 more"
    assert shown([b"/ws/a"], b"/ws") == "a"
    assert shown([], b"/ws") == ""
