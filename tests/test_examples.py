"""The examples are correct specs and do what their pages say. Each is copied out, for inside the repository it is no workspace.

Those that need Debian's mirror and PyPI skip where these cannot be reached; what they build runs in Docker.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
from pathlib import Path

import pytest
from peers import Engine, docker_engine

EXAMPLES = Path(__file__).parent.parent / "examples"


class Workspace:
    """A copy of an example, or of another folder, with a store of its own."""

    def __init__(self, name: str, folder: Path, source: Path = EXAMPLES) -> None:
        self.root = folder / name
        shutil.copytree(source / name, self.root, ignore=shutil.ignore_patterns("dist", "build.lock", ".venv", ".git", ".*_cache"))
        self._environment = {**os.environ, "GRAPHBUILD_STORE": str(folder / "store")}

    def __call__(self, *arguments: str) -> str:
        """Run graphbuild there; what it printed."""
        command = [sys.executable, "-m", "graphbuild.start", *arguments]
        done = subprocess.run(command, cwd=self.root, env=self._environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def network():
    for url in ("http://deb.debian.org/debian/dists/bookworm/Release", "https://pypi.org/simple/flask/"):
        try:
            urllib.request.urlopen(url, timeout=20).close()
        except OSError as error:
            pytest.skip(f"{url} cannot be reached: {error}")


def _installed(workspace: Workspace) -> None:
    pytest.importorskip("graphbuild_debian", reason="the plugin graphbuild-debian is not installed")
    assert "well formed" in workspace("check", "//...")


@pytest.mark.parametrize("name", ["hello", "web", "monorepo", "plugin"])
def test_every_example_is_well_formed(name: str, tmp_path: Path):
    _installed(Workspace(name, tmp_path))


def test_every_folder_is_an_example_with_a_page():
    folders = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
    assert folders == ["hello", "monorepo", "plugin", "web"]
    assert all((EXAMPLES / name / "README.md").is_file() for name in folders)


def test_the_plugin_writes_files_with_text_mode_and_owner(tmp_path: Path):
    workspace = Workspace("plugin", tmp_path)
    workspace("run", ":etc")
    with tarfile.open(workspace.root / "dist/etc.tar") as tar:
        files = {member.name: (member.mode, member.uid, tar.extractfile(member).read()) for member in tar if member.isfile()}
    assert files == {
        "etc/motd": (0o644, 0, b"This is version 1.0.\nBe kind.\n"),
        "etc/app/key": (0o600, 1000, b"not a secret"),
    }


def test_a_variable_rebuilds_what_mentions_it(tmp_path: Path):
    workspace = Workspace("plugin", tmp_path)
    workspace("run", ":etc")
    assert "2 built, 1 cached" in workspace("run", ":etc", "--set", "version=2.0")


def test_the_plugins_mistakes_point_into_the_spec(tmp_path: Path):
    workspace = Workspace("plugin", tmp_path)
    spec = workspace.root / "build.yaml"
    spec.write_text(spec.read_text().replace("/etc/motd", "etc/motd"))
    with pytest.raises(AssertionError, match=r"build\.yaml:1\d:\d+: 'etc/motd' is not the absolute path of a file"):
        workspace("check", "//...")


@pytest.mark.network
@pytest.mark.usefixtures("network")
def test_graphbuild_builds_its_own_image(tmp_path: Path):
    """The repository's own workspace, from a copy of what it holds."""
    repository = EXAMPLES.parent
    workspace = Workspace(repository.name, tmp_path, repository.parent)
    workspace("run", "//:graphbuild")
    with docker_engine() as engine:
        engine.run("load", "-i", str(workspace.root / "dist/graphbuild.tar"))
        assert engine.run("run", "--rm", "--network=none", "graphbuild:latest", "--version").stdout.startswith(b"graphbuild ")


def _answers(engine: Engine, image: str, url: str, *options: str) -> bytes:
    """What the image's container answers, given half a minute."""
    container = engine.run("run", "-d", "--network=host", *options, image).stdout.decode().strip()
    try:
        limit = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(url) as answer:
                    return answer.read()
            except OSError:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.1)
    finally:
        engine.run("rm", "-f", container)


@pytest.mark.network
@pytest.mark.usefixtures("network")
def test_hello_says_hello(tmp_path: Path):
    workspace = Workspace("hello", tmp_path)
    workspace("run", ":hello")
    with docker_engine() as engine:
        engine.run("load", "-i", str(workspace.root / "dist/hello.tar"))
        assert engine.run("run", "--rm", "--network=none", "hello:latest").stdout == b"hello from Debian GNU/Linux 12 (bookworm)\n"


@pytest.mark.network
@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(("name", "tests"), [("hello", ["says"]), ("web", ["greeting", "shape"])])
def test_tests_of_examples_pass_and_write_no_output(name: str, tests: list[str], tmp_path: Path):
    workspace = Workspace(name, tmp_path)
    said = workspace("test", "--progress=quiet")
    assert [line.split()[0] for line in said.splitlines() if " passed " in line] == [f"//:{test}" for test in tests]
    assert not (workspace.root / "dist").exists()
    assert "cached" in workspace("test")


@pytest.mark.network
@pytest.mark.usefixtures("network")
def test_web_answers_and_an_edit_of_its_code_installs_nothing(tmp_path: Path):
    workspace = Workspace("web", tmp_path)
    workspace("run", ":web")
    with docker_engine() as engine:
        engine.run("load", "-i", str(workspace.root / "dist/web.tar"))
        assert _answers(engine, "web:latest", "http://127.0.0.1:28080/", "-e", "PORT=28080") == b"hello, world\n"
    greeting = workspace.root / "src/web/greeting.py"
    greeting.write_text(greeting.read_text().replace("hello", "hi"))
    workspace("run", ":web")
    explained = workspace("explain", ":code", ":compiled", ":deps")
    assert "//:deps run: cached" in explained
    assert "file /app/web/greeting.py changed" in explained
    tests = workspace.root / "src/web/test_greeting.py"
    tests.write_text(tests.read_text() + "# nobody takes this file\n")
    assert " built" not in workspace("run", ":web")


def _built(workspace: Workspace) -> set[str]:
    """The labels of what a run builds."""
    told = workspace("run", "//...", "--events", "-", "--progress=quiet")
    events = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    return {event["label"] for event in events if event["event"] == "action" and event["status"] == "built"}


def _images(layout: Path) -> dict[str, dict[str, bytes]]:
    """What an OCI layout of an index holds: by architecture, the files below /usr/bin and /etc."""

    def blob(described: dict) -> bytes:
        return (layout / "blobs" / described["digest"].replace(":", "/")).read_bytes()

    (top,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    found: dict[str, dict[str, bytes]] = {}
    for described in json.loads(blob(top))["manifests"]:
        files = found.setdefault(described["platform"]["architecture"], {})
        for layer in json.loads(blob(described))["layers"]:
            with tarfile.open(fileobj=io.BytesIO(blob(layer))) as tar:
                files |= {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
    return found


@pytest.mark.network
@pytest.mark.usefixtures("network")
def test_the_monorepo_builds_thirty_services_once_and_what_an_edit_concerns(tmp_path: Path):
    """One test, for one cold build."""
    workspace = Workspace("monorepo", tmp_path)
    workspace("run", "//...")
    packages = [path.parent for path in workspace.root.glob("*/*/build.yaml") if path.parts[-3] != "lib"]
    layouts = [path.parent for path in workspace.root.glob("*/*/dist/**/index.json")]
    assert (len(packages), len(layouts)) == (30, 32)
    assert all(any(layout.is_relative_to(package) for layout in layouts) for package in packages)

    gateway = _images(workspace.root / "edge/gateway/dist")
    machines = {arch: int.from_bytes(files["usr/bin/server"][18:20], "little") for arch, files in gateway.items()}  # ELF's e_machine
    assert machines == {"amd64": 62, "arm64": 183}
    assert "etc/gateway/large.json" in gateway["amd64"]
    assert "etc/gateway/small.json" in gateway["arm64"]

    said = workspace("test", "//...", "--tags=-slow")
    assert " 65 tests" in said
    assert "//shop/orders:many" not in said  # slow
    assert "//edge/gateway:soak" not in said  # manual

    library = workspace.root / "lib/lua/serve.lua"
    library.write_text(library.read_text().replace("not found", "nothing here"))
    services = ("edge/redirects", "pay/taxes", "people/mail", "ship/labels", "shop/vouchers")
    assert _built(workspace) == {"//lib/lua:serve", *(f"//{service}:image" for service in services)}


def test_the_ledgers_client_is_for_pay_alone(tmp_path: Path):
    workspace = Workspace("monorepo", tmp_path)
    _installed(workspace)
    shutil.copy(workspace.root / "pay/billing/build.yaml", workspace.root / "shop/cart/build.yaml")
    with pytest.raises(AssertionError, match=r"shop/cart/build\.yaml:4:\d+: .*//pay/ledger:client"):
        workspace("check", "//...")
