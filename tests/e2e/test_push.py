"""`graphbuild push`: to a registry that counts, to Debian's docker-registry, and pulled from there by others."""

import json
import os
import shutil
import subprocess

import pytest
from peers import docker_engine, modern_docker_engine, peer_cache, registry
from registry_server import RegistryServer, digest_of
from workspaces import Workspace, manifest, spec_of


def workspace(folder, base_tar, *hosts, name="ws"):
    made = Workspace(folder / name, folder / f"{name}-store")
    made.write({"base.tar": base_tar, "graphbuild.yaml": json.dumps({"registries": {host: {"insecure": True} for host in hosts}})})
    return made


def image(tags, to="dist/web", **more):
    return {"from": "step", "image": {"tags": tags, "to": {"oci": to}, "config": {"cmd": ["/bin/cat", "/out"]}, **more}}


def write(ws, outputs, command="echo made > /out"):
    ws.write(
        {"build.yaml": spec_of(bases={"base": {"tar": "base.tar"}}, steps={"step": {"from": "base", "run": command}}, outputs=outputs)}
    )


@pytest.fixture
def server():
    with RegistryServer() as made:
        yield made


@pytest.fixture
def ws(folder, base_tar, server):
    return workspace(folder, base_tar, server.host)


def sent(server):
    """The blobs that were sent: an upload ends with a PUT."""
    return [path for _, path, _ in server.asked("/blobs/uploads/", "PUT")]


def test_an_image_is_pushed_as_all_of_its_tags(ws, server):
    write(ws, {"web": image([f"{server.host}/a/web:1", f"{server.host}/a/web:latest", f"{server.host}/b/web"])})
    done = ws.ok("push", "--progress=plain", ":web")
    digest = manifest(ws.root / "dist/web")
    assert done.out.splitlines()[1:] == [f"{server.host}/{name}  {digest}" for name in ("a/web:1", "a/web:latest", "b/web:latest")]
    for path, tag in (("a/web", "1"), ("a/web", "latest"), ("b/web", "latest")):
        assert digest_of(server.repository(path)["manifests"][tag][1]) == digest
    assert len(sent(server)) == 3  # two layers and the config, to one of the repositories
    assert "3 blobs sent" in done.err
    order = [path for method, path, _ in server.requests if method == "PUT"]
    assert ["/manifests/" in path for path in order] == [False] * 3 + [True] * 3


def test_a_second_push_moves_nothing(ws, server):
    write(ws, {"web": image([f"{server.host}/a/web:1"])})
    ws.ok("push", ":web")
    server.requests.clear()
    done = ws.ok("push", ":web")
    assert [(method, path) for method, path, _ in server.requests] == [("HEAD", "/v2/a/web/manifests/1")]
    assert "0 blobs sent" in done.err
    assert "(was there)" in done.out
    server.requests.clear()
    ws.ok("push", ":web", "--tag", f"{server.host}/a/web:2")
    assert sent(server) == []
    assert server.asked("/blobs/") == []  # under another tag it is one manifest
    shutil.rmtree(ws.store)
    ws.ok("push", ":web")
    assert sent(server) == []  # nor from another store: the same inputs are the same image


def test_twenty_images_of_one_base_send_it_once(ws, server):
    steps = {f"step{n}": {"from": "base", "run": f"echo {n} > /out"} for n in range(20)}
    outputs = {f"web{n}": {"from": f"step{n}", "image": {"tags": [f"{server.host}/some/web{n}:1"]}} for n in range(20)}
    ws.write({"build.yaml": spec_of(bases={"base": {"tar": "base.tar"}}, steps=steps, outputs=outputs)})
    done = ws.ok("push")
    assert len(sent(server)) == 41  # the base, twenty layers, twenty configs
    assert "41 blobs sent" in done.err
    assert "19 mounted" in done.err
    assert len([path for path in server.repositories if path.startswith("some/web")]) == 20


def test_where_nothing_is_mounted_it_is_sent(folder, base_tar):
    with RegistryServer(mounts=False) as server:
        ws = workspace(folder, base_tar, server.host)
        write(ws, {"web": image([f"{server.host}/a/web:1", f"{server.host}/b/web:1"])})
        ws.ok("push", ":web")
        assert len(sent(server)) == 6
        assert server.uploads == {}  # what was begun in vain was given up


def test_nothing_is_pushed_before_all_is_built(ws, server):
    write(ws, {"web": image([f"{server.host}/a/web:1"])})
    bad = {"from": "broken", "image": {"tags": [f"{server.host}/a/bad:1"]}}
    steps = {"step": {"from": "base", "run": "echo made > /out"}, "broken": {"from": "base", "run": "sleep 0.2; false"}}
    ws.write(
        {
            "build.yaml": spec_of(
                bases={"base": {"tar": "base.tar"}}, steps=steps, outputs={"web": image([f"{server.host}/a/web:1"]), "bad": bad}
            )
        }
    )
    ws.fails("push", "-k")
    assert server.requests == []


def test_no_tag_moves_when_a_blob_fails(ws, server):
    write(ws, {"web": image([f"{server.host}/a/web:1"]), "other": image([f"{server.host}/b/web:1"], to="dist/other")})
    server.faults = lambda handler: "/b/web/blobs/uploads" in handler.path and (handler.body(), handler.answer(403)) is not None
    said = ws.fails("push")
    assert "403" in said
    assert "docker login" in said
    assert server.asked("/manifests/", "PUT") == []


def test_what_was_pulled_from_there_is_mounted_there(ws, server):
    write(ws, {"web": image([f"{server.host}/lib/base:1"])})
    ws.ok("push", ":web")
    server.requests.clear()
    ws.write(
        {
            "build.yaml": spec_of(
                bases={"pulled": {"image": f"{server.host}/lib/base:1"}},
                steps={"more": {"from": "pulled", "run": "echo more > /more"}},
                outputs={"web": {"from": "more", "image": {"tags": [f"{server.host}/my/web:1"]}}},
            )
        }
    )
    shutil.rmtree(ws.store)
    done = ws.ok("push", ":web")
    assert len(sent(server)) == 2  # the new layer and the config
    assert "2 mounted" in done.err


def test_what_has_no_name_is_not_pushed(ws, server):
    write(ws, {"web": {"from": "step", "image": {}}, "other": image([f"{server.host}/a/web:1"])})
    assert "has no tags" in ws.fails("push", ":web", code=2)
    assert "is no image" in ws.fails("push", ":step", code=2)
    assert "bad tag" in ws.fails("push", ":web", "--tag", "Not/A/Tag", code=2)
    assert "--tag names one image" in ws.fails("push", "--tag", "a:1", code=2)
    assert server.requests == []
    ws.ok("push", ":web", "-t", f"{server.host}/x/y:z")
    assert "z" in server.repository("x/y")["manifests"]
    ws.ok("push")  # those that have tags
    assert "1" in server.repository("a/web")["manifests"]


def skopeo(*words):
    if not shutil.which("skopeo"):
        pytest.skip("needs the package skopeo")
    return subprocess.run(["skopeo", *words], check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def distribution():
    with registry() as peer:
        yield peer.address


def test_others_pull_what_was_pushed(folder, base_tar, distribution, tmp_path):
    ws = workspace(folder, base_tar, distribution)
    name = f"{distribution}/test/pushed:1"
    write(ws, {"web": image([name])})
    ws.ok("push", ":web")
    digest = manifest(ws.root / "dist/web")
    skopeo("copy", "--src-tls-verify=false", f"docker://{name}", f"oci:{tmp_path}/copy:1")
    assert manifest(tmp_path / "copy") == digest
    ours, theirs = (sorted(os.listdir(place / "blobs/sha256")) for place in (ws.root / "dist/web", tmp_path / "copy"))
    assert ours == theirs
    other = workspace(folder, base_tar, distribution, name="other")
    outputs = {
        "out": {"from": "pulled", "files": {"paths": "/out", "to": {"dir": "dist"}}},
        "again": {"from": "pulled", "image": {"to": {"oci": "again"}}},
    }
    other.write({"build.yaml": spec_of(bases={"pulled": {"image": name}}, outputs=outputs)})
    other.run()
    assert digest in (other.root / "build.lock").read_text()
    assert (other.root / "dist/out").read_text() == "made\n"
    pulled, pushed = (blobs(place) for place in (other.root / "again", ws.root / "dist/web"))
    assert pulled == pushed  # the layers, byte by byte


def blobs(layout):
    data = (layout / "blobs" / manifest(layout).replace(":", "/")).read_bytes()
    return [layer["digest"] for layer in json.loads(data)["layers"]]


@pytest.mark.parametrize("generation", ["old", "modern"])
def test_engines_pull_and_run_what_was_pushed(generation, folder, base_tar, distribution):
    if generation == "modern" and not (peer_cache() / "debian-unstable-docker").exists():
        pytest.skip("the root of the modern engine is not made: run `python tests/peers.py` once")
    ws = workspace(folder, base_tar, distribution)
    name = f"{distribution}/test/engines-{generation}:1"
    write(ws, {"web": image([name])})
    ws.ok("push", ":web")
    with docker_engine() if generation == "old" else modern_docker_engine(peer_cache()) as engine:
        engine.run("pull", name)
        assert engine.run("run", "--rm", "--network=none", name).stdout == b"made\n"
        found = json.loads(engine.run("image", "inspect", name).stdout)[0]
        assert found["RepoDigests"] == [f"{name.rpartition(':')[0]}@{manifest(ws.root / 'dist/web')}"]
