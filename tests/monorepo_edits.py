"""Random edits of a small monorepo, each with the targets that it may affect, and the judge of what `affected` and `diff` say of them.

The judge is a build: the digest of every image that it writes, before an edit and after it.
"""

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from workspaces import Workspace, manifest, settle

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import monorepo

OUTPUT = "compression: none, to: {oci: dist}, "
TARGETS = ("code", "conf", "image")
TESTS = "tests:\n  shape: {from: image, check: {files: [{path: /etc/service, type: directory}]}}\n"

Reach = set[str]  # labels


def git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "gc.auto=0", *words]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def committed(ws: Workspace) -> Workspace:
    git(ws.root, "add", "-A")
    git(ws.root, "commit", "-q", "--allow-empty", "-m", "state")
    return ws


def written(ws: Workspace, packages: int, files: int) -> Workspace:
    """The generated monorepo in a workspace's folder, in git; half of the services extend a template, and all have a test."""
    (ws.root / "graphbuild.yaml").unlink()
    ws.root.rmdir()
    monorepo.write(ws.root, packages, packages * files, extends=2, output=OUTPUT)
    for path in (ws.root / "templates/service.yaml", *ws.root.glob("svc/*/*/build.yaml")):
        if "extends:" not in (text := path.read_text()):
            path.write_text(TESTS + text)
    git(ws.root, "init", "-q")
    return committed(ws)


class Service(NamedTuple):
    """A package below svc, as it is now."""

    folder: Path
    label: str

    @property
    def spec(self) -> Path:
        return self.folder / "build.yaml"

    @property
    def inherits(self) -> bool:
        return "extends:" in self.spec.read_text()

    @property
    def base(self) -> str:
        return next(
            base for base in monorepo.BASES if f"//bases:{base}" in self.spec.read_text() or f"base: {base}" in self.spec.read_text()
        )

    def __call__(self, *names: str) -> Reach:
        return {f"{self.label}:{name}" for name in names or TARGETS}


class Edits:
    """Ways to change the monorepo. Each returns the labels of the targets that read, directly or not, what it changed."""

    def __init__(self, root: Path, chance: random.Random) -> None:
        self.root, self.chance, self.count = root, chance, 0

    def services(self) -> list[Service]:
        found = sorted(self.root.glob("svc/*/*/build.yaml"))
        return [Service(path.parent, f"//{path.parent.relative_to(self.root)}") for path in found]

    def service(self, *, inherits: bool | None = None) -> Service:
        return self.chance.choice([one for one in self.services() if inherits in (None, one.inherits)])

    def heirs(self, *names: str) -> Reach:
        return {label for one in self.services() if one.inherits for label in one(*names)}

    def number(self) -> int:
        self.count += 1
        return self.count

    def text(self) -> str:
        return f"text {self.number()}\n"

    def source(self, service: Service) -> Path:
        return self.chance.choice([path for path in sorted(service.folder.glob("src/*/*.py")) if path.is_file() and not path.is_symlink()])

    def replaced(self, path: Path, old: str, new: str) -> bool:
        text = path.read_text()
        path.write_text(text.replace(old, new, 1))
        return old in text

    # Files.

    def content(self) -> Reach:
        service = self.service()
        self.source(service).write_text(self.text())
        return service("code", "image")

    def configuration(self) -> Reach:
        service = self.service()
        (service.folder / "conf.ini").write_text(self.text())
        return service("conf", "image")

    def runtime(self) -> Reach:
        base = self.chance.choice(monorepo.BASES)
        (self.root / "bases" / base / "runtime").write_text(self.text())
        return {f"//bases:{base}", *(label for one in self.services() if one.base == base for label in one("image"))}

    def mode(self) -> Reach:
        service = self.service()
        path = self.source(service)
        path.chmod(path.stat().st_mode ^ 0o111)
        return service("code", "image")

    def mode_of_the_group(self) -> Reach:
        path = self.source(self.service())
        path.chmod(path.stat().st_mode ^ 0o020)
        return set()

    def touched(self) -> Reach:
        self.source(self.service()).touch()
        return set()

    def deleted(self) -> Reach:
        service = self.service()
        self.source(service).unlink()
        (service.folder / "src/part0" / f"left_{self.number()}.py").write_text("left")  # never the last of its folder
        return service("code", "image")

    def added(self) -> Reach:
        service = self.service()
        (service.folder / "src/part1" / f"added_{self.number()}.py").write_text(self.text())
        return service("code", "image")

    def added_folder(self) -> Reach:
        service = self.service()
        place = service.folder / "src" / f"part_{self.number()}"
        place.mkdir()
        (place / "module.py").write_text(self.text())
        return service("code", "image")

    def renamed(self) -> Reach:
        service = self.service()
        path = self.source(service)
        path.rename(path.with_name(f"renamed_{self.number()}.py"))
        return service("code", "image")

    def moved_to_another_service(self) -> Reach:
        one, other = self.service(), self.service()
        path = self.source(one)
        path.rename(other.folder / "src/part0" / f"moved_{self.number()}.py")
        (one.folder / "src/part0" / f"left_{self.number()}.py").write_text("left")
        return one("code", "image") | other("code", "image")

    def linked(self) -> Reach:
        service = self.service()
        (service.folder / "src/part0" / f"link_{self.number()}").symlink_to("module_000.py")
        return service("code", "image")

    def link_retargeted(self) -> Reach:
        service = self.service()
        link = service.folder / "src/part1/link"
        link.unlink(missing_ok=True)
        link.symlink_to(f"nowhere-{self.number()}")
        return service("code", "image")

    def file_to_link(self) -> Reach:
        service = self.service()
        path = self.source(service)
        path.unlink()
        path.symlink_to("../../conf.ini")
        return service("code", "image")

    def file_to_folder(self) -> Reach:
        service = self.service()
        path = self.source(service)
        path.unlink()
        path.mkdir()
        (path / "module.py").write_text(self.text())
        return service("code", "image")

    def folder_to_link(self) -> Reach:
        """The folder goes elsewhere, where it is read, too, and a link to it takes its place."""
        service = self.service()
        place = service.folder / "src/part1"
        if place.is_symlink():
            place.unlink()
            (service.folder / "src/moved").rename(place)
        else:
            place.rename(service.folder / "src/moved")
            place.symlink_to("moved")
        return service("code", "image")

    def odd_name(self) -> Reach:
        service = self.service()
        name = self.chance.choice([b"\xff", b"line\nbreak", b"'quote\"", "é".encode(), b" blank ", b"-x", b"[a]*"])
        Path(os.fsdecode(os.fsencode(service.folder) + b"/src/part0/" + name)).write_text(self.text())
        return service("code", "image")

    def ignored_in_a_folder(self) -> Reach:
        """It is read at the package and at the root alone: here it is a source."""
        service = self.service()
        (service.folder / "src/part0/.graphbuildignore").write_text(f"*.py\n# {self.number()}\n")
        return service("code", "image")

    def package_in_a_source(self) -> Reach:
        """A folder that is copied becomes a package: its build.yaml is copied, too."""
        service = self.service()
        place = service.folder / "src/part0" / f"inner-{self.number()}"
        place.mkdir()
        (place / "build.yaml").write_text("steps: {own: {copy: {files: build.yaml, to: /}}}\n")
        return {*service("code", "image"), f"//{place.relative_to(self.root)}:own"}

    def unread(self) -> Reach:
        (self.service().folder / f"README-{self.number()}.md").write_text("nobody reads it")
        return set()

    def ignored(self) -> Reach:
        """What is ignored here may be ignored already, or be nothing."""
        service = self.service()
        (service.folder / ".graphbuildignore").write_text(self.chance.choice(["src/part0/module_000.py\n", "part_*/\n", "*.none\n", ""]))
        return service("code", "image")

    def ignored_everywhere(self) -> Reach:
        (self.root / ".graphbuildignore").write_text(self.chance.choice(["added_*\n", "*.none\n", "svc/**/link_*\n"]))
        return {label for one in self.services() for label in one("code", "image")}

    def ignored_by_git(self) -> Reach:
        """A file that git tracks stays what it is."""
        with (self.root / ".gitignore").open("a") as file:
            file.write(f"/{self.source(self.service()).relative_to(self.root)}\n")
        return set()

    # Specs.

    def comment(self) -> Reach:
        path = self.chance.choice([self.service().spec, self.root / "bases/build.yaml", self.root / "templates/service.yaml"])
        path.write_text(f"# {self.text()}{path.read_text()}")
        return set()

    def respelled(self) -> Reach:
        """The same, in other words."""
        service = self.service(inherits=False)
        self.replaced(service.spec, "files: src,", 'files: ["src"],') or self.replaced(service.spec, 'files: ["src"],', "files: src,")
        return service("code", "image")  # a list of one pattern is a list of one pattern

    def target_renamed(self) -> Reach:
        service = self.service(inherits=False)
        old = "conf" if "  conf:" in service.spec.read_text() else "settings"
        new = "settings" if old == "conf" else "conf"
        service.spec.write_text(service.spec.read_text().replace(f"  {old}:", f"  {new}:").replace(f"code, {old}]", f"code, {new}]"))
        return service(new, "image")

    def config(self) -> Reach:
        service = self.service(inherits=False)
        self.replaced(service.spec, "cmd: [/opt/runtime,", f"cmd: [/opt/runtime, c{self.number()},")
        return service("image")

    def destination(self) -> Reach:
        service = self.service(inherits=False)
        self.replaced(service.spec, "to: /etc", f"to: /etc/d{self.number()}")
        return service("conf", "settings", "image")

    def tags(self) -> Reach:
        service = self.service(inherits=False)
        self.replaced(service.spec, OUTPUT, f"{OUTPUT}tags: ['t:{self.number()}'], ") if "tags:" not in service.spec.read_text() else None
        return set()

    def test(self) -> Reach:
        service = self.service(inherits=False)
        self.replaced(service.spec, "check: {files: [", f"check: {{files: [{{path: /none{self.number()}, exists: false}}, ")
        return service("shape")

    def base(self) -> Reach:
        service = self.service()
        text, new = service.spec.read_text(), self.chance.choice(monorepo.BASES)
        service.spec.write_text(text.replace(f"//bases:{service.base}", f"//bases:{new}").replace(f"base: {service.base}", f"base: {new}"))
        return service("image")

    def visibility(self) -> Reach:
        path = self.root / "bases/build.yaml"
        said = self.chance.choice(["public", "//svc/...", "[//svc/..., //bases]"])
        path.write_text(f"visibility: {said}\n{''.join(line for line in path.open() if not line.startswith('visibility:'))}")
        return set()

    def platforms(self) -> Reach:
        service = self.service(inherits=False)
        said = "    platforms: [linux/amd64, linux/arm64]\n"
        self.replaced(service.spec, said, "") or service.spec.write_text(service.spec.read_text() + said)
        return service("image")

    def select(self) -> Reach:
        service = self.service(inherits=False)
        self.replaced(service.spec, "labels: {", f"labels: {{l{self.number()}: {{select: {{platform.arch=arm64: arm, default: other}}}}, ")
        return service("image")

    def package_added(self) -> Reach:
        service = self.service()
        place = service.folder.with_name(f"service-new-{self.number()}")
        (place / "src/part0").mkdir(parents=True)
        (place / "src/part1").mkdir(parents=True)
        for name in ("src/part0/module_000.py", "src/part1/module_000.py", "conf.ini"):
            (place / name).write_text(self.text())
        base = self.chance.choice(monorepo.BASES)
        (place / "build.yaml").write_text(self.chance.choice([monorepo.inherited(base), monorepo.declared(base, place.name, OUTPUT)]))
        return Service(place, f"//{place.relative_to(self.root)}")()

    def package_removed(self) -> Reach:
        self.service().spec.unlink()
        return set()

    def package_renamed(self) -> Reach:
        service = self.service()
        place = service.folder.with_name(f"service-renamed-{self.number()}")
        service.folder.rename(place)
        return Service(place, f"//{place.relative_to(self.root)}")()

    def template(self) -> Reach:
        self.replaced(self.root / "templates/service.yaml", "labels: {", f"labels: {{l{self.number()}: t, ")
        return self.heirs("image")

    def template_variable(self) -> Reach:
        self.replaced(self.root / "templates/service.yaml", 'port: "80', f'port: "{self.number()}80')
        return self.heirs("image")

    def variable_of_a_package(self) -> Reach:
        service = self.service(inherits=True)
        self.replaced(service.spec, "vars: {", f"vars: {{v{self.number()}: x, ")
        return set()

    def variable_overridden(self) -> Reach:
        service = self.service(inherits=True)
        text = service.spec.read_text()
        service.spec.write_text(text.replace("vars: {", "vars: {port: '1', ") if "port:" not in text else text.replace("port: '1', ", ""))
        return service("image")

    def target_overridden(self) -> Reach:
        service = self.service(inherits=True)
        self.replaced(service.spec, "outputs:", "# outputs:") or service.spec.write_text(
            service.spec.read_text().partition("# outputs:")[0] + f"outputs: {{image: {{image: {{config: {{user: u{self.number()}}}}}}}}}\n"
        )
        return service("image")

    def stage(self) -> Reach:
        path = self.root / "graphbuild.yaml"
        self.replaced(path, "stage: prod", "stage: test") or self.replaced(path, "stage: test", "stage: prod")
        return self.heirs("code", "image")

    def variable_unread(self) -> Reach:
        self.replaced(self.root / "graphbuild.yaml", "vars: {", f"vars: {{v{self.number()}: x, ")
        return set()

    def jobs(self) -> Reach:
        self.replaced(self.root / "graphbuild.yaml", "jobs: ", f"jobs: {self.number() % 9 + 1}")
        return set()

    def compression(self) -> Reach:
        """All images say their own."""
        path = self.root / "graphbuild.yaml"
        self.replaced(path, "compression: zstd\n", "") or self.replaced(path, "jobs:", "compression: zstd\njobs:")
        return set()

    def epoch(self) -> Reach:
        """The time of every file in every layer."""
        path = self.root / "graphbuild.yaml"
        said = "".join(line for line in path.open() if not line.startswith("source_date_epoch"))
        path.write_text(f"{said}source_date_epoch: {self.number()}\n")
        return {
            *(f"//bases:{base}" for base in ("none", *monorepo.BASES)),
            *(label for one in self.services() for label in one(*TARGETS, "settings")),
        }


EDITS: tuple[str, ...] = tuple(
    name
    for name, value in vars(Edits).items()
    if callable(value) and not name.startswith("_") and name not in ("services", "service", "heirs", "number", "text", "source", "replaced")
)


class Judged(NamedTuple):
    """An edit, and what is wrong with what was said of it: "" where nothing is. `named` and `different` count targets and images."""

    edit: str
    wrong: str
    named: int
    different: int


def images(root: Path) -> dict[str, str]:
    """The digest of each image that a build wrote, by label."""
    return {
        f"//{path.parents[1].relative_to(root)}:image": manifest(path.parent)
        for path in sorted(root.glob("svc/*/*/dist/index.json"))
        if (path.parents[1] / "build.yaml").exists()
    }


def walk(ws: Workspace, edits: Edits, names: list[str]) -> Iterator[Judged]:
    """Make the edits one after the other, and judge each alone."""
    ws.run("//...")
    before = images(ws.root)
    for name in names:
        reach = getattr(edits, name)()
        settle()
        said = json.loads(ws.ok("affected", "--since", "HEAD", "--json").out)
        compared = json.loads(ws.ok("diff", "HEAD", "--format", "json", "--progress=quiet").out)
        ws.run("//...")
        after = images(ws.root)
        yield Judged(name, *_judged(before, after, said, compared, reach))
        before = after
        committed(ws)


def _judged(before: dict[str, str], after: dict[str, str], said: dict, compared: dict, reach: Reach) -> tuple[str, int, int]:
    different = {label for label in before.keys() & after.keys() if before[label] != after[label]}
    new, gone = after.keys() - before.keys(), before.keys() - after.keys()
    named = set(map(_whole, said["affected"]))
    reach |= {label.replace(":image", ":shape") for label in reach}  # a test stands on the image
    changed = {_whole(label) for part in ("changed", "added", "removed") for label in compared[part]}
    checks: dict[str, set[str]] = {
        "affected misses": (different | new) - named,
        "affected names too many": named - reach,
        "gone is not named": gone - set(said["gone"]),
        "named as gone": {label for label in said["gone"] if label.endswith(":image")} - gone,
        "diff misses": (different | new | gone) - changed,
        "diff names too many": changed - different - new - gone,
    }
    wrong = "; ".join(f"{what} {', '.join(sorted(labels)[:4])} ({len(labels)})" for what, labels in checks.items() if labels)
    return wrong + (f"; {said['why']}" if said["why"] else ""), len(named), len(different)


def _whole(label: str) -> str:
    """The target that a part, for a platform, is of."""
    return label.partition("[")[0]
