"""A disk that fills up at any point of a build: said with the fix, exit code 36; with room again, all is well."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounts import small_disk
from workspaces import BASE, Workspace, manifest, spec_of, tar_of

SPEC = (
    BASE
    + """\
steps:
  code: {copy: {files: ["src/**"], to: /app}}
  made: {from: [base, code], run: "seq 100000 > /seq"}
outputs:
  image: {from: made, image: {to: {oci: dist/image, docker: dist/image.tar}}}
  files: {from: made, files: {to: {dir: dist/files}}}
"""
)
MB = 1 << 20


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    with small_disk(folder / "disk", "24m") as place:
        yield place


@pytest.fixture
def full(workspaces, disk: Path) -> Workspace:
    """A workspace whose store is on the small disk."""
    ws = workspaces(store="disk/store")
    ws.write({"build.yaml": SPEC, "src/a": os.urandom(300_000), "src/b": os.urandom(300_000)})
    return ws


def room(disk: Path) -> int:
    """Bytes that are free."""
    about = os.statvfs(disk)
    return about.f_bavail * about.f_frsize


def fill(disk: Path, free: int) -> Path:
    """Leave so many bytes free; the file that takes the others."""
    with (disk / "fill").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, room(disk) - free)
    return disk / "fill"


def recovers(ws: Workspace) -> None:
    """With room again everything is as if nothing had been."""
    ws.run()
    assert ws.ok("cache", "verify").out == "the store is intact\n"
    assert os.listdir(ws.store / "tmp") == os.listdir(ws.store / "trash") == os.listdir(ws.store / "leases") == []


# In KiB: not even a store; a database and no more; an import, a copy, a step, an export that does not fit.
@pytest.mark.parametrize("free", [0, 16, 64, 200, 700, 1500, 2700, 3000, 4000, 6000, 8000, 9500])
def test_a_full_disk_is_told_at_any_point(full: Workspace, disk: Path, free: int):
    filler = fill(disk, free << 10)
    said = full.fails("run", "--progress=quiet", code=36)
    assert f"no space left for the store {full.store}" in said
    assert "free space there, run `graphbuild cache gc`, or use another disk: --store" in said
    assert "cannot read" not in said
    filler.unlink()
    assert full("cache", "verify").code == 0
    recovers(full)
    digest = manifest(full.root / "dist/image")
    full.ok("run", "--no-cache", "--progress=quiet")
    assert manifest(full.root / "dist/image") == digest


@pytest.mark.parametrize("command", ["cat /dev/zero > /zero", "dd if=/dev/zero of=/zero bs=1M"])
def test_a_step_that_fills_the_disk(full: Workspace, disk: Path, command: str):
    filler = fill(disk, 10 * MB)
    full.write({"build.yaml": BASE + spec_of(steps={"x": {"from": "base", "run": command}})})
    said = full.fails("run", ":x", code=36)
    assert f"no space left for the store {full.store}" in said
    assert room(disk) > 5 * MB  # what the step wrote is gone
    filler.unlink()
    assert full("cache", "verify").code == 0
    full.write({"build.yaml": SPEC})
    recovers(full)


def test_a_log_that_fills_the_disk(full: Workspace, disk: Path):
    filler = fill(disk, 6 * MB)
    full.write({"build.yaml": BASE + spec_of(steps={"x": {"from": "base", "run": "yes 0123456789 | head -c 9000000"}})})
    assert f"no space left for the store {full.store}" in full.fails("run", ":x", code=36)
    filler.unlink()
    full.run(":x")


@pytest.mark.parametrize("spec", ["steps: {x: {copy: big}}", "bases: {x: {tar: big.tar}}"])
def test_what_is_larger_than_the_disk(full: Workspace, spec: str):
    big = os.urandom(30 * MB)
    full.write({"build.yaml": spec + "\n", "big": big, "big.tar": tar_of({"big": big})})
    assert f"no space left for the store {full.store}" in full.fails("run", ":x", code=36)
    full.write({"build.yaml": SPEC})
    recovers(full)


@pytest.mark.parametrize(("output", "path"), [(":image", "image"), (":files", "files"), (":tree", "tree.tar")])
def test_outputs_on_a_full_disk(workspaces, disk: Path, output: str, path: str):
    ws = workspaces()
    ws.write({"build.yaml": SPEC + "  tree: {from: made, files: {to: {tar: dist/tree.tar}}}\n", "src/a": os.urandom(30 * MB)})
    said = ws.fails("run", output, "-o", str(disk / "out"), code=36)
    assert f"no space left to write {disk}/out/dist/{path}" in said
    assert os.listdir(disk / "out/dist") == []
    ws.run(output)
    assert (ws.root / "dist" / path).exists()
