"""commit, diff, cp, export and --spec, as root and as an ordinary user; terminals."""

import io
import json
import os
import pty
import subprocess
import tarfile
import time
from pathlib import Path

import pytest
from container_engine import ROOT, Engine
from test_against_docker import of_store, tree

SCRIPT = "echo a > /new; rm /usr/bin/wc; echo c >> /etc/group; mkdir -p /d/e; ln /new /d/l; chmod 700 /home; rm -r /tmp; mkdir /tmp; echo t > /tmp/t"


def test_a_commit_adds_one_layer_and_says_who(anyone: Engine):
    anyone.ok("run", "--name", "cc", "-v", "/vol", "base", "sh", "-c", f"{SCRIPT}; echo v > /vol/v")
    base = json.loads(anyone.ok("inspect", "cc"))[0]["Image"]
    image = anyone.ok("commit", "-m", "why", "-a", "me", "-c", 'CMD ["cat", "/new", "/etc/group"]', "cc", "made:1").strip()
    config, layers = of_store(anyone, image)
    assert config["rootfs"]["diff_ids"][:-1] == of_store(anyone, base)[0]["rootfs"]["diff_ids"]
    assert {**config["history"][-1], "created": ""} == {
        "created": "",
        "created_by": f"sh -c {SCRIPT}; echo v > /vol/v",
        "author": "me",
        "comment": "why",
    }
    shown = tree(layers)
    assert shown["new"][-1] == ("d/l", "new")
    assert "usr/bin/wc" not in shown
    assert not any(name.startswith("vol/") for name in shown)
    assert anyone.ok("run", "--rm", "made:1").startswith("a\nroot:x:0:")
    assert anyone("run", "--rm", "made:1", "ls", "/usr/bin/wc").code == 1
    assert anyone.ok("run", "--rm", "base", "ls", "/usr/bin/wc") == "/usr/bin/wc\n"
    empty = anyone.ok("commit", anyone.ok("create", "base").strip()).strip()
    assert of_store(anyone, empty)[0]["history"][-1]["empty_layer"] is True


def test_a_commit_of_one_that_runs(engine: Engine):
    engine.ok("run", "-d", "--name", "cc", "base", "sh", "-c", "while true; do echo 12345678 >> /log; done")
    for words in ([], ["--no-pause"]):
        image = engine.ok("commit", *words, "cc").strip()
        assert set(tree(of_store(engine, image)[1])["log"][4].split()) >= {b"12345678"}
    assert engine.inspect("cc", ".State.Status") == "running"
    engine.ok("pause", "cc")
    engine.ok("commit", "cc")
    assert engine.inspect("cc", ".State.Status") == "paused"


def test_handwork_becomes_a_build(engine: Engine):
    engine.ok("run", "--name", "cc", "base", "sh", "-c", SCRIPT)
    engine.ok("commit", "--spec", "spec", "-c", "ENV Q='x y'", "cc")
    image = engine.ok("commit", "-c", "ENV Q='x y'", "cc").strip()
    home = engine.folder / "spec"
    (home / "graphbuild.yaml").touch()
    words = [*engine.command()[:-1], "run"]
    subprocess.run(words, env=engine.environment, cwd=home, check=True, capture_output=True)
    index = json.loads((home / "dist/image/index.json").read_bytes())

    def blob(digest: str) -> bytes:
        return (home / "dist/image/blobs" / digest.replace(":", "/")).read_bytes()

    manifest = json.loads(blob(index["manifests"][0]["digest"]))
    import gzip

    layers = [gzip.decompress(blob(layer["digest"])) for layer in manifest["layers"]]
    config, ours = of_store(engine, image)
    built = json.loads(blob(manifest["config"]["digest"]))["config"]
    assert built == config["config"]
    places = {"dev", "proc", "sys"}  # a RUN leaves these, as with Docker
    assert {name: about for name, about in tree(layers).items() if name not in places} == tree(ours)


def test_copying(anyone: Engine):
    here = anyone.folder
    (here / "src/sub").mkdir(parents=True)
    (here / "src/sub/f").write_text("f")
    if anyone.prefix:
        subprocess.run(["chown", "-R", str(here.stat().st_uid), str(here / "src")], check=True)
    anyone.ok("run", "-d", "--name", "on", "-v", "vol:/vol", "base", "sleep", "1000")
    anyone.ok("create", "--name", "off", "-v", "vol:/vol", "base")
    for name in ("on", "off"):
        anyone.ok("cp", "src", f"{name}:/tmp")
        anyone.ok("cp", "src/.", f"{name}:/tmp/contents")
        anyone.ok("cp", "src/sub/f", f"{name}:/tmp/g")
        anyone.ok("cp", "src/sub/f", f"{name}:/vol/of-{name}")
        stream = anyone.ok("cp", f"{name}:/tmp/.", "-").encode(errors="surrogateescape")
        with tarfile.open(fileobj=io.BytesIO(stream)) as tar:
            names = {member.name for member in tar}
        assert {"src/sub/f", "contents/sub/f", "g"} <= {each.removeprefix("./") for each in names}
        anyone.ok("cp", f"{name}:/tmp/src", f"out-{name}")
        assert (here / f"out-{name}/sub/f").read_text() == "f"
        anyone.ok("cp", "-", f"{name}:/tmp", data=stream)
        assert "there is no /nosuch" in anyone.fails("cp", f"{name}:/nosuch", ".")
        assert "no folder" in anyone.fails("cp", "src/sub/f", f"{name}:/nosuch/")
    assert anyone.ok("exec", "on", "ls", "/vol").split() == ["of-off", "of-on"]
    with tarfile.open(fileobj=io.BytesIO(anyone.ok("export", "off").encode(errors="surrogateescape"))) as tar:
        assert "tmp/src/sub/f" in tar.getnames()


def test_copying_follows_no_symlink_out(engine: Engine):
    (engine.folder / "secret").write_text("secret")
    engine.ok("run", "--name", "cc", "base", "sh", "-c", f"ln -s {engine.folder}/secret /s; ln -s {engine.folder} /tmp/d")
    assert "No such file" in engine.fails("cp", "-L", "cc:/s", "taken")
    (engine.folder / "f").write_text("f")
    engine("cp", "f", "cc:/tmp/d/planted")
    assert not (engine.folder / "planted").exists()
    engine.ok("cp", "cc:/s", "link")
    assert os.readlink(engine.folder / "link") == f"{engine.folder}/secret"


def test_a_terminal(anyone: Engine):
    anyone.ok("run", "-d", "--name", "tt", "base", "sleep", "1000")
    for words in (["run", "--rm", "-it", "base"], ["exec", "-it", "tt"]):
        said = _typed(anyone, [*words, "sh"], b"tty; echo rows $(stty size)\nexit 9\n")
        assert b"/dev/pts/0" in said
        assert b"rows 31 77" in said
        assert said.endswith(b"code 9")


def _typed(engine: Engine, words: list[str], typed: bytes) -> bytes:
    """What a command says on a terminal of 31 lines to what is typed, and its exit code."""
    master, slave = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 31, 77, 0, 0))
    process = subprocess.Popen(engine.command(*words), env=engine.environment, stdin=slave, stdout=slave, stderr=slave, cwd=engine.folder)
    os.close(slave)
    said = b""
    limit = time.monotonic() + 60
    import select

    while time.monotonic() < limit:
        if not select.select([master], [], [], 0.1)[0]:
            if typed and b"#" in said:
                os.write(master, typed)
                typed = b""
            continue
        try:
            data = os.read(master, 4096)
        except OSError:
            break
        if not data:
            break
        said += data
    os.close(master)
    return said.rstrip() + b"code %d" % process.wait(20)


def test_the_help_names_every_option(engine: Engine):
    listed = engine.ok("--help")
    for name in ("create", "exec", "commit", "top", "export"):
        assert f"  {name}" in listed
        assert "usage: graphbuild container" in engine.ok(name, "--help")
    assert "--cap-add" in engine.ok("run", "--help")
    words = [*engine.command()[:-1], "__complete", "container", "exe"]
    assert subprocess.run(words, env=engine.environment, check=True, capture_output=True).stdout == b"exec\n"
    assert Path(ROOT, "docs/containers.md").exists()


@pytest.mark.parametrize("headers", [{"mtime": "1e300"}, {"uid": str(2**33)}])
def test_what_cannot_be_copied_fails(engine: Engine, headers: dict[str, str]):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        member = tarfile.TarInfo("strange")
        member.pax_headers = headers
        tar.addfile(member)
        tar.addfile(tarfile.TarInfo("next"))
    engine.ok("create", "--name", "cc", "base")
    done = subprocess.run(
        [*engine.command(), "cp", "-", "cc:/"], env=engine.environment, input=stream.getvalue(), capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"cannot copy" in done.stderr


def test_deep_folders(engine: Engine):
    deep = "/".join("d" * 1500)
    engine.ok("run", "--name", "cc", "base", "sh", "-c", f"mkdir -p /{deep}")
    assert f"A /{deep}\n" in engine.ok("diff", "cc")
    for words in (["export", "cc"], ["cp", "cc:/d", "-"]):
        done = subprocess.run([*engine.command(), *words], env=engine.environment, capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
            assert deep in tar.getnames()
