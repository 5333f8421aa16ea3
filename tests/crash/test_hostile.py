"""What steps, bases, sources and plugins can do to us, through the command line: a clear end, nothing outside of the store."""

import io
import json
import os
import socket
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from crash_workspace import Ended, Site, ended

STEPS = {
    "prints much": ("yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -c 5000000", 0),
    "prints bytes of any kind": ("head -c 100000 /dev/urandom; printf '\\033]0;x\\007\\033[2J\\000'", 0),
    "leaves processes": ("(setsid sleep 1000 &) ; sleep 1000 & true", 0),
    "makes 30000 files": ("mkdir /m; cd /m; seq 30000 | while read i; do : > $i; done", 0),
    "closes its folders": ("mkdir -p /c/d/e; echo x > /c/d/e/f; chmod 0 /c/d/e/f /c/d/e /c/d /c", 0),
    "links": ("echo x > /l; seq 500 | while read i; do ln /l /l$i; done", 0),
    "makes a fifo": ("mkfifo /fifo", 0),
    "makes a sparse terabyte": ("truncate -s 1T /huge", 1),
    "deletes everything": ("rm -rf / 2> /dev/null; true", 0),
    "replaces etc": ("mv /etc /etc2 && ln -s / /etc", 1),
    "goes deep": ("i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done", 0),
    "goes too deep": ("n=$(head -c 200 /dev/zero | tr '\\000' x); i=0; while [ $i -lt 40 ]; do mkdir $n; cd $n; i=$((i+1)); done", 1),
    "is killed": ("kill -9 $$", 1),
    "makes strange names": ("cd /; touch \"$(printf 'a\\nb')\" \"$(printf '\\377\\376')\" ' ' ./-rf", 0),
}


@pytest.mark.parametrize("what", STEPS)
def test_steps(site: Site, what: str) -> None:
    command, code = STEPS[what]
    step = {"from": "base", "run": command, "env": {"MARK": site.mark}}
    output = {"from": "x", "image": {"to": {"oci": "dist/x"}}}
    site.write({"build.yaml": json.dumps({"bases": {"base": {"tar": "base.tar"}}, "steps": {"x": step}, "outputs": {"o": output}})})
    found = site.run(timeout=60)
    assert (found.code == 0) == (code == 0), found
    assert site.run(timeout=60).code == found.code
    site.clean()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", data: bytes = b"") -> Callable[[tarfile.TarFile], None]:
    def add(archive: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, link, len(data)
        archive.addfile(info, io.BytesIO(data))

    return add


TARS: dict[str, tuple[list[Callable[[tarfile.TarFile], None]], tuple[int, ...]]] = {
    "parent": ([member("../evil", data=b"x")], (1, 2)),
    "deep parent": ([member("a/../../evil", data=b"x")], (1, 2)),
    "absolute": ([member("/tmp/graphbuild-evil", data=b"x")], (0,)),
    "symlink out": ([member("a", tarfile.SYMTYPE, "/tmp"), member("a/graphbuild-evil", data=b"x")], (0, 1, 2)),
    "symlink up": ([member("a", tarfile.SYMTYPE, "../../../../.."), member("a/graphbuild-evil", data=b"x")], (0, 1, 2)),
    "hard link out": ([member("a", tarfile.LNKTYPE, "/etc/passwd")], (1, 2)),
    "hard link up": ([member("a", tarfile.LNKTYPE, "../../etc/passwd")], (1, 2)),
    "hard link through": ([member("s", tarfile.SYMTYPE, "/etc"), member("a", tarfile.LNKTYPE, "s/passwd")], (1, 2)),
    "long name": ([member("x" * 300, data=b"x")], (1, 2)),
    "long path": ([member("/".join(["x" * 200] * 30), data=b"x")], (1, 2)),
    "file as folder": ([member("a", data=b"x"), member("a/b", data=b"x")], (0, 1, 2)),
    "unknown type": ([member("a", b"Z")], (0, 1, 2)),
    "replaces root": ([member(".", data=b"x")], (1, 2)),
    "root symlink": ([member("./", tarfile.SYMTYPE, "/etc")], (1, 2)),
}
BYTES = {
    "no tar": b"hello" * 1000,
    "empty": b"",
    "broken gzip": b"\x1f\x8b\x08" + os.urandom(100),
    "broken zstd": b"\x28\xb5\x2f\xfd" + bytes(100),
    "broken xz": b"\xfd7zXZ\x00" + bytes(100),
    "cut off": tarfile.TarInfo("a").tobuf()[:300],
}


@pytest.mark.parametrize("what", [*TARS, *BYTES])
def test_tars(site: Site, what: str) -> None:
    made = io.BytesIO()
    members, codes = TARS.get(what, ([], (0, 1, 2)))
    with tarfile.open(fileobj=made, mode="w") as archive:
        for add in members:
            add(archive)
    site.write({"evil.tar": BYTES.get(what, made.getvalue()), "build.yaml": "bases: {x: {tar: evil.tar}}\n"})
    found = site.run(":x")
    assert found.code in codes, found
    assert found.code == 0 or "evil.tar" in found.err
    assert not Path("/tmp/graphbuild-evil").exists()
    assert not list(site.folder.rglob("evil"))
    for rule in ("oci", "docker"):
        site.write({"build.yaml": f"bases: {{x: {{{rule}: evil.tar}}}}\n"})
        assert site.run(":x").code in (1, 2)
    site.clean()


def test_sources(site: Site) -> None:
    site.write({"build.yaml": "steps: {x: {copy: {files: ['src/**'], to: /}}}\n", "src/ok": "ok"})
    source = os.fsencode(site.root / "src")
    for name in (b"new\nline", b"\xff\xfe", b" ", b"-rf", b"\x1b[2J"):
        Path(os.fsdecode(source + b"/" + name)).write_text("x")
    os.symlink("loop", source + b"/loop")
    os.symlink("/etc/shadow", source + b"/out")
    deep = source
    for _ in range(300):
        deep += b"/d"
    os.makedirs(deep)
    site.good(":x")
    os.mkfifo(source + b"/fifo")
    assert "fifo" in refused(site.run(":x")).err
    os.unlink(source + b"/fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(source + b"/socket")
    assert "socket" in refused(site.run(":x")).err
    os.unlink(source + b"/socket")
    site.good(":x")
    site.clean()


def refused(found: Ended) -> Ended:
    assert found.code in (1, 2), found
    return found


PLUGINS = {
    "raises": "raise RuntimeError('no')",
    "is no Python": "def",
    "exports nothing": "",
    "exports garbage": "RULES = 5",
    "exports strange rules": "RULES = ('a', 5)",
    "exits": "import sys; sys.exit(3)",
}


@pytest.mark.parametrize("what", PLUGINS)
def test_plugins(site: Site, what: str) -> None:
    site.write({"plugins/bad.py": PLUGINS[what], "build.yaml": "bases: {x: {tar: base.tar}}\n"})
    assert "bad" in refused(site.run()).err


def test_two_builds_on_one_store_build_an_action_once(site: Site) -> None:
    steps = {f"s{number}": {"from": "base", "run": f"seq {number} 200000 > /s{number}"} for number in range(6)}
    site.write({"build.yaml": json.dumps({"bases": {"base": {"tar": "base.tar"}}, "steps": steps})})
    builds: list[subprocess.Popen[bytes]] = [site.start("run", "//...", "--events", f"events{number}") for number in range(4)]
    for build in builds:
        found = ended(build)
        assert found.code == 0, found
    built = []
    for number in range(4):
        events = [json.loads(line) for line in (site.root / f"events{number}").read_text().splitlines()]
        built += [event["label"] for event in events if event["event"] == "action" and event["status"] == "built"]
    assert sorted(built) == sorted({*built}), built
    site.clean()


def test_collections_while_building(site: Site) -> None:
    steps = {f"s{number}": {"from": "base", "run": f"seq {number} 100000 > /s{number}"} for number in range(4)}
    outputs = {"o": {"from": [*steps], "image": {"to": {"oci": "dist/o"}}}}
    site.write({"build.yaml": json.dumps({"bases": {"base": {"tar": "base.tar"}}, "steps": steps, "outputs": outputs})})
    site.good()
    for _ in range(4):
        build = site.start("run", "--no-cache")
        while build.poll() is None:
            assert site.call("cache", "gc", "--max-size", "0").code == 0
        found = ended(build)
        assert found.code == 0, found
    assert site.call("cache", "gc", "--max-size", "0").code == 0
    assert "built" in site.good().err
    site.clean()
