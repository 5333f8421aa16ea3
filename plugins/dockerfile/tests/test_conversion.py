"""`graphbuild convert`: what it writes, as people read it. That it builds the same is for conformance/test_converted.py."""

import hashlib
import json
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from graphbuild_dockerfile.program import parse
from graphbuild_dockerfile.shelltext import split_command
from graphbuild_dockerfile.spelling import package_text, scalar
from hypothesis import given
from hypothesis import strategies as st

_ROOT = Path(__file__).parents[3]
_PAGE = _ROOT / "docs" / "dockerfile.md"
_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def image(folder: Path, **config: object) -> None:
    """An OCI layout without files."""
    (folder / "blobs" / "sha256").mkdir(parents=True)

    def blob(kind: str, document: dict) -> dict:
        content = json.dumps(document).encode()
        digest = hashlib.sha256(content).hexdigest()
        (folder / "blobs" / "sha256" / digest).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}+json", "digest": f"sha256:{digest}", "size": len(content)}

    described = {
        "architecture": _ARCHITECTURE,
        "os": "linux",
        "config": {"Env": [_PATH], **config},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    manifest = blob("manifest.v1", {"schemaVersion": 2, "config": blob("config.v1", described), "layers": []})
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "graphbuild.yaml").write_text("")

    def graphbuild(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.path), "GRAPHBUILD_STORE": str(self.path / "store")}
        command = [sys.executable, "-m", "graphbuild", *words]
        return subprocess.run(command, cwd=self.path, env=environment, capture_output=True, text=True, check=False, timeout=100)

    def convert(self, dockerfile: str, *words: str, code: int = 0) -> str:
        (self.path / "Dockerfile").write_text(dockerfile)
        done = self.graphbuild("convert", "Dockerfile", *words)
        assert done.returncode == code, done.stderr
        if code:
            return done.stderr
        (self.path / "build.yaml").write_text(done.stdout)
        checked = self.graphbuild("check")
        assert checked.returncode == 0, done.stdout + checked.stderr
        return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_example_of_the_page(folder: Folder):
    image(folder.path / "images" / "debian")
    section = _PAGE.read_text().partition("## As a build.yaml")[2]
    dockerfile, written = (re.findall(rf"```{kind}\n(.*?)```", section, re.DOTALL)[0] for kind in ("dockerfile", "yaml"))
    assert folder.convert(dockerfile, "--build-context", "debian=oci-layout://images/debian") == written


def test_an_argument_is_a_variable(folder: Folder):
    text = folder.convert("ARG A=1\nFROM scratch\nARG A\nARG B=$A-x\nENV C=c$B\nLABEL l=$A\n")
    assert yaml.safe_load(text)["vars"] == {"A": "1", "B": "${A}-x"}
    config = yaml.safe_load(text)["outputs"]["image"]["image"]["config"]
    assert config == {"env": {"C": "c${B}"}, "labels": {"l": "${A}"}, "workdir": "/"}


def test_what_is_taken_apart_is_written_out(folder: Folder):
    text = folder.convert("FROM scratch\nARG A=v1\nLABEL l=${A#v}\n")
    assert "vars" not in yaml.safe_load(text)
    assert "# Written out where they are used: ARG A.\n" in text
    assert yaml.safe_load(text)["outputs"]["image"]["image"]["config"]["labels"] == {"l": "1"}


def test_an_argument_that_names_an_image_is_written_out(folder: Folder):
    text = folder.convert("ARG TAG=3.20\nFROM alpine:$TAG\nUSER 10\n")
    assert "TODO: alpine:3.20" in text
    assert "ARG TAG" in text


def test_platforms_are_built_in(folder: Folder):
    text = folder.convert("FROM scratch\nARG TARGETARCH\nLABEL l=$TARGETOS-$TARGETARCH\n")
    assert yaml.safe_load(text)["outputs"]["image"]["image"]["config"]["labels"] == {"l": "-${platform.arch}"}
    text = folder.convert("FROM scratch\nARG TARGETARCH BUILDARCH BUILDPLATFORM\nLABEL l=$BUILDPLATFORM-$BUILDARCH-$TARGETARCH\n")
    labels = yaml.safe_load(text)["outputs"]["image"]["image"]["config"]["labels"]
    assert labels == {"l": "${build.platform}-${build.arch}-${platform.arch}"}


def test_dollars_of_the_shell_stay_its_own(folder: Folder):
    text = folder.convert("FROM alpine\nARG A=1\nRUN echo ${A} $A '${x}'\n")
    assert yaml.safe_load(text)["steps"]["echo"]["run"] == {"command": "echo $${A} $A '$${x}'", "env": {"A": "${A}"}}


def test_a_stage_that_nothing_needs_is_an_image_of_its_own(folder: Folder):
    text = folder.convert("FROM scratch AS a\nCOPY x /\nFROM scratch AS b\nCOPY y /\nFROM a\nCOPY z /\n")
    found = yaml.safe_load(text)
    assert found["outputs"]["b"]["tags"] == ["manual"]
    assert found["outputs"]["image"]["from"] == "z"
    assert found["steps"]["z"]["from"] == "a"


def test_a_copy_with_link_waits_for_nothing(folder: Folder):
    text = folder.convert("FROM alpine\nRUN x\nCOPY --link a /b/\n")
    assert yaml.safe_load(text)["steps"]["a"] == {"from": "x", "put": {"files": "a", "to": "/b/", "link": True}}


def test_the_files_of_graphbuild_are_not_copied(folder: Folder):
    text = folder.convert("FROM scratch\nCOPY . /x/\nCOPY src /y/\n")
    steps = yaml.safe_load(text)["steps"]
    assert steps["x"]["put"]["exclude"] == ["build.lock", "build.yaml", "dist/image"]
    assert "exclude" not in steps["src"]["put"]


def test_wildcards_that_take_files_of_graphbuild_are_said(folder: Folder):
    assert "TODO: a wildcard takes build.lock, build.yaml too" in folder.convert("FROM scratch\nCOPY b* /x/\n")


def test_no_file_is_written_over(folder: Folder):
    (folder.path / "mine").write_text("mine")
    assert "mine is there already" in folder.convert("FROM scratch\n", "-o", "mine", code=2)
    assert (folder.path / "mine").read_text() == "mine"


def test_stages_of_one_name_are_told_apart(folder: Folder):
    found = yaml.safe_load(folder.convert("FROM scratch AS a\nCOPY x /\nFROM a AS a\nCOPY y /\nFROM a\nCOPY z /\n"))
    assert found["steps"]["a"]["from"] == "a-2"
    assert found["steps"]["z"]["from"] == "a"


def test_other_users_than_root_may_want_sudo(folder: Folder):
    found = yaml.safe_load(folder.convert("FROM alpine\nUSER bob\nRUN sudo x\nUSER root\nRUN y\n"))
    assert [step["run"] for step in found["steps"].values()] == [{"command": "sudo x", "like_docker": True}, "y"]


@pytest.mark.parametrize(
    "command", ["env | sort", "test $$ = 1", "cat /proc/1/status", "printenv", "hostname > /x", "setfattr -n user.a /f"]
)
def test_what_a_command_may_look_at_is_as_docker_has_it(folder: Folder, command: str):
    said = folder.convert(f"FROM base\nRUN {command}\n")
    assert "like_docker: true" in said


@pytest.mark.parametrize("command", ["make environment", "env A=b make", "/usr/bin/env python3 x.py", "echo process > /sysroot"])
def test_an_ordinary_command_stays_one(folder: Folder, command: str):
    assert "like_docker" not in folder.convert(f"FROM base\nRUN {command}\n")


def test_proxies_are_not_written_down_which_is_said(folder: Folder):
    text = "FROM base\nARG NO_PROXY\nRUN make\n"
    said = folder.convert(text, "--build-arg", "http_proxy=http://proxy", "--build-arg", "NO_PROXY=localhost")
    assert "# Proxies are those of whoever builds: http_proxy is not written down.\n" in said
    assert "env: {NO_PROXY: localhost, no_proxy: localhost}" in said


def test_labels_and_a_platform_of_the_command_line(folder: Folder):
    text = "FROM scratch\nARG TARGETARCH TARGETVARIANT\nLABEL arch=$TARGETARCH-$TARGETVARIANT a=b\n"
    said = folder.convert(text, "--label", "a=c", "--label", "d=e", "--platform", "linux/arm/v7")
    made = yaml.safe_load(said)
    (output,) = made["outputs"].values()
    assert output["image"]["config"]["labels"] == {"a": "c", "arch": "${TARGETARCH}-${TARGETVARIANT}", "d": "e"}
    assert made["vars"] == {"TARGETARCH": "arm", "TARGETVARIANT": "v7"}


def test_triggers_of_the_base_are_written_out(folder: Folder):
    image(folder.path / "base", OnBuild=["COPY a /a"])
    text = folder.convert("FROM base\n", "--build-context", "base=oci-layout://base")
    found = yaml.safe_load(text)
    assert found["steps"]["a"]["put"] == {"files": "a", "to": "/a"}
    assert found["outputs"]["image"]["image"]["config"] == {"on_build": []}


def test_everything_that_does_not_convert_is_said_with_its_line(folder: Folder):
    said = folder.convert("FROM alpine\nRUN []\nRUN --mount=type=secret,id=a/b x\n", code=2)
    assert "Dockerfile:2:1: an empty command does not convert" in said
    assert "Dockerfile:3:1: the secret's id 'a/b' does not convert" in said


def test_a_stage_may_stay_a_dockerfiles(folder: Folder):
    text = folder.convert("FROM scratch AS a\nRUN []\nFROM a\nCOPY b /\n", "--keep")
    found = yaml.safe_load(text)
    assert found["steps"]["a"] == {"dockerfile": {"context": ".", "file": "//Dockerfile", "target": "a"}}
    assert found["steps"]["b"]["from"] == "a"


def test_comments_stay_with_their_instructions(folder: Folder):
    text = folder.convert("# File.\nFROM alpine\n# Run.\nRUN a \\\n  # Inner.\n  b\n# Arg.\nARG X=1\n# Label.\nLABEL a=b\n# Last.\n")
    assert text.startswith("# File.\n#\n# Converted")
    assert "  # Run.\n  # Inner.\n  a:\n" in text
    assert "  # Arg.\n  X:" in text
    assert "  # Label.\n  # Last.\n  image:\n" in text


def command(text: str) -> str:
    (stage,) = parse(f"FROM a\nRUN {text}\n", "Dockerfile").stages
    (said,) = stage.instructions
    return split_command(said.node, said.command.words[0], "\\")


def test_lines_of_a_command_are_kept():
    assert command("a && \\\n    b") == "a && \\\n    b\n"


@pytest.mark.parametrize("text", ["echo 'a \\\nb'", "a # \\\n b", "echo \"$(echo 'a \\\nb')\""])
def test_lines_that_a_shell_would_read_otherwise_are_joined(text: str):
    assert "\\\n" not in command(text)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
TRAPS = st.sampled_from(
    ["yes", "1.10", "010", "12:30:45", "~", "", "null", "- a", "a: b", "a #b", "<<", "=", "2024-01-01", "0x1", "?", "!a", "'", '"', "\n"]
)


@given(st.lists(TEXT | TRAPS, max_size=4), st.dictionaries(TEXT.filter(bool) | TRAPS.filter(bool), TEXT | TRAPS, max_size=3))
def test_texts_are_read_as_they_were_written(texts: list[str], pairs: dict[str, str]):
    from graphbuild.spec.yaml import load

    sections = {"steps": {"a": {"list": texts, "map": pairs, "deep": {"list": texts}}}, "vars": pairs}
    text = package_text([], sections, {})
    wanted = {"steps": sections["steps"]} | ({"vars": pairs} if pairs else {})
    assert load(text.encode(), "build.yaml").data == wanted
    assert yaml.safe_load(text) == wanted


@given(TEXT | TRAPS)
def test_a_scalar_is_one_text_for_every_reader(text: str):
    assert yaml.safe_load(f"a: {scalar(text)}") == {"a": text}
    assert yaml.safe_load(f"[{scalar(text, inside=True)}]") == [text]
