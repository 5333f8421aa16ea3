"""One output for several platforms: an index of images, whole in layouts and registries, this machine's image where only one fits."""

import json
import os
import struct
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from peers import docker_engine
from registry_server import RegistryServer
from workspaces import BASE, Workspace, manifest

from graphbuild.values.platform import this_platform

HERE = this_platform()
OTHER = next(platform for platform in ("linux/amd64", "linux/arm64") if platform != HERE)
ARCH = OTHER.partition("/")[2]

SPEC = f"""\
bases: {{none: scratch}}
steps:
  code: {{from: none, copy: {{files: "bin-${{platform.arch}}", to: /app}}}}
  conf: {{from: none, copy: {{files: conf, to: /etc}}}}
outputs:
  web:
    from: [code, conf]
    platforms: [{HERE}, {OTHER}]
    image: {{tags: ["example/web:1"], config: {{cmd: ["/app/bin-${{platform.arch}}"]}}, to: {{oci: dist/web}}}}
"""


@pytest.fixture
def ws(workspaces: Callable[..., Workspace]) -> Workspace:
    made = workspaces("ws")
    made.write({"build.yaml": SPEC, "conf": "conf", **{f"bin-{arch}": arch for arch in ("amd64", "arm64", "arm")}})
    return made


def blob(layout: Path, digest: str) -> dict:
    found: dict = json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())
    return found


def index(layout: Path) -> dict:
    (top,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    assert top["mediaType"] == "application/vnd.oci.image.index.v1+json"
    return blob(layout, top["digest"])


def names(layout: Path, described: dict) -> set[str]:
    found: set[str] = set()
    for layer in blob(layout, described["digest"])["layers"]:
        with tarfile.open(layout / "blobs" / layer["digest"].replace(":", "/")) as tar:
            found |= set(tar.getnames())
    return found


def platform(described: dict) -> str:
    return "/".join(described["platform"][key] for key in ("os", "architecture", "variant") if key in described["platform"])


def test_an_index_has_an_image_for_each_platform(ws: Workspace):
    ws.ok("run")
    found = index(ws.root / "dist/web")["manifests"]
    assert [platform(described) for described in found] == [HERE, OTHER]
    for described in found:
        arch = platform(described).split("/")[1]
        config = blob(ws.root / "dist/web", blob(ws.root / "dist/web", described["digest"])["config"]["digest"])
        assert (config["architecture"], config["config"]["Cmd"]) == (arch, [f"/app/bin-{arch}"])
        assert names(ws.root / "dist/web", described) == {f"app/bin-{arch}", "etc/conf"}
    assert "up to date" in ws.ok("run").err


def test_what_is_the_same_for_all_is_made_once(ws: Workspace):
    statuses = {event["label"]: event["status"] for event in ws.build() if event["event"] == "action" and event["action"] == "copy"}
    assert sorted(statuses) == sorted(("//:code", "//:conf", f"//:code[platform={OTHER}]", f"//:conf[platform={OTHER}]"))
    layouts = [blob(ws.root / "dist/web", described["digest"])["layers"] for described in index(ws.root / "dist/web")["manifests"]]
    assert layouts[0][1] == layouts[1][1]
    assert layouts[0][0] != layouts[1][0]


def test_a_platform_by_its_label_and_by_the_option(ws: Workspace):
    assert {event["label"] for event in ws.build(f"//:code[platform={OTHER}]") if event["event"] == "action"} == {
        f"//:code[platform={OTHER}]"
    }
    ws.ok("run", "--platform", OTHER)
    (described,) = json.loads((ws.root / "dist/web/index.json").read_bytes())["manifests"]
    assert (platform(described), names(ws.root / "dist/web", described)) == (OTHER, {f"app/bin-{ARCH}", "etc/conf"})
    ws.ok("run", "--platform", f"linux/arm/v7,{HERE}")
    assert [platform(described) for described in index(ws.root / "dist/web")["manifests"]] == ["linux/arm/v7", HERE]


def test_what_runs_here_for_another_platform_says_so_and_is_not_emulated(ws: Workspace):
    both = "${build.platform} ${build.arch} ${platform.arch}"
    spec = f"""\
bases: {{none: scratch}}
outputs:
  web: {{from: none, platforms: [{HERE}, {OTHER}], image: {{config: {{labels: {{both: "{both}"}}}}, to: {{oci: dist/web}}}}}}
"""
    ws.write({"build.yaml": spec})
    ws.ok("run")
    layout = ws.root / "dist/web"
    configs = [blob(layout, blob(layout, described["digest"])["config"]["digest"]) for described in index(layout)["manifests"]]
    here = HERE.partition("/")[2]
    assert [config["config"]["Labels"]["both"] for config in configs] == [f"{HERE} {here} {arch}" for arch in (here, ARCH)]


def test_a_shell_in_an_index_is_in_this_machines_image(ws: Workspace):
    spec = SPEC.replace("none: scratch", "none: scratch, base: {tar: base.tar}").replace("from: [code, conf]", "from: [base, code, conf]")
    ws.write({"build.yaml": spec.replace(f"[{HERE}, {OTHER}]", f"[{OTHER}, {HERE}]")})
    here = HERE.partition("/")[2]
    assert ws.ok("shell", ":web", "--", "cat", f"/app/bin-{here}").out == here


def test_one_platform_is_no_index(ws: Workspace):
    ws.write({"build.yaml": SPEC.replace(f"[{HERE}, {OTHER}]", f"[{OTHER}]")})
    ws.ok("run")
    (described,) = json.loads((ws.root / "dist/web/index.json").read_bytes())["manifests"]
    assert platform(described) == OTHER


def test_what_holds_one_platform_has_this_machines(ws: Workspace):
    ws.write({"build.yaml": SPEC.replace("oci: dist/web", "docker: dist/web.tar, archive: dist/web.oci.tar")})
    ws.ok("run")
    with tarfile.open(ws.root / "dist/web.tar") as tar:
        (entry,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(tar.extractfile(entry["Config"]))  # type: ignore[arg-type]
    assert (entry["RepoTags"], f"linux/{config['architecture']}") == (["example/web:1"], HERE)
    with tarfile.open(ws.root / "dist/web.oci.tar") as tar:
        (top,) = json.load(tar.extractfile("index.json"))["manifests"]  # type: ignore[arg-type]
        assert len(json.load(tar.extractfile("blobs/" + top["digest"].replace(":", "/")))["manifests"]) == 2  # type: ignore[arg-type]
    assert HERE.split("/")[1] in ws.ok("image", "inspect", "example/web:1").out
    ws.write({"build.yaml": SPEC.replace("oci: dist/web", "docker: dist/web.tar").replace(HERE, "linux/s390x")})
    assert "take one platform's image" in ws.fails("check", code=2)


def test_outputs_of_other_rules_are_a_target_each(ws: Workspace):
    output = f'  out: {{from: code, platforms: [{HERE}, {OTHER}], files: {{paths: "/app/*", to: {{dir: "out/${{platform.arch}}"}}}}}}\n'
    ws.write({"build.yaml": SPEC + output})
    ws.ok("run", ":out")
    assert sorted(path.name for path in (ws.root / "out").iterdir()) == ["amd64", "arm64"]
    assert (ws.root / "out/arm64/app/bin-arm64").read_text() == "arm64"
    assert ws.ok("query", "//:out").out.splitlines() == sorted(f"//:out[platform={one}]" for one in (HERE, OTHER))


def test_what_stands_on_an_index_takes_its_own_platform(ws: Workspace):
    more = f"""\
  more:
    from: web
    platforms: [{HERE}, {OTHER}]
    image: {{to: {{oci: dist/more}}}}
"""
    ws.write({"build.yaml": SPEC + more})
    ws.ok("run", ":more")
    for described in index(ws.root / "dist/more")["manifests"]:
        assert f"app/bin-{platform(described).split('/')[1]}" in names(ws.root / "dist/more", described)


def test_an_index_goes_to_a_registry_whole(ws: Workspace):
    with RegistryServer() as server:
        ws.write(
            {
                "build.yaml": SPEC.replace("example/web", f"{server.host}/web"),
                "graphbuild.yaml": json.dumps({"registries": {server.host: {"insecure": True}}}),
            }
        )
        ws.ok("push")
        media_type, top = server.repository("web")["manifests"]["1"]
        assert media_type == "application/vnd.oci.image.index.v1+json"
        listed = json.loads(top)["manifests"]
        assert [platform(described) for described in listed] == [HERE, OTHER]
        for described in listed:
            assert described["digest"] in server.repository("web")["manifests"]
        before = len(server.asked("/blobs/uploads/", "POST"))
        ws.ok("push")
        assert len(server.asked("/blobs/uploads/", "POST")) == before


def test_docker_is_given_the_image_of_this_machine(ws: Workspace):
    with docker_engine() as engine:
        ws.ok("run")
        ws.ok("load", "--into", "docker", **dict(engine.environment))
        shown = json.loads(engine.run("image", "inspect", "example/web:1").stdout)
        assert f"linux/{shown[0]['Architecture']}" == HERE


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (f"[{HERE}, {OTHER}]", "[linux]", "'linux' is not a platform"),
        (f"[{HERE}, {OTHER}]", "[windows/amd64]", "images are built for Linux"),
        ("to: /app}}", f"to: /app}}, platforms: [{OTHER}]}}", "`platforms` belongs to outputs"),
        ("to: /app}}", "to: /app}, matrix: {platform: [a, b]}}", "`platform` is no variable of a matrix"),
    ],
)
def test_mistakes(ws: Workspace, old: str, new: str, said: str):
    ws.write({"build.yaml": SPEC.replace(old, new)})
    told = ws.fails("check", code=2)
    assert said in told
    assert "build.yaml:" in told


def test_mistakes_of_the_option_and_of_labels(ws: Workspace):
    assert "--platform: 'arm64' is not a platform" in ws.fails("run", "--platform", "arm64", code=2)
    assert "'x' is not a platform" in ws.fails("run", "//:code[platform=x]", code=2)


ELF = {"amd64": (62, b"\xb8\x3c\0\0\0\xbf\x2a\0\0\0\x0f\x05"), "arm64": (183, bytes.fromhex("a80b8052400580d2010000d4"))}  # exit(42)


def program(arch: str) -> bytes:
    """A program that ends with 42."""
    machine, code = ELF[arch]
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0x400078, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, 120 + len(code), 120 + len(code), 0x1000) + code


def emulated(ws: Workspace) -> None:
    ws.write(
        {
            "build.yaml": f"bases: {{none: scratch}}\nsteps:\n  bin: {{from: none, copy: {{files: run, to: /}}}}\n"
            f"  ran: {{from: bin, run: [/run]}}\noutputs: {{web: {{from: ran, platforms: [{OTHER}], image: {{}}}}}}\n"
        }
    )
    path = ws.root / "run"
    path.write_bytes(program(ARCH))
    path.chmod(0o755)


def test_a_step_of_another_architecture_says_what_it_takes(ws: Workspace):
    if os.geteuid() != 0 or (os.path.isdir("/proc/sys/fs/binfmt_misc") and os.listdir("/proc/sys/fs/binfmt_misc")):
        pytest.skip("needs root, and a kernel with which no emulator is registered")
    emulated(ws)
    assert "QEMU" in ws.fails("run", code=36)


def test_a_step_of_another_architecture_is_emulated_in_a_user_namespace(ws: Workspace):
    qemu = {"arm64": "qemu-aarch64-static", "amd64": "qemu-x86_64-static"}[ARCH]
    if subprocess.run(["which", qemu], capture_output=True, check=False).returncode:
        pytest.skip(f"needs {qemu} (package qemu-user-static)")
    asked = subprocess.run(["unshare", "-Urm", "mount", "-t", "binfmt_misc", "none", "/mnt"], capture_output=True, check=False)
    if asked.returncode:
        pytest.skip("needs a kernel with a register of its own in each user namespace: Linux 6.7")
    emulated(ws)
    inside = Workspace(ws.root, ws.store, prefix=("unshare", "-Urm"))
    assert "exit code 42" in inside.fails("run", code=1)


def test_the_same_whatever_machine_it_is_built_on(ws: Workspace):
    ws.ok("run")
    first = manifest(ws.root / "dist/web")
    ws.write({"build.yaml": SPEC.replace(f"[{HERE}, {OTHER}]", f"[{OTHER}, {HERE}]")})
    ws.ok("run")
    turned = index(ws.root / "dist/web")["manifests"]
    ws.write({"build.yaml": SPEC})
    ws.ok("run", "--no-cache")
    assert manifest(ws.root / "dist/web") == first
    assert sorted(map(platform, turned)) == sorted((HERE, OTHER))


def test_other_tags_of_an_index_affect_nothing(ws: Workspace):
    def git(*words: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *identity, *words], cwd=ws.root, check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    ws.write({"build.yaml": SPEC.replace("example/web:1", "example/web:2").replace("dist/web", "dist/other")})
    assert ws.ok("affected", "--since", "HEAD").out == ""
    ws.write({"bin-arm64": "other"})
    assert "//:web\n" in ws.ok("affected", "--since", "HEAD").out


def test_a_shell_opens_in_this_machines_image_of_an_index(workspaces: Callable[..., Workspace]):
    ws = workspaces("ws")
    ws.write({"build.yaml": BASE + f"outputs: {{web: {{from: base, platforms: [{OTHER}, {HERE}], image: {{}}}}}}\n"})
    assert ws.ok("shell", "//:web", "--", "/bin/echo", "hi").out == "hi\n"


def test_a_platform_of_a_label_has_one_name(ws: Workspace):
    assert ws.ok("query", "//:web[platform=linux/arm64/v8]").out == "//:web[platform=linux/arm64]\n"
    assert ws.ok("query", "//:web[platform=linux/arm]").out == "//:web[platform=linux/arm/v7]\n"
    assert ws.fails("run", "//:web[platform=arm]", code=2).startswith("'arm' is not a platform\n")


def test_a_query_finds_who_stands_on_a_target_for_another_platform(workspaces: Callable[..., Workspace]):
    ws = workspaces("ws")
    outputs = (
        f"outputs: {{web: {{from: b, platforms: [{HERE}, {OTHER}], image: {{}}}}, far: {{from: b, platforms: [{OTHER}], image: {{}}}}}}\n"
    )
    ws.write({"build.yaml": f"bases: {{b: scratch}}\n{outputs}tests: {{t: {{from: web, check: {{config: {{user: root}}}}}}}}\n"})
    assert ws.ok("query", "tests(rdeps(//..., //:web))").out == "//:t\n"
    assert {"//:far", "//:web", "//:t"} <= set(ws.ok("query", "rdeps(//..., //:b)").out.split())
