"""The same handwork in a container of ours and in one of the Docker engine's: the same tree, config and history come out of a commit."""

import io
import json
import tarfile
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path

import peers
import pytest
from container_engine import Engine, diff_id, document, end

# A base with what layers are made difficult by.
SETUP = """
mkdir -p /d/sub/deep /opq/x /ren/in /links
echo one > /d/one; echo two > /d/two; echo deep > /d/sub/deep/f; echo o > /opq/o; echo x > /opq/x/x
echo r > /ren/r; echo i > /ren/in/i; echo l > /links/a; ln /links/a /links/b; ln -s a /links/s
"""
CASES = {
    "nothing": ("true", (), ()),
    "added": ("echo new > /new; mkdir -p /n/e/w; echo f > /n/e/w/f", (), ()),
    "deleted": ("rm /d/one; rm -r /d/sub", (), ()),
    "changed in place": ("echo more >> /d/one", (), ()),
    "replaced by a folder": ("rm /d/one; mkdir /d/one; echo in > /d/one/in", (), ()),
    "folder replaced by a file": ("rm -r /d; echo f > /d", (), ()),
    "opaque": ("rm -r /opq; mkdir /opq; echo fresh > /opq/fresh", (), ()),
    "opaque and empty": ("rm -r /opq; mkdir /opq", (), ()),
    "renamed folder": ("mv /ren /moved", (), ()),
    "renamed over": ("mv /ren /d/sub/", (), ()),
    "hard links": ("echo h > /h1; ln /h1 /h2; ln /h1 /d/h3; ln /links/a /links/c", (), ()),
    "symlinks": ("ln -s /nowhere /s; ln -sfn ../d /links/s", (), ()),
    "modes and owners": ("chmod 4755 /d/one; chown 1000:29 /d/two; chmod 1777 /d; chown -h 5:6 /links/s; chmod 700 /opq", (), ()),
    "devices": ("mknod /dev0 c 1 3; mknod /blk b 7 0; mkfifo /pipe; chmod 640 /pipe", (), ()),
    "long names": ('n=$(printf "%0200d" 1); mkdir -p /$n/$n/$n; echo l > /$n/$n/$n/f; ln -s $n/$n/$n /$n/s', (), ()),
    "odd names": ("touch '/ leading' '/new\nline' '/quote\"' '/ünïcödé' '/.wh-no'; mkdir '/d/-rf'", (), ()),
    "sparse": ("dd if=/dev/zero of=/sparse bs=1 count=1 seek=1000000 2>/dev/null; echo tail >> /sparse", (), ()),
    "made and removed": ("mkdir /tmp/x; echo y > /tmp/x/y; rm -r /tmp/x; echo a > /etc/hosts; echo z > /z", (), ()),
    "options": (
        "echo $A",
        ("-e", "A=1", "-u", "root", "-w", "/made", "-l", "k=v", "--expose", "81", "--stop-signal", "INT", "-v", "/vol"),
        (),
    ),
    "changes": (
        "true",
        (),
        (
            'CMD ["cat", "/d/one"]',
            "ENTRYPOINT sh -c",
            "ENV X=$PATH Y='a b'",
            "EXPOSE 80 53/udp",
            "LABEL z=1",
            "ONBUILD RUN x",
            "USER bob",
            "VOLUME /v",
            "WORKDIR /d",
            "HEALTHCHECK --interval=5s CMD true",
        ),
    ),
}


@pytest.fixture(scope="module")
def docker() -> Iterator[peers.Engine]:
    try:
        with peers.docker_engine() as engine:
            yield engine
    except unittest.SkipTest as skipped:
        pytest.skip(str(skipped))


def saved(archive: bytes) -> tuple[dict, list[bytes]]:
    """The config and the layers of a docker archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        (manifest,) = json.loads(tar.extractfile("manifest.json").read())
        config = json.loads(tar.extractfile(manifest["Config"]).read())
        return config, [tar.extractfile(name).read() for name in manifest["Layers"]]


def of_store(engine: Engine, image: str) -> tuple[dict, list[bytes]]:
    """The same of an image in our store."""
    blobs = engine.store / "blobs/sha256"
    config = json.loads((blobs / image.removeprefix("sha256:")).read_bytes())
    return config, [(blobs / each.removeprefix("sha256:")).read_bytes() for each in config["rootfs"]["diff_ids"]]


def tree(layers: list[bytes]) -> dict[str, tuple]:  # noqa: C901 - one oracle, in one place
    """What layers show, one on the other: path → type, mode, owner, content or target, capabilities, and which paths are one file."""
    found: dict[str, tuple] = {}
    groups: dict[str, str] = {}
    for layer in layers:
        before = set(found)
        made = set()
        with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
            members = [(member.name.strip("/").removeprefix("./"), member) for member in tar]
            for name, _ in members:
                parent, _, last = name.rpartition("/")
                gone = parent + "/" if last == ".wh..wh..opq" and parent else ""
                hidden = (parent + "/" if parent else "") + last.removeprefix(".wh.") if last.startswith(".wh.") else ""
                for path in before:
                    if (gone and path.startswith(gone)) or (hidden and not gone and (path == hidden or path.startswith(hidden + "/"))):
                        found.pop(path, None)
            for name, member in members:
                if name.rpartition("/")[2].startswith(".wh.") or name in ("", "."):
                    continue
                content = tar.extractfile(member).read() if member.isreg() else None
                if not member.isdir():
                    for path in [path for path in before - made if path.startswith(name + "/")]:
                        found.pop(path, None)
                if member.islnk():
                    first = member.linkname.strip("/").removeprefix("./")
                    found[name], groups[name] = found[first], groups.get(first, first)
                    made.add(name)
                    continue
                device = (member.devmajor, member.devminor) if member.type in (tarfile.CHRTYPE, tarfile.BLKTYPE) else None
                kind = b"0" if member.isreg() else member.type
                capability = member.pax_headers.get("SCHILY.xattr.security.capability")
                found[name] = (kind, member.mode & 0o7777, member.uid, member.gid, content, member.linkname, device, capability)
                groups[name] = name
                made.add(name)
    linked: dict[str, set[str]] = {}
    for name in found:
        linked.setdefault(groups[name], set()).add(name)
    return {name: (*about, tuple(sorted(linked[groups[name]]))) for name, about in found.items()}


def essence(config: dict) -> dict:
    """What of an image's document both must say: Docker's own fields that OCI does not have are left out, and what is empty."""
    inner = {key: value for key, value in config["config"].items() if value and key not in ("Hostname", "Image", "Domainname")}
    for flag in ("AttachStdin", "AttachStdout", "AttachStderr", "Tty", "OpenStdin", "StdinOnce"):
        inner.pop(flag, None)
    history = [{key: value for key, value in line.items() if value and key != "created"} for line in config["history"]]
    return {"author": config.get("author") or "", "config": inner, "history": history, "layers": len(config["rootfs"]["diff_ids"])}


@pytest.fixture(scope="module")
def base(busybox_tar: bytes) -> tuple[bytes, list[bytes]]:
    return document(diff_id(busybox_tar)), [busybox_tar]


@pytest.fixture(scope="module")
def loaded(docker: peers.Engine, base: tuple[bytes, list[bytes]]) -> peers.Engine:
    """The engine with the base, and with one more layer that `SETUP` made."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        manifest = [{"Config": "config.json", "RepoTags": ["base:latest"], "Layers": ["layer.tar"]}]
        for name, data in (("config.json", base[0]), ("layer.tar", base[1][0]), ("manifest.json", json.dumps(manifest).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    docker.run("load", data=stream.getvalue())
    docker.run("run", "--network=none", "--name", "setup", "base", "sh", "-ec", SETUP)
    docker.run("commit", "setup", "set:latest")
    return docker


@pytest.fixture(scope="module")
def ours(loaded: peers.Engine) -> Iterator[Engine]:
    """Our engine with the image that Docker made."""
    folder = Path(tempfile.mkdtemp(prefix="graphbuild-oracle-", dir="/var/tmp"))
    engine = Engine(folder)
    config, layers = saved(loaded.run("save", "set:latest").stdout)
    text = json.dumps(config)
    engine.take("set", text.encode(), *layers)
    yield engine
    end(engine)
    import shutil

    shutil.rmtree(folder)


@pytest.mark.parametrize("case", CASES)
def test_commit_is_dockers(case: str, loaded: peers.Engine, ours: Engine):
    script, options, changes = CASES[case]
    words = [word for change in changes for word in ("-c", change)]
    name = "c-" + "".join(char if char.isalnum() else "-" for char in case)
    loaded.run("run", "--network=none", "--name", name, *options, "set", "sh", "-ec", script)
    loaded.run("commit", "-m", "a message", "-a", "an author", *words, name, f"{name}:1")
    ours.ok("run", "--name", name, *options, "set", "sh", "-ec", script)
    image = ours.ok("commit", "-m", "a message", "-a", "an author", *words, name, f"{name}:1").strip()
    theirs, ours_ = saved(loaded.run("save", f"{name}:1").stdout), of_store(ours, image)
    assert essence(ours_[0]) == essence(theirs[0])
    assert tree(ours_[1]) == tree(theirs[1])
    mine = set(ours.ok("diff", name).splitlines())
    assert mine == set(loaded.run("diff", name).stdout.decode().splitlines())
