"""Repositories elsewhere: what a name stands for, a commit's files, and what a hostile repository or URL may not do."""

import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from repositories import Repository, git

from graphbuild.network.git import Git, Resolved, shown
from graphbuild.values.errors import EXIT_INTERRUPTED, EXIT_MACHINE, GraphbuildError

ENVIRONMENT = {"PATH": os.environ["PATH"]}


@pytest.fixture
def opened(tmp_path: Path):
    """Opens a URL, in a folder of its own each time."""

    def open_url(url: str, cancelled=lambda: False, **environment: str) -> Git:
        folder = tmp_path / f"git-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return Git(url, folder, {**ENVIRONMENT, **environment}, cancelled)

    return open_url


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "served")


def files(tree: Path) -> dict[str, bytes]:
    return {str(path.relative_to(tree)): path.read_bytes() for path in sorted(tree.rglob("*")) if path.is_file()}


def test_names_stand_for_commits(repository, opened):
    first = repository.commit({"f": "1"}, tag="v1")
    other = repository.commit({"f": "2"}, branch="other")
    git(repository.work, "checkout", "-q", "main")
    newest = repository.commit({"f": "3"})
    git(repository.work, "push", "-q", "origin", "main:refs/heads/deep/v1", "main:refs/tags/both", f"{other}:refs/heads/both")
    remote = opened(repository.url)
    assert remote.resolve("") == Resolved(newest, "refs/heads/main")
    assert remote.resolve("v1") == Resolved(first, "refs/tags/v1")  # and not refs/heads/deep/v1
    assert (
        remote.resolve("other")
        == remote.resolve("refs/heads/other")
        == remote.resolve("heads/other")
        == Resolved(other, "refs/heads/other")
    )
    assert remote.resolve("both").commit == other  # a branch comes before a tag
    assert remote.resolve(first) == Resolved(first)
    for name in ("none", "--upload-pack=touch x", "-v", "a b", "*", "v1^{}", "main:f", "\n"):
        with pytest.raises(GraphbuildError, match="does not contain ref"):
            remote.resolve(name)


@pytest.mark.parametrize("named", [True, False])
def test_files_of_any_commit(repository, opened, named: bool):
    first = repository.commit({"f": "1", "gone": "x", "run*": "#!", "link": "->f"}, tag="v1")
    (repository.work / "gone").unlink()
    repository.commit({"f": "2"})
    tree = opened(repository.url).checkout(Resolved(first, "refs/tags/v1" if named else ""))
    assert {name: content for name, content in files(tree).items() if not name.startswith(".git/")} == {
        "f": b"1",
        "gone": b"x",
        "run": b"#!",
        "link": b"1",
    }


def test_a_name_that_moved_meanwhile_does_not_change_the_commit(repository, opened):
    first = repository.commit({"f": "1"})
    repository.commit({"f": "2"})
    repository.commit({"f": "3"})
    assert (opened(repository.url).checkout(Resolved(first, "refs/heads/main")) / "f").read_text() == "1"
    assert (opened(repository.url).checkout(Resolved(first, "refs/heads/gone")) / "f").read_text() == "1"
    with pytest.raises(GraphbuildError, match="git fetch failed"):
        opened(repository.url).checkout(Resolved("1" * 40))


def test_a_kept_git_folder_is_the_same_each_time_and_works(repository, opened, tmp_path):
    sub = Repository(tmp_path / "served", "sub")
    sub.commit({"inner": "inner"})
    repository.commit({"f": "1" * 1000, "g": "1" * 999})
    commit = repository.submodule("sub", sub)
    made = []
    for _ in range(2):
        remote = opened(repository.url)
        tree = remote.checkout(remote.resolve("main"))
        remote.settle(tree)
        made.append(files(tree))
    assert made[0] == made[1]
    assert {"f", "sub/inner", ".git/HEAD", ".git/modules/sub/HEAD"} <= made[0].keys()
    assert not [name for name in made[0] if re.search("logs/|FETCH_HEAD|hooks/|[.]pack$", name)]
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "rev-parse", "HEAD", "main") == f"{commit}\n{commit}"


def test_submodules_come_along_relative_ones_too(repository, opened, tmp_path):
    sub = Repository(tmp_path / "served", "sub")
    sub.commit({"inner": "inner"})
    repository.commit({"f": "1"})
    commit = repository.submodule("deep/sub", sub, "../sub.git")
    assert (opened(repository.url).checkout(Resolved(commit)) / "deep/sub/inner").read_text() == "inner"
    assert not (opened(repository.url).checkout(Resolved(commit), submodules=False) / "deep/sub/inner").exists()


def test_neither_hooks_nor_configuration_nor_filters_of_anybody_run(repository, opened, tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    home, hooks = tmp_path / "home", tmp_path / "hooks"
    home.mkdir()
    hooks.mkdir()
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {mark}\n")
    (hooks / "post-checkout").chmod(0o755)
    (home / ".gitconfig").write_text(f'[core]\nhooksPath = {hooks}\n[filter "x"]\nsmudge = touch {mark}; cat\n')
    monkeypatch.setenv("HOME", str(home))
    commit = repository.commit({"f": "1", ".gitattributes": "* filter=x\n"})
    environment = {"HOME": str(home), "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"), "GIT_TEMPLATE_DIR": str(tmp_path)}
    opened(repository.url, **environment).checkout(Resolved(commit))
    assert not mark.exists()


def test_urls_that_are_none_are_refused(opened):
    for url in ("", "-x", "--upload-pack=x", "ext::sh -c true", "/etc", "repo.git", "ftp://h/x.git", "ssh://-oProxyCommand=x/y"):
        with pytest.raises(GraphbuildError, match="is not the URL of a git repository"):
            opened(url)
    for url in ("https://", "ssh://-o@h/x", "-o@h:x", "https://h/x\ny", "https://h/a b"):
        with pytest.raises(GraphbuildError):
            opened(url)
    with pytest.raises(GraphbuildError, match="malformed"):
        opened("https://[::1/x.git")


def test_without_git_the_machine_lacks_something(opened, tmp_path):
    with pytest.raises(GraphbuildError, match="needs git") as error:
        opened("https://host/x.git", PATH=str(tmp_path))
    assert error.value.exit_code == EXIT_MACHINE
    assert "install" in error.value.problems[0].hint


def test_who_asks_to_stop_is_heard(repository, opened):
    repository.commit({"f": "1"})
    silent = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)  # takes connections, and answers none
    with pytest.raises(GraphbuildError, match="cancelled") as error:
        opened(f"http://127.0.0.1:{silent.server_port}/x.git", cancelled=lambda: True).resolve("")
    silent.server_close()
    assert error.value.exit_code == EXIT_INTERRUPTED


class Server:
    """git's own server over HTTP, which wants a password where one is given. `seen`: what clients said of themselves."""

    def __init__(self, root: Path, password: str = "") -> None:
        seen = self.seen = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append(self.headers.get("Authorization"))
                path, _, query = self.path.partition("?")
                if password and not self.headers.get("Authorization"):
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", "Basic realm=x")
                    self.end_headers()
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                environment = {
                    **ENVIRONMENT,
                    "GIT_PROJECT_ROOT": str(root),
                    "GIT_HTTP_EXPORT_ALL": "1",
                    "PATH_INFO": path,
                    "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command,
                    "CONTENT_TYPE": self.headers.get("Content-Type") or "",
                    "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
                    "GIT_CONFIG_COUNT": "1",
                    "GIT_CONFIG_KEY_0": "safe.directory",
                    "GIT_CONFIG_VALUE_0": "*",
                }
                answer = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False).stdout
                head, _, content = answer.partition(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
                self.send_response(int(headers.pop("Status", "200").split()[0]))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def do_POST(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_passwords_reach_their_host_and_nothing_else(repository, opened, tmp_path):
    commit = repository.commit({"f": "1"})
    arguments = tmp_path / "arguments"
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text(f'#!/bin/sh\necho "$@" >> {arguments}\nexec {_git()} "$@"\n')
    (programs / "git").chmod(0o755)
    with Server(repository.bare.parent, password="yes") as server:
        url = f"http://user:p%40ss@{server.host}/repo.git"
        assert shown(url) == f"http://{server.host}/repo.git"
        remote = opened(url, PATH=f"{programs}:{ENVIRONMENT['PATH']}")
        assert remote.resolve("main").commit == commit
        tree = remote.checkout(Resolved(commit))
        with pytest.raises(GraphbuildError) as error:
            remote.resolve("none")
    assert (tree / "f").read_text() == "1"
    assert "Basic dXNlcjpwQHNz" in server.seen
    everything = arguments.read_text() + str(error.value) + "".join(map(str, files(tree).values()))
    assert "ss@" not in everything
    assert "p%40" not in everything


def _git() -> str:
    return next(f"{folder}/git" for folder in ENVIRONMENT["PATH"].split(":") if os.access(f"{folder}/git", os.X_OK))


def test_a_password_that_is_wanted_is_not_asked_for(repository, opened):
    repository.commit({"f": "1"})
    with Server(repository.bare.parent, password="yes") as server, pytest.raises(GraphbuildError, match="terminal prompts disabled"):
        opened(f"http://{server.host}/repo.git").resolve("main")


def test_a_url_leads_to_no_file_of_this_machine(repository, opened, tmp_path):
    secret = Repository(tmp_path / "elsewhere", "secret")
    secret.commit({"secret": "s"})
    repository.commit({"f": "1"})
    commit = repository.submodule("sub", secret)
    with Server(repository.bare.parent) as server, pytest.raises(GraphbuildError, match="transport 'file' not allowed"):
        opened(f"http://{server.host}/repo.git").checkout(Resolved(commit))


def test_a_repository_of_sha256(opened, tmp_path):
    work = tmp_path / "work"
    git(tmp_path, "init", "-q", "-b", "main", "--object-format=sha256", "work")
    (work / "f").write_text("1")
    git(work, "add", "f")
    git(work, "commit", "-q", "-m", "c")
    remote = opened(f"file://{work}")
    found = remote.resolve("")
    assert len(found.commit) == 64
    assert (remote.checkout(found) / "f").read_text() == "1"
