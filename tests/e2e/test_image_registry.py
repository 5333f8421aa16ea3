"""`graphbuild image pull` and `push`: what comes from a registry goes out as it came."""

import json

from registry_server import RegistryServer
from test_registry import blobs_asked, server, ws  # noqa: F401 - fixtures


def test_an_image_is_pulled_used_and_pushed_as_it_came(ws, server):  # noqa: F811
    name = f"{server.host}/lib/base:1"
    ws.ok("image", "pull", name)
    ws.ok("image", "verify")
    assert "etc/second" in ws.ok("image", "tree", name).out
    assert ws.ok("container", "run", "--rm", name, "sh", "-c", 'echo "$GREETING"; cat /etc/second').out == "hello\nlayer\n"
    again = f"{server.host}/other/place:2"
    ws.ok("image", "tag", name, again)
    ws.ok("image", "push", again)
    came = json.loads(server.repository("lib/base")["manifests"]["amd64"][1])
    went = json.loads(server.repository("other/place")["manifests"]["2"][1])
    assert [layer["digest"] for layer in went["layers"]] == [layer["digest"] for layer in came["layers"]]
    assert went["config"]["digest"] == came["config"]["digest"]
    assert "(was there)" in ws.ok("image", "push", again).out


def test_layers_that_are_there_are_not_pulled_again(ws, server):  # noqa: F811
    name = f"{server.host}/lib/base:1"
    ws.ok("image", "pull", name)
    before = len(blobs_asked(server))
    ws.ok("image", "pull", name)
    assert len(blobs_asked(server)) == before


def test_a_platform_and_a_digest(ws, server):  # noqa: F811
    ws.ok("image", "pull", "--platform", "linux/arm64", f"{server.host}/lib/base:1")
    assert "arm64" in ws.ok("image", "inspect", f"{server.host}/lib/base:1", "--format", "{{.Architecture}}").out
    assert "no such image" in ws.fails("image", "pull", f"{server.host}/lib/base:none", code=1)
    assert "is no name" in ws.fails("image", "push", ws.ok("image", "ls", "-q").out.strip(), code=2)


def test_what_only_a_mirror_has_is_pushed(ws, server):  # noqa: F811
    with RegistryServer() as mirror:
        registries = {server.host: {"insecure": True, "mirrors": [f"{mirror.host}/cache"]}, mirror.host: {"insecure": True}}
        ws.write({"graphbuild.yaml": json.dumps({"registries": registries})})
        ws.ok("image", "pull", f"{server.host}/lib/base:1")
        name = f"{server.host}/other/place:2"
        ws.ok("image", "tag", f"{server.host}/lib/base:1", name)
        ws.ok("image", "push", name)
        mirror.repositories["cache/other/place"] = server.repositories.pop("other/place")
        assert "(was there)" not in ws.ok("image", "push", name).out
        assert "2" in server.repository("other/place")["manifests"]
