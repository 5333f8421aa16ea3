"""Images into engines: Docker of two generations and both image stores, Podman, containerd; a second time nothing is sent."""

import contextlib
import json
import os
import shutil
import subprocess

import pytest
from peers import containerd, docker_engine, modern_docker_engine, peer_cache
from workspaces import Workspace, spec_of

BIG = 3 << 20  # bytes in the lower layer, which is to be sent once


@pytest.fixture
def ws(folder, base_tar):
    made = Workspace(folder / "ws", folder / "store")
    made.write({"base.tar": base_tar})
    return made


def write(ws, text, to=None, tags=("web:1", "example.org/other/web:2")):
    steps = {
        "big": {"from": "base", "run": f"head -c {BIG} /dev/urandom > /big"},
        "step": {"from": "big", "run": f"echo {text} > /out; echo {text} > /tmp/below"},
    }
    image = {"tags": list(tags), "config": {"cmd": ["/bin/cat", "/out"]}, **({"to": to} if to else {})}
    ws.write({"build.yaml": spec_of(bases={"base": {"tar": "base.tar"}}, steps=steps, outputs={"web": {"from": "step", "image": image}})})


@contextlib.contextmanager
def modern_with_containerd():
    os.environ["TEST_INTEGRATION_USE_SNAPSHOTTER"] = "1"
    try:
        with modern_docker_engine(peer_cache()) as engine:
            yield engine
    finally:
        del os.environ["TEST_INTEGRATION_USE_SNAPSHOTTER"]


@pytest.fixture(scope="module", params=["old", "modern", "modern with containerd's images"])
def docker(request):
    if request.param == "old":
        with docker_engine() as engine:
            yield engine
        return
    if not (peer_cache() / "debian-unstable-docker").exists():
        pytest.skip("the root of the modern engine is not made: run `python tests/peers.py` once")
    with modern_docker_engine(peer_cache()) if request.param == "modern" else modern_with_containerd() as engine:
        yield engine


def sent(events):
    """The bytes that a build gave to engines."""
    return sum(event["size"] for event in events if event["event"] == "exported")


def host(engine):
    return {"DOCKER_HOST": dict(engine.environment)["DOCKER_HOST"]}


def test_docker_has_what_is_built_and_is_sent_what_it_has_not(docker, ws):
    engine = host(docker)
    docker.run("rmi", "-f", "web:1", "example.org/other/web:2", check=False)
    write(ws, "one", {"docker": "daemon"})
    assert sent(ws.build(**engine)) > BIG
    assert docker.run("run", "--rm", "--network=none", "web:1").stdout == b"one\n"
    assert docker.run("run", "--rm", "--network=none", "example.org/other/web:2").stdout == b"one\n"
    assert sent(ws.build(**engine)) == 0
    write(ws, "two", {"docker": "daemon"})
    assert 0 < sent(ws.build(**engine)) < 100_000
    assert docker.run("run", "--rm", "--network=none", "web:1").stdout == b"two\n"
    docker.run("rmi", "web:1")
    assert ws.statuses(**engine)["//:web#image"] == "built"  # it is asked each time
    assert docker.run("run", "--rm", "--network=none", "web:1").stdout == b"two\n"
    whole = docker.run("save", "web:1").stdout
    assert len(whole) > BIG  # nothing is missing there
    assert not (ws.root / "daemon").exists()


def test_what_docker_lost_is_sent_again(docker, ws):
    engine = host(docker)
    write(ws, "lost", {"docker": "daemon"}, tags=("lost:1",))
    ws.build(**engine)
    docker.run("rmi", "-f", "lost:1")
    assert sent(ws.build(**engine)) > 0
    assert docker.run("run", "--rm", "--network=none", "lost:1").stdout == b"lost\n"


def test_the_command_loads_what_no_output_loads(docker, ws):
    engine = host(docker)
    write(ws, "three", tags=("three:1",))
    first = ws.ok("load", ":web", "--into", "docker", **engine)
    assert "loaded into docker" in first.err
    assert first.out.splitlines()[0].startswith("three:1  sha256:")
    again = ws.ok("load", ":web", **engine)
    assert "0 layers sent" in again.err
    assert "(was there)" in again.out
    assert docker.run("run", "--rm", "--network=none", "three:1").stdout == b"three\n"


def test_an_engine_that_is_not_there_is_named(ws):
    write(ws, "x", {"docker": "daemon"})
    nowhere = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}
    said = ws.fails("run", code=36, **nowhere)
    assert "/nowhere/docker.sock" in said
    assert "systemctl start docker" in said
    assert "unix" in ws.fails("run", code=36, DOCKER_HOST="tcp://127.0.0.1:1")
    write(ws, "x")
    for engine in ("podman", "containerd"):
        assert "install" in ws.fails("load", "--into", engine, code=36, PATH="/nowhere")
    assert "podman" in ws.fails("load", code=36, PATH="/nowhere", DOCKER_HOST="") or os.path.exists("/var/run/docker.sock")


def test_what_is_no_image_is_not_loaded(ws):
    write(ws, "x")
    assert "is no image" in ws.fails("load", ":step", code=2)


@pytest.fixture
def podman(folder):
    if not shutil.which("podman"):
        pytest.skip("needs the package podman")
    config = folder / "storage.conf"
    config.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/podman"\nrunroot = "{folder}/podman-run"\n')
    environment = {"CONTAINERS_STORAGE_CONF": str(config)}

    def run(*words):
        return subprocess.run(["podman", *words], env={**os.environ, **environment}, capture_output=True, text=True, check=True).stdout

    run.environment = environment
    yield run
    run("rmi", "-a", "-f")


def test_podman_has_what_is_built(podman, ws, folder):
    write(ws, "one", {"podman": "storage"})
    assert sent(ws.build(**podman.environment)) > 0
    names = {name for image in json.loads(podman("images", "--format", "json")) for name in image["Names"]}
    assert sorted(names) == ["docker.io/library/web:1", "example.org/other/web:2"]
    identity = podman("image", "inspect", "--format", "{{.Id}}", "web:1").strip()
    assert sent(ws.build(**podman.environment)) == 0
    write(ws, "two", {"podman": "storage"})
    temporary = folder / "No_-Name"  # podman makes an image's name of a folder's, and of this one none can be made
    temporary.mkdir()
    ws.build(**podman.environment, TMPDIR=str(temporary))
    assert podman("image", "inspect", "--format", "{{.Id}}", "web:1").strip() != identity
    done = ws.ok("load", "--into", "podman", **podman.environment)
    assert "(was there)" in done.out


def test_containerd_has_what_is_built(ws):
    with containerd() as peer:
        environment = dict(peer.environment)
        write(ws, "one", {"containerd": "k8s.io"})
        assert sent(ws.build(**environment)) > BIG
        assert "docker.io/library/web:1" in peer.ctr("-n", "k8s.io", "images", "ls", "-q").split()
        assert sent(ws.build(**environment)) == 0
        write(ws, "two", {"containerd": "k8s.io"})
        assert sent(ws.build(**environment)) > 0  # all of it again, should containerd have collected the layers meanwhile
        for line in peer.ctr("-n", "k8s.io", "images", "check").splitlines()[1:]:
            assert "complete" in line
            assert "true" in line  # unpacked
        assert "install and start" in ws.fails("load", "--into", "containerd", code=36, CONTAINERD_ADDRESS="/nowhere/sock")
        done = ws.ok("load", "--into", "containerd", "--namespace", "other", **environment)
        assert "docker.io/library/web:1" in peer.ctr("-n", "other", "images", "ls", "-q").split(), done
        write(ws, "two", {"containerd": "k8s.io"}, tags=())
        assert "tags" in ws.fails("run", code=2, **environment)
