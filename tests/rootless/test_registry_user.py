"""An ordinary user's build pushes, pulls what it pushed, and loads: the same image as root's."""

import json
import shutil
import subprocess

import pytest
from registry_server import RegistryServer, digest_of
from workspaces import spec_of


def test_an_ordinary_user_pushes_what_root_does_and_pulls_it(user, root):
    with RegistryServer() as server:
        name = f"{server.host}/lib/web"
        steps = {"step": {"from": "base", "run": "echo made > /out"}}
        outputs = {"web": {"from": "step", "image": {"tags": [f"{name}:${{who}}"]}}}
        spec = spec_of(bases={"base": {"tar": "base.tar"}}, steps=steps, outputs=outputs)
        settings = json.dumps({"registries": {server.host: {"insecure": True}}})
        for who, ws in (("user", user), ("root", root)):
            ws.write({"build.yaml": spec, "graphbuild.yaml": settings})
            ws.ok("push", "--set", f"who={who}")
        manifests = server.repository("lib/web")["manifests"]
        assert digest_of(manifests["user"][1]) == digest_of(manifests["root"][1])
        pulled = {"taken": {"from": "pulled", "files": {"paths": "/out", "to": {"dir": "dist"}}}}
        user.write({"other/build.yaml": spec_of(bases={"pulled": {"image": f"{name}:user"}}, outputs=pulled)})
        shutil.rmtree(user.store)
        user.run("//other:taken")
        assert (user.root / "other/dist/out").read_text() == "made\n"


def test_an_ordinary_users_podman_has_what_is_built(full):
    if not shutil.which("podman"):
        pytest.skip("needs the package podman")
    full.write(
        {"build.yaml": spec_of(bases={"base": {"tar": "base.tar"}}, outputs={"web": {"from": "base", "image": {"tags": ["web:1"]}}})}
    )
    home = full.root.parent
    (home / "storage.conf").write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{home}/podman"\nrunroot = "{home}/podman-run"\n')
    environment = {"CONTAINERS_STORAGE_CONF": str(home / "storage.conf"), "XDG_RUNTIME_DIR": str(home)}
    done = full.ok("load", "--into", "podman", **environment)
    assert done.out.startswith("web:1  sha256:")
    assert "(was there)" in full.ok("load", "--into", "podman", **environment).out
    variables = {**full.environment, **environment}
    listed = subprocess.run(
        [*full.prefix, "podman", "images", "-q", "--no-trunc"], env=variables, cwd=home, capture_output=True, text=True, check=False
    )
    assert done.out.split()[1] in listed.stdout, listed
