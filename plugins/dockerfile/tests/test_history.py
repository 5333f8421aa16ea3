"""What `docker history` shows of an image: the instructions, in the words of BuildKit. The expectations are what Docker 28.5 wrote."""

import json
import os
import subprocess
import sys
import tarfile
import unittest
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "conformance"))

from bases import make_bases

_TEXT = """\
ARG G=1
FROM base AS one
ARG A=x
ARG B
ARG G
ENV E=1 F="two words"
ENV OLD style value
COPY a /b
COPY --chown=1:2 --chmod=755 a d /dest/
COPY --link --exclude=*.x a /c2
COPY <<X <<"YZ" /h/
one
X
two
YZ
ADD --chown=1:2 a $F/
WORKDIR /w
WORKDIR rel
WORKDIR /
USER bob
EXPOSE 80 53/udp 443
VOLUME /v1 /v2
VOLUME ["/v3"]
LABEL a=b "c d"="e f"
CMD echo hi
CMD ["a","b c"]
ENTRYPOINT exec e "x"
STOPSIGNAL SIGINT
SHELL ["/bin/sh","-ec"]
ONBUILD COPY a /q
MAINTAINER me too
FROM one
ARG C=3
COPY --from=one /b /y
"""

_RUNS = """\
FROM base
RUN true
ARG A=x
ARG B
ENV A=y
RUN --network=none true && \\
  # why
  echo > /x
RUN ["/bin/sh", "-c", "echo $A"]
RUN <<EOF
echo heredoc
echo two
EOF
SHELL ["/bin/sh", "-ec"]
RUN true
"""

_DOCKER = [
    ("base made", True),
    ("ARG A=x", False),
    ("ARG B=bee", False),
    ("ARG G=1", False),
    ("ENV E=1 F=two words", False),
    ("ENV OLD=style value", False),
    ("COPY a /b # buildkit", True),
    ("COPY --chown=1:2 --chmod=755 a d /dest/ # buildkit", True),
    ("COPY a /c2 # buildkit", True),
    ("COPY <<X <<YZ /h/ # buildkit", True),
    ("ADD --chown=1:2 a two words/ # buildkit", True),
    ("WORKDIR /w", True),
    ("WORKDIR /w/rel", True),
    ("WORKDIR /", False),
    ("USER bob", False),
    ("EXPOSE [443/tcp 53/udp 80/tcp]", False),
    ("VOLUME [/v1 /v2]", False),
    ("VOLUME [/v3]", False),
    ("LABEL a=b c d=e f", False),
    ('CMD ["/bin/sh" "-c" "echo hi"]', False),
    ('CMD ["a" "b c"]', False),
    ('ENTRYPOINT ["/bin/sh" "-c" "exec e \\"x\\""]', False),
    ("STOPSIGNAL SIGINT", False),
    ("SHELL [/bin/sh -ec]", False),
    ("MAINTAINER me too", False),
    ("COPY a /q # buildkit", True),
    ("ARG C=3", False),
    ("COPY /b /y # buildkit", True),
]


def build(folder: Path, *words: str, name: str = "image.tar") -> list[dict[str, object]]:
    """The history of what is built in the folder."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GRAPHBUILD_STORE": str(folder / "store")}
    command = [sys.executable, "-m", "graphbuild", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    with tarfile.open(folder / name) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))[0]
        config = json.load(tar.extractfile(manifest["Config"]))
    assert sum(not entry.get("empty_layer") for entry in config["history"]) == len(config["rootfs"]["diff_ids"])
    return config["history"]


def told(history: list[dict[str, object]]) -> list[tuple[object, bool]]:
    return [(entry["created_by"], not entry.get("empty_layer")) for entry in history]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    web, base = tmp_path / "web", tmp_path / "base"
    web.mkdir()
    base.mkdir()
    for name in ("a", "d"):
        (web / name).write_text(name)
    (web / "Dockerfile").write_text(_TEXT)
    (base / "Dockerfile").write_text("FROM scratch\nCOPY f /f\n")
    (base / "f").write_text("f")
    build(tmp_path, "dockerfile", "base", "-o", "docker:base.tar", name="base.tar")
    _rewritten(tmp_path / "base.tar")
    return tmp_path


def _rewritten(archive: Path) -> None:
    """Give the base a history that another builder wrote."""
    with tarfile.open(archive) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
    del files["oci-layout"], files["index.json"]
    manifest = json.loads(files["manifest.json"])
    config = json.loads(files.pop(manifest[0]["Config"]))
    config["history"] = [{"created": "2020-01-02T03:04:05Z", "created_by": "base made", "comment": "theirs"}]
    manifest[0]["Config"] = "config.json"
    files |= {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(manifest).encode()}
    folder = archive.parent / "unpacked"
    with tarfile.open(archive, "w") as tar:
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
            tar.add(folder / name, name)


def test_the_history_is_the_one_that_docker_writes(context):
    words = ("web", "--build-context", "base=docker-archive://base.tar", "--build-arg", "B=bee", "--label", "more=yes")
    history = build(context, "dockerfile", *words, "-o", "docker:image.tar")
    assert told(history) == _DOCKER
    assert (history[0]["created"], history[0]["comment"]) == ("2020-01-02T03:04:05Z", "theirs")


def test_a_run_names_its_arguments_and_its_shell(tmp_path):
    try:
        bases = make_bases(tmp_path / "bases")
    except unittest.SkipTest as reason:
        pytest.skip(str(reason))
    (tmp_path / "Dockerfile").write_text(_RUNS)
    layout = f"base=oci-layout://{bases.layouts}/base"
    history = build(tmp_path, "dockerfile", ".", "--build-context", layout, "-o", "docker:image.tar")
    runs = [text for text, _ in told(history) if str(text).startswith("RUN")]
    assert runs == [
        "RUN /bin/sh -c true # buildkit",
        "RUN |2 A=y B= /bin/sh -c true &&   echo > /x # buildkit",
        "RUN |2 A=y B= /bin/sh -c echo $A # buildkit",
        "RUN |2 A=y B= /bin/sh -c echo heredoc\necho two\n # buildkit",
        "RUN |2 A=y B= /bin/sh -ec true # buildkit",
    ]


def test_what_stands_on_a_dockerfile_keeps_its_history(context):
    (context / "web" / "Dockerfile").write_text("FROM base\nENV A=b\nCOPY a /a\nLABEL x=y\n")
    (context / "build.yaml").write_text(
        "bases: {base: {oci: base.tar}}\n"
        "steps:\n"
        "  web: {dockerfile: {context: web, contexts: {base: ':base'}}}\n"
        "  more: {from: web, put: {files: web/d, to: /d}}\n"
        "outputs: {image: {from: more, image: {to: {docker: image.tar}}}}\n"
    )
    assert told(build(context, "run", ":image")) == [
        ("base made", True),
        ("ENV A=b", False),
        ("COPY a /a # buildkit", True),
        ("LABEL x=y", False),
        ("PUT //:more", True),
    ]
