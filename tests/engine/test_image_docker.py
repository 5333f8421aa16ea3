"""What Docker's engines say of the same tars and archives: the same trees, configs, histories and ids, both ways."""

import contextlib
import io
import json
import tarfile
import unittest
from collections.abc import Callable, Iterator
from pathlib import Path

import flatten
import msgspec
import pytest
from flatten import Node, Tree
from peers import Engine, docker_engine, modern_docker_engine, peer_cache
from tarballs import TARBALLS
from workspaces import Workspace

CHANGES = (
    'CMD ["/bin/tool", "x"]',
    "ENV A=1 B=$A",
    "EXPOSE 80",
    "LABEL a=b",
    "USER bob",
    "VOLUME /data",
    "WORKDIR /srv",
)
ENGINES = {"20.10": docker_engine, "28": lambda: modern_docker_engine(peer_cache())}
# What a container has of its engine, and of its WORKDIR.
_OF_CONTAINERS = ("/.dockerenv", "/dev", "/proc", "/sys", "/srv", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf")
# What the engines do not take, or take and cannot give back; we read it as tar does.
REFUSED = {"twice": "duplicates of file paths", "sparse gnu": "unhandled tar header type 83", "sparse pax": "could not verify layer data"}

OFTEN = ("gnu", "gz", "hard links", "attributes", "root", "twice", "whiteouts")


@pytest.fixture(scope="module", params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(ENGINES[request.param]())
        except unittest.SkipTest as error:
            pytest.skip(str(error))
        yield made


def words(changes: tuple[str, ...]) -> list[str]:
    return [word for change in changes for word in ("-c", change)]


def documents(archive: Path) -> list[dict]:
    """The configs of a docker archive."""
    with tarfile.open(archive) as tar:
        return [json.load(tar.extractfile(each["Config"])) for each in json.load(tar.extractfile("manifest.json"))]


def history(document: dict) -> list[dict]:
    return [{key: value for key, value in entry.items() if key != "created"} for entry in document["history"]]


def exported(engine: Engine, image: str) -> Tree:
    """What a container of the image sees, by the engine's own drivers."""
    container = engine.run("create", image, "x").stdout.decode().strip()
    tree: Tree = {"/": Node("dir", 0o755, (0, 0))}
    with tarfile.open(fileobj=io.BytesIO(engine.run("export", container).stdout)) as tar:
        flatten.apply(tree, tar)
    engine.run("rm", container)
    return tree


def seen(tree: Tree) -> dict[str, object]:
    """Paths with what they are; which of them are one file. A container's own names, and the root's attributes, are in no export."""
    names: dict[int, list[str]] = {}
    found: dict[str, object] = {}
    for path, node in sorted(tree.items()):
        if path == "/" or path in _OF_CONTAINERS or path.startswith(("/dev/", "/proc/", "/sys/")):
            continue
        names.setdefault(id(node), []).append(path)
        shown = tuple(pair for pair in node.xattrs if pair[0].startswith("security."))  # all that engines export
        found[path] = msgspec.structs.astuple(msgspec.structs.replace(node, xattrs=shown))
    found["linked"] = sorted(paths for paths in names.values() if len(paths) > 1)
    return found


@pytest.mark.parametrize("name", TARBALLS)
def test_import(engine: Engine, ws: Workspace, name: str):
    data = TARBALLS[name]()
    if name == "zst" and engine.version < "23":
        pytest.skip("20.10 knows no zstd")
    if engine.version < "23" and name not in OFTEN:
        pytest.skip("both engines read it by the same code")
    ws.write({"root.tar": data})
    theirs = engine.run("import", *words(CHANGES), "-m", "a message", "-", "it:1", data=data, check=False)
    ws.ok("image", "import", *words(CHANGES), "-m", "a message", "root.tar", "it:1")
    ws.ok("image", "save", "it:1", "-o", "ours.tar")
    # What is seen, not what is stored: a squashed image has the names that our own reading of the tar gives.
    ws.ok("image", "squash", "it:1", "-t", "flat:1")
    ws.ok("image", "save", "flat:1", "-o", "flat.tar")
    mine = seen(flatten.read_archive(ws.root / "flat.tar")["flat:1"].tree)
    if name in REFUSED:
        theirs = theirs if theirs.returncode else engine.run("save", "it:1", check=False)
        assert theirs.returncode
        assert REFUSED[name] in theirs.stderr.decode()
        assert mine == seen(flatten.read_archive(ws.root / "ours.tar")["it:1"].tree)
        return
    if b'exec: "xz"' in theirs.stderr:
        pytest.skip("this engine has no xz")
    assert theirs.returncode == 0, theirs
    ws.write({"theirs.tar": engine.run("save", "it:1").stdout})
    (their,), (our,) = documents(ws.root / "theirs.tar"), documents(ws.root / "ours.tar")
    assert flatten.config_of(our) == flatten.config_of(their)
    assert history(our) == history(their) == [{"comment": "a message"}]
    assert our["rootfs"] == their["rootfs"]
    assert (our["os"], our["architecture"]) == (their["os"], their["architecture"])
    there = seen(exported(engine, "it:1"))
    if "/etc" not in mine:
        there.pop("/etc", None)
    assert mine == there


def test_import_for_another_platform(engine: Engine, ws: Workspace):
    data = TARBALLS["plain"]()
    ws.write({"root.tar": data})
    if engine.version < "28":
        pytest.skip("20.10 takes --platform and does not heed it")
    for platform in ("linux/arm64/v8", "linux/arm/v7", "linux/amd64"):
        image = engine.run("import", "--platform", platform, "-", data=data).stdout.decode().strip()
        (their,) = json.loads(engine.run("image", "inspect", image).stdout)
        (our,) = json.loads(ws.ok("image", "inspect", ws.ok("image", "import", "--platform", platform, "root.tar").out.strip()).out)
        for field in ("Os", "Architecture"):
            assert our[field] == their[field], platform
        assert our["Variant"] == their.get("Variant", ""), platform


@pytest.fixture
def layered(engine: Engine, base_tar: bytes) -> Callable[[], dict]:
    """An image of three layers, the last of which takes files away; what the engine says of it."""

    def make() -> dict:
        engine.run("import", "-c", "ENV PATH=/usr/bin", "-", "base:1", data=base_tar)
        for number, script in ((2, "mkdir -p /d/e && echo new > /d/e/f && echo x > /d/g"), (3, "rm -r /d/e /home/bob && ln /d/g /d/h")):
            name = f"made{number}"
            engine.run("run", "--network=none", "--name", name, f"base:{number - 1}", "sh", "-c", script)
            engine.run("commit", "-a", "me", "-m", f"step {number}", name, f"base:{number}")
            engine.run("rm", name)
        engine.run("tag", "base:3", "registry.example:5000/team/base:three")
        return json.loads(engine.run("image", "inspect", "base:3").stdout)[0]

    return make


def test_saved_by_the_engine_loaded_by_us(engine: Engine, ws: Workspace, layered: Callable[[], dict]):
    there = layered()
    names = ["base:2", "base:3", "registry.example:5000/team/base:three"]
    ws.write({"theirs.tar": engine.run("save", *names).stdout})
    said = ws.ok("image", "load", "-i", "theirs.tar").out
    assert sorted(said.splitlines()) == [f"Loaded image: {name}" for name in names]
    (here,) = json.loads(ws.ok("image", "inspect", "base:3").out)
    assert here["Id"] == there["Id"]
    assert here["RootFS"] == there["RootFS"]
    assert sorted(here["RepoTags"]) == sorted(there["RepoTags"])
    assert here["Author"] == there["Author"] == "me"
    ours = ws.ok("image", "history", "base:3", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}").out
    theirs = engine.run("history", "base:3", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}").stdout.decode()
    assert ours == theirs
    # and back again: what the engine has, it keeps
    ws.ok("image", "save", *names, "-o", "ours.tar")
    ws.ok("image", "verify")
    engine.run("image", "rm", "-f", *names, "base:1")
    engine.run("load", data=(ws.root / "ours.tar").read_bytes())
    again = json.loads(engine.run("image", "inspect", "base:3").stdout)[0]
    assert [again[key] for key in ("Id", "RootFS")] == [there[key] for key in ("Id", "RootFS")]
    assert sorted(again["RepoTags"]) == sorted(there["RepoTags"])
    ws.ok("image", "squash", "base:3", "-t", "flat:1")
    ws.ok("image", "save", "flat:1", "-o", "flat.tar")
    assert seen(flatten.read_archive(ws.root / "flat.tar")["flat:1"].tree) == seen(exported(engine, "base:3"))


def test_a_containerd_image_store(ws: Workspace, base_tar: bytes, monkeypatch: pytest.MonkeyPatch):
    """Its archives are layouts of compressed layers, where an image's id is its manifest's digest."""
    monkeypatch.setenv("TEST_INTEGRATION_USE_SNAPSHOTTER", "1")
    with contextlib.ExitStack() as stack:
        try:
            engine = stack.enter_context(modern_docker_engine(peer_cache()))
        except unittest.SkipTest as error:
            pytest.skip(str(error))
        engine.run("import", "-c", "CMD sh", "-", "base:1", data=base_tar)
        engine.run("tag", "base:1", "other:2")
        ws.write({"theirs.tar": engine.run("save", "base:1", "other:2").stdout})
        assert sorted(ws.ok("image", "load", "theirs.tar").out.splitlines()) == ["Loaded image: base:1", "Loaded image: other:2"]
        ws.ok("image", "verify")
        ws.ok("image", "tag", "base:1", "back:1")
        ws.ok("image", "save", "back:1", "-o", "ours.tar")
        engine.run("load", data=(ws.root / "ours.tar").read_bytes())
        ours = json.loads(ws.ok("image", "inspect", "base:1").out)[0]
        theirs = json.loads(engine.run("image", "inspect", "back:1").stdout)[0]
        assert theirs["RootFS"] == ours["RootFS"]


def test_docker_loads_every_image_of_one_archive(engine: Engine, ws: Workspace):
    ws.write({"a.tar": TARBALLS["plain"](), "b.tar": TARBALLS["hard links"]()})
    ids = {name: ws.ok("image", "import", f"{name}.tar", f"{name}:1", SOURCE_DATE_EPOCH="1700000000").out.strip() for name in "ab"}
    ws.ok("image", "tag", "a:1", "registry.example/a:x")
    done = ws.ok("image", "save", "a", "b:1", "registry.example/a:x", "-o", "both.tar")
    assert done.out == ""
    engine.run("load", data=(ws.root / "both.tar").read_bytes())
    for name, image in {**{f"{name}:1": image for name, image in ids.items()}, "registry.example/a:x": ids["a"]}.items():
        assert json.loads(engine.run("image", "inspect", name).stdout)[0]["Id"] == image
