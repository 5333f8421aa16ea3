"""Dockerfiles whose images are in a registry: pinned in a workspace, asked for in each build by the command."""

import gzip
import json

import pytest
from registry_images import layer, put_image
from registry_server import RegistryServer
from workspaces import Workspace, spec_of


@pytest.fixture
def server(base_tar):
    with RegistryServer() as made:
        busybox = gzip.compress(base_tar, mtime=0)
        put_image(made, "lib/base", "1", busybox, config={"Env": ["GREETING=hello"], "OnBuild": ["ENV TRIGGERED=yes"], "User": "bob"})
        put_image(made, "lib/files", "2", layer({"etc/files": b"files\n"}))
        put_image(made, "lib/unused", "1", layer({"etc/unused": b"x"}))
        yield made


@pytest.fixture
def ws(folder, server):
    made = Workspace(folder / "ws", folder / "store")
    made.write({"graphbuild.yaml": json.dumps({"registries": {server.host: {"insecure": True}}})})
    return made


def dockerfile(server):
    return f"""\
ARG NAME=base
FROM {server.host}/lib/unused:1 AS unused
RUN echo never
FROM {server.host}/lib/$NAME:1 AS first
USER root
RUN echo "$GREETING $TRIGGERED" > /out
COPY --from={server.host}/lib/files:2 /etc/files /copied
RUN --mount=from={server.host}/lib/files:2,target=/mnt cat /mnt/etc/files >> /out
FROM first
RUN cat /copied >> /out
"""


SPEC = spec_of(steps={"app": {"dockerfile": "."}}, outputs={"out": {"from": "app", "files": {"paths": "/out", "to": {"dir": "dist"}}}})


def test_the_command_pulls_what_a_dockerfile_names(ws, server):
    ws.write({"Dockerfile": dockerfile(server)})
    words = ("dockerfile", ".", "-o", "dir:dist", "--progress=plain")
    ws.ok(*words)
    assert (ws.root / "dist/out").read_text() == "hello yes\nfiles\nfiles\n"
    assert server.asked("lib/unused") == []
    assert not (ws.root / "build.lock").exists()
    assert len([path for _, path, _ in server.asked("/blobs/", "GET")]) == 4
    server.requests.clear()
    ws.ok(*words)
    assert {method for method, _, _ in server.requests} == {"HEAD"}  # what the tags are now
    put_image(server, "lib/files", "2", layer({"etc/files": b"changed\n"}))
    ws.ok(*words)
    assert (ws.root / "dist/out").read_text() == "hello yes\nchanged\nchanged\n"
    server.requests.clear()
    ws.ok(*words, "--offline")
    assert server.requests == []


def test_a_target_pins_what_its_stage_needs(ws, server):
    ws.write({"Dockerfile": dockerfile(server), "build.yaml": SPEC})
    ws.run(":out")
    assert (ws.root / "dist/out").read_text() == "hello yes\nfiles\nfiles\n"
    entries = json.loads((ws.root / "build.lock").read_text())["entries"]
    assert [(entry["rule"], entry["request"]) for entry in entries] == [
        ("image", f"{server.host}/lib/base:1"),
        ("image", f"{server.host}/lib/files:2"),
    ]
    put_image(server, "lib/files", "2", layer({"etc/files": b"changed\n"}))
    server.requests.clear()
    ws.run(":out", "--locked")
    assert server.requests == []
    assert "files:2" in ws.ok("lock", "--update", ":app").out
    ws.run(":out")
    assert (ws.root / "dist/out").read_text() == "hello yes\nchanged\nchanged\n"
    ws.write({"Dockerfile": dockerfile(server).replace("lib/files:2", "lib/unused:1").replace("etc/files", "etc/unused")})
    assert "build.lock has nothing for //:app" in ws.fails("run", ":out", "--locked", code=2)
    assert "1 of them" in ws.ok("check").out or "2 of them" in ws.ok("check").out
    ws.run(":out")
    assert "1 entries that nothing asks for" in ws.ok("lock").out


def test_a_digest_pins_by_itself(ws, server):
    digest, _ = put_image(server, "lib/files", "3", layer({"etc/files": b"3\n"}))
    ws.write(
        {
            "Dockerfile": f"FROM {server.host}/lib/files@{digest}\nCOPY --from={server.host}/lib/files:3@{digest} /etc/files /out\n",
            "build.yaml": SPEC,
        }
    )
    ws.run(":out", "--locked")
    assert (ws.root / "dist/out").read_text() == "3\n"
    assert not (ws.root / "build.lock").exists()


def test_a_build_context_is_an_image(ws, server):
    ws.write({"Dockerfile": "FROM base\nUSER root\nCOPY --from=files /etc/files /out\n"})
    contexts = (
        "--build-context",
        f"base=docker-image://{server.host}/lib/base:1",
        "--build-context",
        f"files=docker-image://{server.host}/lib/files:2",
    )
    ws.ok("dockerfile", ".", "-o", "dir:dist", *contexts)
    assert (ws.root / "dist/out").read_text() == "files\n"
    assert not (ws.root / "build.lock").exists()


def test_an_image_that_is_not_there_is_an_error_at_its_line(ws, server):
    ws.write({"Dockerfile": f"FROM scratch AS a\nFROM {server.host}/lib/none:1\n", "build.yaml": SPEC})
    for words in (("dockerfile", "."), ("run", ":out")):
        done = ws(*words)
        assert done.code in (1, 2), done
        assert "no such image" in done.err
        assert ("Dockerfile:2" if words[0] == "dockerfile" else "build.yaml:1") in done.err
    ws.write({"Dockerfile": f"FROM {server.host}/lib/files@sha256:{'0' * 64}\n"})
    assert "Dockerfile:1" in ws("dockerfile", ".").err


def test_a_converted_dockerfile_names_the_image(ws, server):
    ws.write({"Dockerfile": f"FROM {server.host}/lib/files:2\nCOPY Dockerfile /out\n"})
    ws.ok("convert", "Dockerfile", "-o", "build.yaml")
    assert f'image: "{server.host}/lib/files:2"' in (ws.root / "build.yaml").read_text()
    ws.ok("lock")
    ws.ok("run", "//...")


def test_an_image_of_the_store_comes_before_the_registry(ws, server):
    name = f"{server.host}/lib/files:2"
    ws.write({"Dockerfile": f"FROM {name}\nCOPY Dockerfile /mine\n", "base/Dockerfile": "FROM scratch\nCOPY Dockerfile /local\nENV A=b\n"})
    ws.ok("dockerfile", "base", "-t", name, "-t", "mine")
    server.requests.clear()
    ws.ok("dockerfile", ".", "-o", "dir:dist", "-t", "two")
    assert sorted(path.name for path in (ws.root / "dist").iterdir()) == ["local", "mine"]
    assert server.requests == []
    assert "A=b" in ws.ok("image", "inspect", "two").out
    assert "COPY Dockerfile /local" in ws.ok("image", "history", "--no-trunc", "two").out
    ws.ok("dockerfile", ".", "--pull", "-o", "dir:dist")
    assert sorted(path.name for path in (ws.root / "dist").iterdir()) == ["etc", "mine"]
    ws.write({"Dockerfile": "FROM mine\nCOPY Dockerfile /mine\n"})
    ws.ok("dockerfile", ".", "-o", "dir:dist", "--build-context", "x=docker-image://mine", "--offline")
    assert sorted(path.name for path in (ws.root / "dist").iterdir()) == ["local", "mine"]


def test_a_committed_container_is_a_base(ws, server, base_tar):
    ws.write({"base.tar": base_tar})
    ws.ok("image", "import", "base.tar", "by-hand:0")
    ws.ok("container", "run", "--name", "one", "by-hand:0", "/bin/sh", "-c", "echo edited > /edited")
    ws.ok("container", "commit", "one", "by-hand:1")
    ws.ok("container", "rm", "one")
    ws.write({"Dockerfile": "FROM by-hand:1\nRUN cat /edited > /seen\n"})
    ws.ok("dockerfile", ".", "-o", "dir:dist")
    assert (ws.root / "dist/seen").read_text() == "edited\n"
