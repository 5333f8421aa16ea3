"""ADD of what is elsewhere, built as a user would: what is asked for again, and what is wrong before anything is asked."""

import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

DIGEST = "sha256:" + "0" * 64


class Server:
    """Serves `body` under every path, and counts how often."""

    def __init__(self) -> None:
        outer, self.body, self.asked = self, b"", 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(outer.body)))
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


@pytest.fixture
def built(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Builds a Dockerfile; its files are in out.tar."""

    def build(*lines: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "Dockerfile").write_text("\n".join(lines) + "\n")
        words = [sys.executable, "-m", "graphbuild", "dockerfile", ".", "-o", "tar:out.tar", "--progress=plain"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GRAPHBUILD_STORE": str(tmp_path / "store")}
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120)

    return build


def content(tmp_path: Path, name: str) -> bytes:
    with tarfile.open(tmp_path / "out.tar") as tar:
        found = tar.extractfile(name)
        assert found is not None
        return found.read()


def test_only_what_stands_on_it_is_built_again(built, server: Server, tmp_path: Path):
    server.body = b"one"
    lines = ("FROM scratch", "COPY Dockerfile /", f"ADD {server.url}/file /", "FROM scratch", "COPY --from=0 /file /copied")
    assert built(*lines).returncode == 0
    assert "built" not in built(*lines).stderr
    assert server.asked == 2
    server.body = b"two"
    assert built(*lines).returncode == 0
    assert content(tmp_path, "copied") == b"two"


def test_what_is_wrong_is_said_at_its_line(built):
    for words, said in (
        (f"--checksum={DIGEST} http://h/a http://h/b /", "checksum can't be specified for multiple sources"),
        (f"--checksum={DIGEST} Dockerfile /", "checksum requires HTTP(S) or Git sources"),
        ("--checksum=sha256:1 http://h/a /", "invalid checksum 'sha256:1'"),
        ("--checksum=xyz http://h/a.git /", "invalid checksum 'xyz'"),
        ("--checksum=ab http://h/a.git?checksum=cd /", 'checksum mismatch "ab" != "cd"'),
        ("--keep-git-dir=false http://h/a.git?keep-git-dir=true /", "inconsistent keep-git-dir configuration"),
        ("http://h/a.git?x=y /", 'unexpected query "x"'),
        ("http://u:secret@h/.. /", "'http://h/..' is no URL of a file"),
    ):
        done = built("FROM scratch", f"ADD {words}")
        assert done.returncode == 2, done.stderr
        assert f"Dockerfile:2:1: {said}" in done.stderr


def test_passwords_are_not_shown(built, server: Server, tmp_path: Path):
    server.body = b"one"
    done = built("FROM scratch", "ARG WHO=user:secret", f"ADD http://$WHO@{server.url.removeprefix('http://')}/file /")
    assert done.returncode == 0, done.stderr
    assert content(tmp_path, "file") == b"one"
    assert "secret@" not in done.stderr
