"""Loopback servers for what ADD fetches: files over HTTP and a git repository, the same bytes and commits each time.

`remote()` gives what stands for the tokens in cases: `@HTTP@` and `@GIT@`, the servers' URLs without a slash at the end, and `@MAIN@`,
`@FIRST@` and `@TREE@`, digests of commits of main and of a tree. Each case has a `@GIT@` of its own: the engine keeps what it knows of a
repository by its URL, submodules of another commit included.
"""

import contextlib
import os
import subprocess
import tempfile
import threading
import unittest
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from urllib.parse import urlsplit

from archives import Archive, Member, packed

_MODIFIED = "Tue, 02 Jan 2001 03:04:05 GMT"
_IDENTITY = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2001-02-03T04:05:06Z",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "2001-02-03T04:05:06Z",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}
_BODIES = {
    "/hello.txt": b"hello\n",
    "/deep/path/name.bin": b"name\n",
    "/sp%20ace.txt": b"space\n",
    "/empty": b"",
    "/": b"index\n",
    "/folder/": b"folder\n",
    "/attached": b"attached\n",
    "/archive.tar.gz": packed(Archive((Member("in/file", "in\n", mode=0o4755, owner=(5, 6)),), "gz")),
    "/archive.zst": packed(Archive((Member("in/file", "in\n"),), "zst")),
}


class _Handler(BaseHTTPRequestHandler):
    git_root = ""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/git/"):
            self._backend()
        elif path == "/redirect":
            self._answer(302, b"", {"Location": "/deep/path/name.bin"})
        elif path in _BODIES:
            headers = {"Last-Modified": _MODIFIED} | (
                {"Content-Disposition": 'attachment; filename="other.name"'} if path == "/attached" else {}
            )
            self._answer(200, _BODIES[path], headers)
        else:
            self._answer(404, b"nothing here\n", {})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self._backend()

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _backend(self) -> None:
        """Git's own server, as CGI."""
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        environment = {
            **os.environ,
            **_IDENTITY,
            "GIT_PROJECT_ROOT": self.git_root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": "/" + url.path.split("/", 3)[3],
            "QUERY_STRING": url.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type") or "",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            "REMOTE_ADDR": "127.0.0.1",
        }
        answer = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False).stdout
        head, _, content = answer.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
        self._answer(int(headers.pop("Status", "200").split()[0]), content, headers)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def remote() -> Iterator[dict[str, str]]:
    if not which("git"):
        raise unittest.SkipTest("git is not installed")
    with tempfile.TemporaryDirectory(prefix="conformance-git-") as folder:
        commits = _repositories(Path(folder))
        handler = type("Handler", (_Handler,), {"git_root": folder})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield {"@HTTP@": url, "@GIT@": f"{url}/git", **commits}
        finally:
            server.shutdown()
            server.server_close()


def _repositories(root: Path) -> dict[str, str]:
    """repo.git, with a submodule, a tag, a branch beside main; and sub.git. What stands for the tokens of its commits."""
    sub = root / "sub"
    _git(root, "init", "-q", "-b", "main", "sub")
    (sub / "inner").write_text("inner\n")
    _commit(sub, "sub")
    work = root / "work"
    _git(root, "init", "-q", "-b", "main", "work")
    (work / "README").write_text("first\n")
    (work / "run.sh").write_text("#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "link").symlink_to("README")
    (work / "dir" / "deep").mkdir(parents=True)
    (work / "dir" / "deep" / "file").write_text("deep\n")
    (work / ".dockerignore").write_text("*\n")
    _commit(work, "first")
    _git(work, "tag", "-a", "-m", "v1", "v1")
    _git(work, "tag", "light")
    _git(work, "checkout", "-q", "-b", "other")
    (work / "README").write_text("other\n")
    _commit(work, "other")
    _git(work, "checkout", "-q", "main")
    (work / "README").write_text("main\n")
    (work / ".gitmodules").write_text('[submodule "sub"]\n\tpath = sub\n\turl = ../sub.git\n')
    _git(work, "update-index", "--add", "--cacheinfo", f"160000,{_git(sub, 'rev-parse', 'HEAD')},sub")
    _commit(work, "main")
    for name, folder in (("repo", work), ("sub", sub)):
        bare = root / f"{name}.git"
        _git(root, "clone", "-q", "--bare", str(folder), str(bare))
        _git(bare, "config", "uploadpack.allowAnySHA1InWant", "true")
        _git(bare, "config", "uploadpack.allowFilter", "true")
    return {
        "@MAIN@": _git(work, "rev-parse", "main"),
        "@FIRST@": _git(work, "rev-parse", "v1^{commit}"),
        "@TREE@": _git(work, "rev-parse", "main^{tree}"),
    }


def _commit(folder: Path, message: str) -> None:
    _git(folder, "add", "-A", ":!sub")
    _git(folder, "commit", "-q", "-m", message)


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, env={**os.environ, **_IDENTITY}, capture_output=True, text=True, check=True)
    return done.stdout.strip()
