"""Places that may not be written to: said with the way around, and no obstacle to what does not write there."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from accounts import ordinary_user
from mounts import mounted
from workspaces import BASE, Workspace, manifest

SPEC = (
    BASE
    + """\
steps:
  code: {copy: {files: ["src/**"], to: /app}}
  made: {from: [base, code], run: "seq 1000 > /seq"}
outputs:
  image: {from: made, image: {to: {oci: dist/image, docker: dist/image.tar}}}
  files: {from: made, files: {to: {dir: dist/files, tar: dist/files.tar}}}
"""
)


@pytest.fixture
def web(ws: Workspace) -> Workspace:
    ws.write({"build.yaml": SPEC, "src/a": "a"})
    return ws


@pytest.fixture
def read_only(web: Workspace) -> Iterator[Workspace]:
    with mounted(web.root, "-o", "bind,ro", str(web.root)):
        yield web


def test_a_read_only_workspace_builds_what_writes_elsewhere(read_only: Workspace, folder: Path):
    read_only.run("//:made")
    read_only.run("-o", str(folder / "out"))
    manifest(folder / "out/dist/image")
    assert "up to date" in read_only.ok("lock").out
    read_only.ok("check")
    read_only.ok("plan")
    assert not (read_only.root / "dist").exists()


def test_outputs_in_a_read_only_workspace_are_refused_with_the_way_around(read_only: Workspace):
    said = read_only.fails("run", "-k", code=36)
    for name in ("image", "files", "files.tar"):
        assert f"cannot write {read_only.root}/dist/{name}: Read-only file system" in said
    assert "write somewhere else: -o DIR" in said


@pytest.mark.parametrize("option", ["--events", "--profile"])
def test_other_files_that_cannot_be_written_are_named(read_only: Workspace, option: str):
    assert "'here'" in read_only.fails("run", "//:made", option, "here", code=2)


def test_a_read_only_dist_is_refused_the_same_way(web: Workspace):
    with mounted(web.root / "dist", "-t", "tmpfs", "-o", "ro", "none"):
        said = web.fails("run", "-k", code=36)
    for name in ("image", "files", "files.tar"):
        assert f"cannot write {web.root}/dist/{name}: Read-only file system" in said
    web.run()


def test_a_folder_without_rights_is_refused_the_same_way(workspaces, folder: Path):
    prefix, uid = ordinary_user(folder, "single")
    (folder / "home").mkdir()
    os.chown(folder / "home", uid, uid)
    ws = workspaces("home/ws", store="home/store", prefix=prefix, owner=uid)
    ws.write({"build.yaml": SPEC, "src/a": "a"})
    (folder / "of-root").mkdir(0o700)
    said = ws.fails("run", "-k", "-o", str(folder / "of-root/out"), code=36)
    for name in ("image", "files", "files.tar"):
        assert f"cannot write {folder}/of-root/out/dist/{name}: Permission denied" in said
    ws.run()


@pytest.mark.parametrize("what", ["file", "dangling link"])
def test_a_dist_that_is_no_folder_is_in_the_way(web: Workspace, what: str):
    dist = web.root / "dist"
    dist.write_text("mine") if what == "file" else dist.symlink_to("/nonexistent/x")
    said = web.fails("run", "-k", code=2)
    for name in ("image", "files", "files.tar"):
        assert f"cannot write {web.root}/dist/{name}: File exists" in said
    assert os.path.islink(dist) or dist.read_text() == "mine"


def test_what_others_put_into_dist_stays(web: Workspace):
    web.write({"dist/image/mine": "x", "dist/files/mine": "x", "dist/files.tar/mine": "x", "dist/image.tar/mine": "x"})
    said = web.fails("run", "-k", code=2)
    assert "dist/image: the folder there is something else (mine)" in said
    assert "dist/files holds files that no build wrote" in said
    assert "dist/files.tar: Is a directory" in said
    assert sorted(path.parent.name for path in web.root.glob("dist/*/mine")) == ["files", "files.tar", "image", "image.tar"]


def test_a_dist_that_leads_elsewhere_is_refused(web: Workspace, folder: Path):
    (folder / "elsewhere").mkdir()
    (web.root / "dist").symlink_to(folder / "elsewhere")
    assert "leads out of the workspace through a symlink" in web.fails("run", "-k", code=2)
    assert os.listdir(folder / "elsewhere") == []
