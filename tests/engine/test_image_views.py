"""`image tree`, `diff` and `whose`: what images hold, what differs, and where a file comes from."""

import json
import tarfile

import pytest
from archives_by_hand import config, docker_archive, tar
from workspaces import BASE, Workspace, spec_of

STATUS = b"Package: less\nStatus: install ok installed\nVersion: 590-2\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
APK = b"P:musl\nV:1.2\nF:lib\nR:ld-musl.so\n\nP:other\nV:3\nF:\nR:file\n\n"
SITE = "venv/lib/python3.11/site-packages"
BELOW = {
    "var/lib/dpkg/status": STATUS,
    "var/lib/dpkg/info/less.list": b"/.\n/bin/less\n/usr/share/doc/less\n",
    "lib/apk/db/installed": APK,
    "lib/ld-musl.so": b"x" * 50,
    "usr/bin/less": b"less" * 500,
    "bin": (tarfile.SYMTYPE, "usr/bin"),
    "pager": (tarfile.SYMTYPE, "bin/less"),
    "away": (tarfile.SYMTYPE, "/nowhere/at/all"),
    f"{SITE}/pip/__init__.py": b"pip",
    f"{SITE}/pip-23.0.dist-info/METADATA": b"Name: pip\n",
    f"{SITE}/pip-23.0.dist-info/RECORD": b"pip/__init__.py,sha256=x,3\r\n",
    "old": b"o" * 3000,
    "etc/conf": b"1",
    "evil\x1b[2J": b"e",
}
ABOVE = {
    ".wh.old": b"",
    "etc/conf": b"22",
    "app/new": b"n" * 100,
    "var/lib/dpkg/status": STATUS.replace(b"590-2", b"600-1"),
}


@pytest.fixture
def two(ws: Workspace) -> Workspace:
    """`old:1` of one layer, `new:1` of two."""
    layers = [tar(BELOW), tar(ABOVE)]
    history = [{"created_by": "ADD root"}, {"created_by": "ENV A", "empty_layer": True}, {"created_by": "RUN change | `it`"}]
    first = config(layers[:1], history=history[:1], config={"Cmd": ["x"], "Env": ["PATH=/bin", "A=1"], "Labels": {"l": "1"}})
    second = config(layers, history=history, config={"Cmd": ["y"], "Env": ["PATH=/bin", "A=2"], "User": "bob"})
    ws.write({"two.tar": docker_archive((first, layers[:1], ["old:1"]), (second, layers, ["new:1"]))})
    ws.ok("image", "load", "two.tar")
    return ws


def whose(ws: Workspace, path: str) -> dict:
    return json.loads(ws.ok("image", "whose", path, "--json").out)


def test_whose(two: Workspace):
    assert whose(two, "old:1:/usr/bin/less")["package"] == "less 590-2"
    assert whose(two, "new:1:/bin/less") == {
        **whose(two, "old:1:/usr/bin/less"),
        "package": "less 600-1",
    }
    link = whose(two, "new:1:/pager")
    assert (link["path"], link["leads_to"], link["layer"], link["created_by"]) == ("/pager", "/usr/bin/less", 1, "ADD root")
    assert whose(two, "new:1:/away")["leads_to"] == "/nowhere/at/all"
    assert whose(two, "new:1:/lib/ld-musl.so")["package"] == "musl 1.2"
    assert whose(two, f"new:1:/{SITE}/pip/__init__.py")["package"] == "pip 23.0"
    conf = whose(two, "new:1:/etc/conf")
    assert (conf["layer"], conf["created_by"], conf["package"]) == (2, "RUN change | `it`", "")
    assert whose(two, "new:1:/app")["layer"] == 2
    assert whose(two, "new:1:/etc/../etc//conf")["layer"] == 2
    assert "layer 1 (ADD root) has it, and a layer above deletes it" in two.fails("image", "whose", "new:1:/old", code=2)
    assert "has no /nope" in two.fails("image", "whose", "new:1:/nope", code=2)
    for wrong in ("new:1", "/x", "new:1/x", ":/x"):
        assert "IMAGE:PATH" in two.fails("image", "whose", wrong, code=2)
    assert "\x1b" not in two.ok("image", "whose", "old:1:/evil\x1b[2J").out


def test_tree(two: Workspace):
    out = two.ok("image", "tree", "new:1", "--top", "3").out
    assert "\x1b" not in out
    lines = out.splitlines()
    assert lines[0].startswith("layer 1")
    assert "3.0 kB  /old  (deleted above)" in out
    assert lines[1].strip() == "3.0 kB  /old  (deleted above)"
    assert "never seen" in lines[-1]
    layers = json.loads(two.ok("image", "tree", "new:1", "--json", "--top", "100").out)
    files = {file["path"]: file for file in layers[0]["files"]}
    assert files["/etc/conf"]["hidden"] == "replaced"
    assert files["/usr/bin/less"]["hidden"] == ""
    assert layers[0]["hidden"] == 3000 + 1 + len(STATUS)
    assert [layer["created_by"] for layer in layers] == ["ADD root", "RUN change | `it`"]
    assert two("image", "tree", "new:1", "--top", "x").code == 2


def test_diff(two: Workspace):
    lines = two.ok("image", "diff", "old:1", "new:1").out.splitlines()
    assert lines[0].startswith("size")
    for line in (
        'config Cmd: ["x"] → ["y"]',
        "config Env.A: 1 → 2",
        "config User: (unset) → bob",
        "config Labels.l: 1 → (unset)",
        "package deb:less 590-2 → 600-1",
        "- /old  -3.0 kB",
        "+ /app",
        "+ /app/new  +100 B",
        "~ /etc/conf  content  +1 B",
    ):
        assert line in lines
    assert len(lines) == 11  # and the database of packages
    found = json.loads(two.ok("image", "diff", "old:1", "new:1", "--format", "json").out)
    assert found["packages"] == [{"name": "deb:less", "old": "590-2", "new": "600-1"}]
    assert {file["path"] for file in found["files"]} == {"/old", "/app", "/app/new", "/etc/conf", "/var/lib/dpkg/status"}
    text = two.ok("image", "diff", "old:1", "new:1", "--format", "markdown").out
    assert "| `deb:less` | `590-2` | `600-1` |" in text
    assert "| `-` | `/old` |" in text
    assert two.ok("image", "diff", "old:1", "old:1").out == "the same image\n"
    assert "no image nope" in two.fails("image", "diff", "old:1", "nope", code=2)


def test_what_a_build_made_says_its_line(ws: Workspace):
    steps = {"first": {"from": "base", "run": "echo 1 > /first"}, "second": {"from": "first", "copy": {"files": ["f"], "to": "/d"}}}
    ws.write({"sub/build.yaml": BASE.replace("base.tar", "//base.tar"), "f": "1"})
    ws.write({"build.yaml": BASE + spec_of(steps=steps, outputs={"web": {"from": "second", "image": {"tags": ["web:1"]}}})})
    ws.run(":web")
    made = whose(ws, "web:1:/first")
    assert (made["target"], made["place"]) == ("//:first", "build.yaml:3")
    rows = ws.ok("image", "history", "web:1", "--format", "{{.Target}} {{.Place}}").out.splitlines()
    assert rows == ["//:second build.yaml:3", "//:first build.yaml:3", "//:base build.yaml:2"]


def test_names_are_completed(two: Workspace):
    def offered(*words: str) -> list[str]:
        return two.ok("__complete", *words).out.split()

    assert {"diff", "ls", "whose"} <= set(offered("image", ""))
    assert offered("image", "inspect", "") == ["new:1", "old:1"]
    assert offered("image", "rm", "old:1", "n") == ["new:1"]
    assert "--no-trunc" in offered("image", "history", "--")
    assert offered("image", "save", "new:1", "--format", "") == ["docker", "oci", "oci-archive"]
    assert offered("image", "load", "") == []
    assert "image" in offered("im")
