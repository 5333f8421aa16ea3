"""Images of registries, through the command line: pulled, pinned, and nothing fetched that no step needs."""

import hashlib
import json
from pathlib import Path

import pytest
from registry_images import DOCKER, GZIP, INDEX, layer, put_image
from registry_server import RegistryServer, digest_of
from workspaces import Workspace, config_of, settle


@pytest.fixture
def server(base_tar):
    """A registry with lib/base:1, an index of two platforms; amd64's image has busybox and a second layer."""
    import gzip

    with RegistryServer() as made:
        busybox = gzip.compress(base_tar, mtime=0)
        here = put_image(made, "lib/base", "amd64", busybox, layer({"etc/second": b"layer\n"}), config={"Env": ["GREETING=hello"]})
        there = put_image(made, "lib/base", "arm64", layer({"etc/arm": b"arm\n"}), architecture="arm64")
        platforms = zip((here, there), ("amd64", "arm64"), strict=True)
        manifests = [
            {"mediaType": DOCKER, "digest": digest, "size": size, "platform": {"os": "linux", "architecture": architecture}}
            for (digest, size), architecture in platforms
        ]
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()
        made.put_manifest("lib/base", "1", index, INDEX)
        yield made


@pytest.fixture
def ws(folder, server):
    made = Workspace(folder / "ws", folder / "store")
    made.write({"graphbuild.yaml": json.dumps({"registries": {server.host: {"insecure": True}}})})
    return made


def spec(server, **more):
    steps = {"step": {"from": "base", "run": 'echo "$GREETING $(cat /etc/second)" > /out'}}
    outputs = {
        "out": {"from": "step", "files": {"paths": "/out", "to": {"dir": "dist"}}},
        "image": {"from": "step", "image": {"to": {"oci": "images/image", "docker": "images/image.tar"}}},
        "config": {"from": "base", "image": {}},
    }
    return json.dumps({"bases": {"base": {"image": f"{server.host}/lib/base:1", **more}}, "steps": steps, "outputs": outputs})


def blobs_asked(server):
    return [path.rpartition("/")[2] for _, path, _ in server.asked("/blobs/", "GET")]


def test_a_base_comes_from_a_registry_and_is_pinned(ws, server):
    ws.write({"build.yaml": spec(server)})
    done = ws.run(":out")
    assert (ws.root / "dist/out").read_text() == "hello layer\n"
    index = digest_of(server.repository("lib/base")["manifests"]["1"][1])
    assert f"locked //:base: {server.host}/lib/base:1 (new) → {index}" in done.err
    lock = json.loads((ws.root / "build.lock").read_text())
    assert lock["entries"][0]["data"] == {"name": f"{server.host}/lib/base:1", "version": index}
    assert len(set(blobs_asked(server))) == len(blobs_asked(server)) == 3  # the config and the layers of one platform, once
    server.requests.clear()
    settle()
    ws.run(":out")
    assert server.requests == []


def test_another_machine_builds_what_is_pinned_whatever_the_tag_says_now(ws, workspaces, server):
    ws.write({"build.yaml": spec(server)})
    ws.run(":image")
    put_image(server, "lib/base", "1", layer({"etc/second": b"changed\n"}))
    other = workspaces("other", store="other-store")
    other.write({name: (ws.root / name).read_text() for name in ("graphbuild.yaml", "build.yaml", "build.lock")})
    other.run(":image")
    for name in ("images/image/index.json", "images/image.tar"):
        assert (ws.root / name).read_bytes() == (other.root / name).read_bytes()


def test_lock_says_what_would_change(ws, server):
    ws.write({"build.yaml": spec(server)})
    assert f"{server.host}/lib/base:1 (new) → sha256:" in ws.ok("lock").out
    before = (ws.root / "build.lock").read_bytes()
    digest, _ = put_image(server, "lib/base", "1", layer({"etc/second": b"changed\n"}))
    assert ws.ok("lock").out == "build.lock is up to date\n"
    dry = ws.ok("lock", "--update", "--dry-run", ":base").out
    assert f"→ {digest}" in dry
    assert "nothing was written" in dry
    assert (ws.root / "build.lock").read_bytes() == before
    ws.ok("lock", "--update", ":base")
    assert digest in (ws.root / "build.lock").read_text()
    assert ws.fails("run", "--locked", "--set", "x=y", ":nothing", code=2)


def test_layers_go_out_as_they_came(ws, server):
    ws.write({"build.yaml": spec(server)})
    ws.run(":image")
    manifest = json.loads(next((ws.root / "images/image/blobs/sha256").glob(digest_in(ws.root / "images/image"))).read_bytes())
    came = json.loads(server.repository("lib/base")["manifests"]["amd64"][1])
    assert [one["digest"] for one in manifest["layers"][:2]] == [one["digest"] for one in came["layers"]]
    assert {one["mediaType"] for one in manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar+gzip"}
    assert config_of(ws.root / "images/image")["config"]["Env"] == ["GREETING=hello"]


def digest_in(layout):
    return json.loads((layout / "index.json").read_bytes())["manifests"][0]["digest"].removeprefix("sha256:")


def test_a_layer_that_another_image_brought_is_not_fetched_again(ws, server, base_tar):
    import gzip

    put_image(server, "lib/other", "1", gzip.compress(base_tar, mtime=0), layer({"etc/third": b"3\n"}))
    ws.write({"build.yaml": spec(server)})
    ws.run(":out")
    server.requests.clear()
    ws.write({"build.yaml": spec(server).replace("lib/base", "lib/other").replace("second", "third")})
    ws.run(":out")
    assert (ws.root / "dist/out").read_text() == " 3\n"
    assert len(blobs_asked(server)) == 2  # its config, and the layer that is new


def test_a_platform_is_chosen(ws, server):
    outputs = {"arm": {"from": "base", "files": {"paths": "/etc/arm", "to": {"dir": "dist"}}}}
    base = {"image": {"reference": f"{server.host}/lib/base:1", "platform": "linux/arm64"}}
    ws.write({"build.yaml": json.dumps({"bases": {"base": base}, "outputs": outputs})})
    ws.run(":arm")
    assert (ws.root / "dist/etc/arm").read_text() == "arm\n"
    base["image"]["platform"] = "linux/s390x"
    ws.write({"build.yaml": json.dumps({"bases": {"base": base}, "outputs": outputs})})
    assert "no image for linux/s390x" in ws.fails("run", ":arm", code=2)


def test_offline_takes_what_is_there(ws, server):
    ws.write({"build.yaml": spec(server)})
    assert "--offline" in ws.fails("run", "--offline", ":out")
    ws.run(":out")
    server.requests.clear()
    ws.run("--offline", "--no-cache", ":out")
    assert server.requests == []


@pytest.mark.parametrize(
    ("reference", "said"),
    [("HOST/lib/none:1", "no such image"), ("HOST/lib/base:2", "no such image"), ("HOST/Lib:1", "not a repository"), ("a b", "not a repo")],
)
def test_a_reference_to_nothing_is_said_at_its_line(reference, said, ws, server):
    ws.write(
        {
            "build.yaml": f"bases:\n  base: {{image: '{reference.replace('HOST', server.host)}'}}\noutputs:\n  o: {{from: base, image: {{}}}}\n"
        }
    )
    done = ws("run", ":o")
    assert done.code in (1, 2), done
    assert said in done.err
    assert "build.yaml:2" in done.err


def test_a_damaged_layer_is_refused(ws, server):
    ws.write({"build.yaml": spec(server)})
    repository = server.repository("lib/base")
    manifest = json.loads(repository["manifests"]["amd64"][1])
    good = manifest["layers"][1]["digest"]
    repository["blobs"][good] = layer({"etc/second": b"mischief\n"})[: manifest["layers"][1]["size"]].ljust(manifest["layers"][1]["size"])
    assert "expected sha256" in ws.fails("run", ":out")
    assert not list(Path(ws.store, "blobs/sha256").glob(hashlib.sha256(repository["blobs"][good]).hexdigest()))


def test_a_layer_that_unpacks_to_something_else_is_refused(ws, server):
    evil = layer({"etc/second": b"mischief\n"})
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(b"something else")]}}
    data = json.dumps(config).encode()
    server.put_blob("lib/base", data)
    server.put_blob("lib/base", evil)
    head = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(data), "size": len(data)}
    layers = [{"mediaType": GZIP, "digest": digest_of(evil), "size": len(evil)}]
    server.put_manifest("lib/base", "1", json.dumps({"schemaVersion": 2, "config": head, "layers": layers}).encode())
    ws.write({"build.yaml": spec(server)})
    assert "its config says" in ws.fails("run", ":out", code=2)
    assert list(Path(ws.store, "layers").iterdir()) == []


def test_what_is_not_used_is_not_pulled(ws, server):
    ws.write({"build.yaml": spec(server)})
    ws.ok("lock")
    ws.ok("check")
    assert blobs_asked(server) == []
    done = ws.ok("plan", ":out")
    assert "pull" in done.out
    assert len(blobs_asked(server)) == 1  # the config


def test_a_build_without_registries_loads_nothing_of_them(workspaces):
    ws = workspaces("plain")
    ws.write({"build.yaml": "bases:\n  b: {tar: base.tar}\noutputs:\n  o: {from: b, image: {to: {oci: dist}}}\n"})
    done = ws("run", PYTHONPROFILEIMPORTTIME="1")
    assert done.code == 0
    assert "graphbuild.network.registry" not in done.err
    assert "http.client" not in done.err
