"""`graphbuild affected`: what changed between two git states, by content: none is missed, and none is named whose inputs are the same.

The judge is a build: after an edit, a target whose image comes out differently must be named; a target that is named must read, or stand
on something that reads, what was edited.
"""

import random
from collections.abc import Callable

import monorepo_edits
import pytest
from monorepo_edits import committed, git
from test_build_parts import Edits, edit_names, manifests, written
from workspaces import Workspace

SEEDS, EDITS = 3, 8
PACKAGES, FILES, WALKS = 6, 5, 4  # 60 packages and 200 edits: benchmarks/affected.py

IMAGES = {"dist": "//:image", "dist2": "//:built", **{f"svc/{name}/dist": f"//svc/{name}:image" for name in ("one", "two", "three")}}


def repository(ws: Workspace) -> Workspace:
    ws.write({".gitignore": "dist*\nout\n"})
    git(ws.root, "init", "-q")
    return committed(ws)


def named(ws: Workspace, *words: str) -> set[str]:
    return set(ws.ok("affected", "--since", "HEAD", *words).out.split())


@pytest.mark.parametrize("seed", range(SEEDS))
def test_what_comes_out_differently_is_named(workspaces: Callable[..., Workspace], seed: int):
    ws = repository(written(workspaces("ws")))
    chance = random.Random(seed)
    edits = Edits(ws.root, chance)
    ws.run("//...", "-k")
    before = manifests(ws.root)
    names = [name for name in edit_names() if not name.startswith(("output", "package"))]
    for name in chance.sample(names, EDITS):
        getattr(edits, name)()
        said = named(ws)
        ws.run("//...", "-k")
        after = manifests(ws.root)
        different = {label for folder, label in IMAGES.items() if before.get(folder) != after.get(folder)}
        assert different <= said, name
        assert said - {":code"} <= reach(name, git(ws.root, "status", "--porcelain", "-z")), name
        committed(ws)
        before = after


def reach(edit: str, status: str) -> set[str]:
    """The targets that read what was edited, or stand on what does."""
    found: set[str] = set()
    for path in [line[3:] for line in status.split("\0") if line]:
        if path.startswith("svc/"):
            service = path.split("/")[1]
            if service in ("one", "two", "three"):
                found |= {f"//svc/{service}:{name}" for name in ("code", "conf", "image")}
            found |= {"//:sources", "//:image"}
        elif path.startswith("base/"):
            found |= {"//base:runtime", "//:sources", "//:image", *(f"//svc/{name}:image" for name in ("one", "two", "three"))}
        elif path.startswith("docker/"):
            found |= {"//:docker", "//:built"}
        else:
            raise AssertionError(f"{edit} changed {path}")
    return found


@pytest.mark.parametrize("walk", range(WALKS))
def test_exactly_what_an_edit_of_a_monorepo_changes_is_named(workspaces: Callable[..., Workspace], walk: int):
    ws = workspaces("ws")
    (ws.root / "base.tar").unlink()
    monorepo_edits.written(ws, PACKAGES, FILES)
    chance = random.Random(walk)
    names = random.Random(0).sample(monorepo_edits.EDITS, len(monorepo_edits.EDITS))[walk::WALKS]  # all walks together make all edits
    judged = list(monorepo_edits.walk(ws, monorepo_edits.Edits(ws.root, chance), names))
    assert [(one.edit, one.wrong) for one in judged if one.wrong] == []
    assert sum(one.different for one in judged)


def test_settings_of_the_workspace_that_are_in_digests(workspaces: Callable[..., Workspace]):
    ws = repository(written(workspaces("ws")))
    for said, affected in (("source_date_epoch: 1", True), ("compression: zstd", False), ("jobs: 3", False)):
        (ws.root / "graphbuild.yaml").write_text(f"{said}\n")
        assert (set(IMAGES.values()) <= named(ws)) is affected, said  # the images there say their own compression
    ws.write({"build.yaml": "bases: {none: scratch}\noutputs: {it: {from: none, image: {to: {oci: dist}}}}\n", "graphbuild.yaml": ""})
    committed(ws)
    (ws.root / "graphbuild.yaml").write_text("compression: zstd\n")
    assert named(ws) == {"//:it"}


def test_an_index_is_named_and_not_its_parts(workspaces: Callable[..., Workspace]):
    ws = workspaces("ws")
    spec = "bases: {none: scratch}\noutputs: {it: {from: none, image: {}, platforms: [linux/amd64, linux/arm64]}}\n"
    ws.write({"build.yaml": spec})
    repository(ws)
    ws.write({"build.yaml": spec.replace("image: {}", "image: {tags: [t], to: {oci: dist}}")})
    assert named(ws) == set()
    ws.write({"build.yaml": spec.replace("image: {}", "image: {config: {user: '1'}}")})
    assert named(ws) == {"//:it"}
    ws.write({"build.yaml": spec.replace(", linux/arm64", "")})
    assert named(ws) == {"//:it"}


def test_nothing_changed_nothing_is_affected(workspaces: Callable[..., Workspace]):
    ws = repository(written(workspaces("ws")))
    assert named(ws) == set()
    (ws.root / "svc/one/build.yaml").write_text((ws.root / "svc/one/build.yaml").read_text() + "# a comment\n")
    (ws.root / "svc/one/unread.txt").write_text("nobody reads it")
    (ws.root / "svc/one/src/main.py").touch()
    assert named(ws) == set()


def test_a_source_affects_what_reads_it_and_what_stands_on_that(workspaces: Callable[..., Workspace]):
    ws = repository(written(workspaces("ws")))
    (ws.root / "svc/one/src/main.py").write_text("changed")
    assert named(ws) == {"//svc/one:code", "//svc/one:image", "//:sources", "//:image"}
    assert named(ws, "--outputs") == {"//svc/one:image", "//:image"}
    assert named(ws, "//svc/...") == {"//svc/one:code", "//svc/one:image"}


def test_only_the_affected_are_built(workspaces: Callable[..., Workspace]):
    ws = repository(written(workspaces("ws")))
    (ws.root / "svc/two/src/main.py").write_text("changed")
    done = ws.run("//svc/...", "--affected-since", "HEAD")
    assert "//svc/two:image" in done.err
    assert "//svc/one:image" not in done.err
    committed(ws)
    assert "built" not in ws.run("//svc/...", "--affected-since", "HEAD").err.replace("0 built", "")


def test_what_is_new_and_what_is_gone(workspaces: Callable[..., Workspace]):
    ws = repository(written(workspaces("ws")))
    (ws.root / "svc/four").mkdir()
    (ws.root / "svc/four/build.yaml").write_text((ws.root / "svc/one/build.yaml").read_text())
    (ws.root / "svc/four/src").mkdir()
    (ws.root / "svc/four/src/a.txt").write_text("a")
    (ws.root / "svc/four/a.ini").write_text("a")
    for path in sorted((ws.root / "svc/three").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    said = ws.ok("affected", "--since", "HEAD", "--json").out
    assert '"//svc/four:image"' in said
    assert '"gone": ["//svc/three:code", "//svc/three:conf", "//svc/three:image"]' in said


def test_links_that_lead_in_a_circle_hold_nothing(workspaces: Callable[..., Workspace]):
    ws = written(workspaces("ws"))
    (ws.root / "a.yaml").symlink_to("b.yaml")
    (ws.root / "b.yaml").symlink_to("a.yaml")
    (ws.root / "circle").mkdir()
    (ws.root / "circle/build.yaml").write_text("extends: //a.yaml\nbases: {b: scratch}\n")
    repository(ws)
    (ws.root / "a.yaml").unlink()
    (ws.root / "a.yaml").write_text("vars: {}\n")
    done = ws.ok("affected", "--since", "HEAD")
    assert "//circle:b" in done.out
    assert "no file 'a.yaml' to extend" in done.err


def test_mistakes(workspaces: Callable[..., Workspace]):
    ws = written(workspaces("ws"))
    assert "git" in ws.fails("affected", "--since", "HEAD", code=2)
    repository(ws)
    assert "git knows no commit nowhere" in ws.fails("affected", "--since", "nowhere", code=2)
    assert "is no revision" in ws.fails("affected", "--since=--upload-pack=x", code=2)
    (ws.root / "build.yaml").write_text("steps: {")
    assert "build.yaml:1" in ws.fails("affected", "--since", "HEAD", code=2)


def test_a_broken_past_affects_everything(workspaces: Callable[..., Workspace]):
    ws = written(workspaces("ws"))
    good = (ws.root / "build.yaml").read_text()
    (ws.root / "build.yaml").write_text("steps: {")
    repository(ws)
    (ws.root / "build.yaml").write_text(good)
    done = ws.ok("affected", "--since", "HEAD", "--outputs")
    assert "everything counts as affected" in done.err
    assert set(done.out.split()) == set(IMAGES.values())
