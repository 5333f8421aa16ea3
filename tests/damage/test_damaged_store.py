"""Whatever is done to a store's files is found and named by `cache verify`, healed by `--repair`, and built again, the same."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from workspaces import BASE, Workspace, manifest, tree_of

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
    ws.run()
    return ws


def rebuilt(ws: Workspace) -> tuple[str, dict[str, int]]:
    """What comes out when every output has to be written again."""
    shutil.rmtree(ws.root / "dist", ignore_errors=True)
    ws.run()
    return manifest(ws.root / "dist/image"), {name: member.size for name, member in tree_of(ws.root / "dist/files.tar").items()}


def healed(ws: Workspace, *names: str) -> None:
    """`verify` names the damage, `--repair` heals it, and the same comes out as before."""
    before = manifest(ws.root / "dist/image"), {name: member.size for name, member in tree_of(ws.root / "dist/files.tar").items()}
    found = ws("cache", "verify")
    assert found.code == 1, found
    for name in names:
        assert name in found.out, found
    assert "run `graphbuild cache verify --repair`" in found.out
    assert ws("cache", "verify").out == found.out  # looking changes nothing
    repaired = ws.ok("cache", "verify", "--repair").out
    assert "dropped; the next build makes them again" in repaired
    assert ws.ok("cache", "verify").out == "the store is intact\n"
    assert rebuilt(ws) == before
    assert ws.ok("cache", "verify").out == "the store is intact\n"


def truncate(path: Path) -> None:
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [truncate, flip, Path.unlink])
@pytest.mark.parametrize("place", ["blobs/sha256", "index"])
def test_every_blob_and_index_is_named(web: Workspace, place: str, harm: Callable[[Path], None]):
    files = sorted((web.store / place).iterdir())
    assert len(files) >= 3
    for path in files:
        harm(path)
    healed(web, *(path.name for path in files))


@pytest.mark.parametrize("harm", [truncate, flip, Path.unlink, lambda path: path.chmod(0o777), lambda path: (path.parent / "new").touch()])
def test_a_changed_layer_is_named_with_the_file(web: Workspace, harm: Callable[[Path], object]):
    (path,) = (web.store / "layers").glob("*/etc/passwd")
    harm(path)
    healed(web, f"folder {path.parts[-3]}: /etc/{'new was added' if path.with_name('new').exists() else 'passwd'}")


def damaged_database(good: bytes) -> dict[str, bytes]:
    return {
        "garbage": os.urandom(9000),
        "text": b"hello" * 1000,
        "half of it": good[: len(good) // 2],
        "its header": good[:100],
        "a hole": good[:4096] + bytes(4096) + good[8192:],
    }


@pytest.mark.parametrize("what", ["garbage", "text", "half of it", "its header", "a hole", "folder"])
def test_a_damaged_database_is_named_and_made_again(web: Workspace, what: str):
    database = web.store / "db.sqlite"
    good = database.read_bytes()
    for path in web.store.glob("db.sqlite*"):
        path.unlink()
    if what == "folder":
        (database / "sub").mkdir(parents=True)
    else:
        database.write_bytes(damaged_database(good)[what])
    shutil.rmtree(web.store / "certificates")
    done = web("run")
    assert done.code == 36, done
    assert "is damaged" in done.err
    assert "run `graphbuild cache verify --repair`" in done.err
    healed(web, "database db.sqlite: ")


def test_an_empty_or_missing_database_is_an_empty_store(web: Workspace):
    before = rebuilt(web)
    for empty in (True, False):
        for path in web.store.glob("db.sqlite*"):
            path.unlink()
        if empty:
            (web.store / "db.sqlite").touch()
        assert rebuilt(web) == before
        assert web.ok("cache", "verify").out == "the store is intact\n"
        assert web.ok("cache", "gc", "--max-size=0").code == 0
        assert [name for name in ("layers", "blobs/sha256", "index") if os.listdir(web.store / name)] == []  # with and without rows
        web.run()


FOLDERS = ["blobs", "caches", "certificates", "exports", "failed", "index", "layers", "leases", "log", "logs", "tmp", "trash"]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_the_store_that_was_deleted_is_made_again(web: Workspace, name: str):
    before = rebuilt(web)
    shutil.rmtree(web.store / name)
    web("cache", "verify", "--repair")
    assert rebuilt(web) == before
    assert web.ok("cache", "verify").out == "the store is intact\n"


@pytest.mark.parametrize(("name", "code"), [("tmp", 2), ("layers", 2), ("VERSION", 2), ("gc.lock", 36)])
def test_something_else_in_the_place_of_a_part_is_named(web: Workspace, name: str, code: int):
    place = web.store / name
    if place.is_dir():
        shutil.rmtree(place)
        place.touch()
    else:
        place.unlink()
        place.mkdir()
    shutil.rmtree(web.store / "certificates")
    said = web.fails("run", code=code)
    assert f"the store {web.store}" in said
    assert name in said or "unknown kind" in said
    assert "hint: " in said


def test_a_store_that_was_deleted_costs_time_and_nothing_else(web: Workspace):
    before = manifest(web.root / "dist/image")
    shutil.rmtree(web.store)
    web.run()
    assert manifest(web.root / "dist/image") == before


def test_an_unchanged_build_looks_at_outputs_and_at_what_gc_took(web: Workspace):
    digest = manifest(web.root / "dist/image")
    for change in (lambda: web.ok("cache", "gc", "--max-size=0"), lambda: shutil.rmtree(web.root / "dist")):
        for _ in range(3):
            certified = web.run().certified
        assert certified
        change()
        assert not web.run().certified
        assert manifest(web.root / "dist/image") == digest
