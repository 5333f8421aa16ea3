"""A changed file costs what it matters to, and nothing that it matters to is forgotten.

Walks of random edits over several packages: the next build looks at a part of the graph only, where it can, and must give what a
build on nothing gives. Edits that change what there is to build make it a full one.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from workspaces import Done, Workspace, manifest, settle

WALKS, LENGTH = 4, 14
SERVICES = ("one", "two", "three")

BASE = """\
visibility: public
bases: {none: scratch}
steps:
  runtime: {from: none, copy: {files: runtime, to: /opt}}
"""
SERVICE = """\
steps:
  code: {copy: {files: ["src", "!**/*.skip"], to: /app}}
  conf: {copy: {files: "*.ini", to: /etc}}
outputs:
  image: {from: [//base:runtime, code, conf], image: {compression: none, to: {oci: dist}}}
"""
ALL = """\
steps:
  sources: {copy: {files: ["svc/**/*.py", "base/runtime"], to: /all}}
  docker: {dockerfile: {context: docker}}
outputs:
  image: {from: [sources], image: {compression: none, to: {oci: dist}}}
  built: {from: docker, image: {compression: none, to: {oci: dist2}}}
"""


def written(ws: Workspace) -> Workspace:
    files = {"base/build.yaml": BASE, "base/runtime/lib": "lib", "build.yaml": ALL, "docker/Dockerfile": "FROM scratch\nCOPY . /in\n"}
    files |= {"docker/.dockerignore": "*.log\n", "docker/a": "a", "docker/b.log": "b"}
    for name in SERVICES:
        files |= {
            f"svc/{name}/build.yaml": SERVICE,
            f"svc/{name}/src/main.py": name,
            f"svc/{name}/src/lib/x.py": "x",
            f"svc/{name}/a.ini": "a",
        }
    ws.write(files)
    return ws


def answer(ws: Workspace, **environment: str) -> Done:
    return ws.run("//...", "-k", **environment)


def settled(ws: Workspace) -> None:
    """Build until there is nothing to do: what the first build wrote lies in folders that are sources."""
    settle()
    answer(ws)
    settle()
    answer(ws)
    assert answer(ws).certified


def manifests(root: Path) -> dict[str, str]:
    return {str(path.parent.relative_to(root)): manifest(path.parent) for path in sorted(root.glob("**/dist*/index.json"))}


class Edits:
    """Ways to change a workspace."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.root, self.chance, self.count = root, chance, 0

    def service(self) -> Path:
        return self.root / "svc" / self.chance.choice(SERVICES)

    def text(self) -> str:
        self.count += 1
        return f"text {self.count}"

    def source(self) -> None:
        (self.service() / "src/main.py").write_text(self.text())

    def source_replaced(self) -> None:
        """As editors save: beside, then renamed over."""
        place = self.service() / "src/lib"
        (place / "new").write_text(self.text())
        (place / "new").rename(place / "x.py")

    def several(self) -> None:
        self.source()
        self.runtime()

    def new_file(self) -> None:
        (self.service() / f"src/lib/{self.text()}.py").write_text("new")

    def new_folder(self) -> None:
        place = self.service() / "src" / self.text()
        place.mkdir()
        (place / "y.py").write_text("y")

    def new_skipped(self) -> None:
        (self.service() / f"src/{self.text()}.skip").write_text("s")

    def removed(self) -> None:
        found = sorted(path for path in (self.service() / "src/lib").iterdir() if path.name != "build.yaml")
        if len(found) > 1:
            found[0].unlink()

    def mode(self) -> None:
        path = self.service() / "src/main.py"
        path.chmod(path.stat().st_mode ^ 0o111)

    def new_configuration(self) -> None:
        (self.service() / f"{self.text()}.ini").write_text("new")

    def runtime(self) -> None:
        (self.root / "base/runtime/lib").write_text(self.text())

    def unrelated(self) -> None:
        (self.root / "svc" / self.text()).write_text("nobody's")

    def output_removed(self) -> None:
        shutil.rmtree(self.service() / "dist")

    def output_damaged(self) -> None:
        (self.service() / "dist/index.json").write_text("{}")

    def package(self) -> None:
        place = self.service() / "src" / self.text().replace(" ", "-")
        place.mkdir()
        self.declared(place)

    def package_late(self) -> None:
        """The folder was there before, and what makes it a package comes later."""
        self.declared(self.service() / "src/lib")

    def declared(self, place: Path) -> None:
        """A package, whose output is where nobody's sources are."""
        self.count += 1
        output = f"i: {{from: s, image: {{compression: none, to: {{oci: //out/dist{self.count}}}}}}}"
        (place / "build.yaml").write_text(f"steps: {{s: {{copy: {{files: build.yaml, to: /}}}}}}\noutputs: {{{output}}}\n")

    def spec(self) -> None:
        path = self.service() / "build.yaml"
        path.write_text(path.read_text().replace("to: /app}", f"to: /app{self.count}}}") + f"# {self.text()}\n")

    def ignore(self) -> None:
        (self.service() / ".graphbuildignore").write_text(self.chance.choice(["src/lib\n", "*.none\n", "dist*\n"]))

    def context(self) -> None:
        (self.root / "docker" / self.chance.choice(["a", "b.log"])).write_text(self.text())

    def dockerfile(self) -> None:
        (self.root / "docker/Dockerfile").write_text(f"FROM scratch\nCOPY . /in\nLABEL l='{self.text()}'\n")

    def dockerignore(self) -> None:
        (self.root / "docker/.dockerignore").write_text(self.chance.choice(["*.log\n", "a\n", ""]))

    def link(self) -> None:
        place = self.service() / "src/link"
        place.unlink(missing_ok=True)
        place.symlink_to(self.text())


def edit_names() -> list[str]:
    return [name for name, value in vars(Edits).items() if callable(value) and name not in ("__init__", "service", "text", "declared")]


@pytest.mark.parametrize("seed", range(WALKS))
def test_a_part_of_a_build_is_as_good_as_all_of_it(workspaces: Callable[..., Workspace], seed: int):
    ws = written(workspaces("ws"))
    chance = random.Random(seed)
    edits = Edits(ws.root, chance)
    settled(ws)
    for number, name in enumerate(chance.sample(edit_names() * 2, LENGTH)):
        getattr(edits, name)()
        settle()
        first = answer(ws)
        got = manifests(ws.root)
        again = answer(ws)
        outside = ws.root.parent / f"copy{number}"
        shutil.copytree(ws.root, outside, symlinks=True, ignore=shutil.ignore_patterns("dist*", "out"))
        clean = Workspace(outside, ws.root.parent / f"store{number}")
        answer(clean)
        assert got == manifests(outside), f"{name}: {first}"
        assert got == manifests(ws.root), f"{name}, again: {again}"
        shutil.rmtree(outside)
        shutil.rmtree(clean.store, ignore_errors=True)


def test_a_changed_source_costs_its_own_targets(workspaces: Callable[..., Workspace]):
    ws = written(workspaces("ws"))
    settled(ws)
    (ws.root / "svc/one/src/main.py").write_text("changed")
    settle()
    done = answer(ws, PYTHONPROFILEIMPORTTIME="1")
    assert "graphbuild.spec.package" not in done.err  # no spec was parsed
    assert "5 built, 12 cached" in done.err
    settle()
    answer(ws)  # the output lies in a folder that is searched for sources
    assert answer(ws).certified


@pytest.mark.parametrize("place", ["svc/one/src/new", "svc/one/new", "new"])
def test_a_package_appears_in_a_folder_that_was_new_before(workspaces: Callable[..., Workspace], place: str):
    ws = written(workspaces("ws"))
    settled(ws)
    folder = ws.root / place
    folder.mkdir()
    settle()
    answer(ws)
    settle()
    answer(ws)
    Edits(ws.root, random.Random(0)).declared(folder)
    settle()
    answer(ws)
    assert (ws.root / "out/dist1").exists()
