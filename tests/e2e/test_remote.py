"""What comes from outside without a digest: it is asked for in every build, and what stands on it is what came."""

import hashlib
import shutil
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import pytest
from repositories import Repository, git
from workspaces import BASE, Workspace, settle, spec_of, tree_of

PLUGIN = '''\
"""Files from elsewhere."""

import msgspec

from graphbuild.rules import Analysis, BlobItem, Checkout, Fetch, Pick, Put, Rule, Snapshot, StackTree


class Get(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    sha256: str = ""
    anywhere: bool = True


class Repo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    ref: str = ""
    subdir: str = ""
    keep: bool = False
    commit: str = ""


def get(context, attributes):
    put = Put((BlobItem(context.ref("fetch"), "file"),), "/", mode="0644")
    actions = (("fetch", Fetch(attributes.url, attributes.sha256, anywhere=attributes.anywhere)), ("put", put))
    return Analysis(actions, (Snapshot((*context.snapshot.layers, context.ref("put")), context.snapshot.config, context.snapshot.needs),))


def repo(context, attributes):
    checkout = Checkout(attributes.url, attributes.ref, attributes.subdir, attributes.keep, attributes.commit)
    put = Put((Pick(StackTree((context.ref("checkout"),)), ""),), "/src/")
    return Analysis((("checkout", checkout), ("put", put)), (Snapshot((*context.snapshot.layers, context.ref("put")), context.snapshot.config),))


RULES = (Rule("get", "step", Get, get), Rule("repo", "step", Repo, repo))
'''


@pytest.fixture
def remote(ws: Workspace) -> Callable[..., None]:
    """Declares `got`, a step with a rule of the plugin; `ran` stands on it, `beside` does not."""

    def write(rule: str, **attributes: object) -> None:
        steps = {
            "got": {"from": ["base"], rule: attributes},
            "ran": {"from": ["got"], "run": "cat /file /src/f > /ran 2>/dev/null || true"},
            "beside": {"from": ["base"], "run": "echo beside > /beside"},
        }
        outputs = {
            "out": {"from": "ran", "files": {"to": {"tar": "out.tar"}}},
            "other": {"from": "beside", "files": {"paths": "/beside", "to": {"dir": "other"}}},
        }
        ws.write({"plugins/elsewhere.py": PLUGIN, "build.yaml": BASE + spec_of(steps=steps, outputs=outputs)})

    return write


class Served:
    """Bodies by path, with ETags; what was asked for, and how it was answered."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.asked: list[tuple[str, int]] = []
        self.url = ""


@pytest.fixture
def served():
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    made = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = made.bodies.get(self.path)
            etag = f'"{hashlib.sha256(body or b"").hexdigest()}"'
            known = self.headers.get("If-None-Match") == etag
            status = HTTPStatus.NOT_FOUND if body is None else HTTPStatus.NOT_MODIFIED if known else HTTPStatus.OK
            made.asked.append((self.path, int(status)))
            self.send_response(status)
            self.send_header("ETag", etag)
            if not known:
                self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if not known:
                self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()


def content(ws: Workspace, name: str = "ran") -> bytes:
    import tarfile

    with tarfile.open(ws.root / "out.tar") as tar:
        found = tar.extractfile(name)
        assert found is not None
        return found.read()


def test_what_came_decides_what_is_built(ws: Workspace, remote, served: Served):
    served.bodies["/f"] = b"one"
    remote("get", url=f"{served.url}/f")
    ws.run()
    assert content(ws) == b"one"
    assert ws.built() == set()  # the same came: everything is cut off
    served.bodies["/f"] = b"two"
    assert ws.built() == {"//:got#fetch", "//:got#put", "//:ran#run", "//:out#tar"}
    assert content(ws) == b"two"
    served.bodies["/f"] = b"one"  # and back: its results are known, but for the output
    assert ws.built() == {"//:out#tar"}
    assert content(ws) == b"one"
    assert served.asked == [("/f", 200), ("/f", 304), ("/f", 200), ("/f", 200)]
    del served.bodies["/f"]
    assert "HTTP 404" in ws.fails("run")


def test_an_unchanged_build_asks_all_the_same(ws: Workspace, remote, served: Served):
    served.bodies["/f"] = b"one"
    remote("get", url=f"{served.url}/f")
    for _ in range(3):
        settle()
        assert not ws.run().certified
    assert [status for _, status in served.asked] == [200, 304, 304]


def test_offline_is_what_there_was(ws: Workspace, remote, served: Served):
    served.bodies["/f"] = b"one"
    remote("get", url=f"{served.url}/f")
    assert "--offline" in ws.fails("run", "--offline")
    ws.run()
    served.bodies["/f"] = b"two"
    assert ws.built("--offline") == set()
    assert content(ws) == b"one"
    assert len(served.asked) == 1


def test_a_url_is_asked_once_a_build(ws: Workspace, served: Served):
    served.bodies["/f"] = b"one"
    steps = {name: {"from": ["base"], "get": {"url": f"{served.url}/f"}} for name in ("a", "b", "c")}
    ws.write({"plugins/elsewhere.py": PLUGIN, "build.yaml": BASE + spec_of(steps=steps)})
    ws.run("-j4", "...")
    assert len(served.asked) == 1


def test_a_digest_is_looked_up_by_itself_or_as_what_a_url_gives(ws: Workspace, remote, served: Served):
    served.bodies |= {"/f": b"one", "/g": b"two"}
    one = hashlib.sha256(b"one").hexdigest()
    remote("get", url=f"{served.url}/f", sha256=one)
    ws.run()
    remote("get", url=f"{served.url}/g", sha256=one)
    assert ws.built() == set()
    remote("get", url=f"{served.url}/g", sha256=one, anywhere=False)
    assert "the checksum is another" in ws.fails("run")
    remote("get", url=f"{served.url}/f", sha256=one, anywhere=False)
    ws.run()
    assert ws.built() == set()
    assert [path for path, _ in served.asked] == ["/f", "/g", "/f"]


def test_a_policy_denies_what_nothing_pins(ws: Workspace, remote, served: Served):
    served.bodies["/f"] = b"one"
    ws.write({"graphbuild.yaml": "network: deny\n"})
    remote("get", url=f"{served.url}/f")
    assert "//:got asks the network" in ws.fails("run", code=2)
    remote("get", url=f"{served.url}/f", sha256=hashlib.sha256(b"one").hexdigest())
    ws.run()
    remote("repo", url="https://host/x.git", ref="main")
    assert "//:got asks the network" in ws.fails("run", code=2)
    ws.write({"graphbuild.yaml": "network: deny\nnetwork_allow: ['//:got']\n"})
    remote("get", url=f"{served.url}/f")
    ws.run()


@pytest.fixture
def repository(folder: Path) -> Repository:
    return Repository(folder / "served")


def test_a_branch_is_the_commit_that_it_stands_for(ws: Workspace, remote, repository: Repository):
    repository.commit({"f": "one", "run*": "#!", "deep/link": "->../f"}, tag="v1")
    remote("repo", url=repository.url)
    ws.run()
    found = tree_of(ws.root / "out.tar")
    modes = {name: (found[name].mode, found[name].uid, found[name].gid) for name in ("src/f", "src/run", "src/deep")}
    assert modes == {"src/f": (0o644, 0, 0), "src/run": (0o755, 0, 0), "src/deep": (0o755, 0, 0)}
    assert found["src/deep/link"].linkname == "../f"
    assert not [name for name in found if ".git" in name]
    assert ws.built() == set()
    repository.commit({"f": "two"})
    assert ws.built() == {"//:got#checkout", "//:got#put", "//:ran#run", "//:out#tar"}
    assert content(ws, "src/f") == b"two"
    git(repository.work, "push", "-q", "-f", "origin", "v1^{}:refs/heads/main")
    assert ws.built() == {"//:out#tar"}


def test_offline_and_pinned_repositories(ws: Workspace, remote, repository: Repository):
    first = repository.commit({"f": "one"})
    remote("repo", url=repository.url)
    assert "--offline" in ws.fails("run", "--offline")
    ws.run()
    repository.commit({"f": "two"})
    assert ws.built("--offline") == set()
    remote("repo", url=repository.url, ref="main", commit=first)
    assert f"expected checksum to match {first}" in ws.fails("run")
    remote("repo", url=repository.url, ref=first)
    assert ws.built() == set()  # the branch stood for it
    ws.run("--store", f"{ws.store}-2")
    assert "--offline" in ws.fails("run", "--offline", "--store", f"{ws.store}-3")
    shutil.rmtree(repository.bare)
    assert "//:got#checkout" not in ws.built()  # it is not asked for any more


def test_a_commit_that_is_named_beside_a_branch_is_checked_once(ws: Workspace, remote, repository: Repository):
    first = repository.commit({"f": "one"})
    repository.commit({"f": "other"}, branch="other")
    remote("repo", url=repository.url, ref="main", commit=first)
    ws.run()
    remote("repo", url=repository.url, ref="other", commit=first)
    assert "expected checksum" in ws.fails("run")
    remote("repo", url=repository.url, ref="main", commit=first[:9])
    ws.run()
    remote("repo", url=repository.url, ref=first, commit=first[:9])
    ws.run()
    for ref, commit in (("main", "0" * 9), (first, "0" * 9), (first, "0" * 40)):
        remote("repo", url=repository.url, ref=ref, commit=commit)
        assert "expected checksum" in ws.fails("run")


def test_a_folder_of_a_repository(ws: Workspace, remote, repository: Repository):
    repository.commit({"f": "top", "deep/folder/f": "below", "deep/away": "->/etc", "file": ""})
    remote("repo", url=repository.url, subdir="/deep//folder/", keep=True)
    ws.run()
    assert content(ws, "src/f") == b"below"
    assert not [name for name in tree_of(ws.root / "out.tar") if ".git" in name]
    for name in ("none", "deep/away", "file", ".git", "deep/away/../folder"):
        remote("repo", url=repository.url, subdir=name)
        if name.endswith("folder"):
            ws.run()  # paths are cleaned before anything is looked at
        else:
            assert f"invalid subdir {name}" in ws.fails("run")
    remote("repo", url=repository.url, subdir="../../../deep/folder")
    ws.run()
    assert content(ws, "src/f") == b"below"


def test_a_kept_git_folder_is_the_same_in_every_store(ws: Workspace, remote, repository: Repository, workspaces, monkeypatch):
    repository.commit({"f": "one"}, tag="v1")
    remote("repo", url=repository.url, ref="v1", keep=True)
    ws.run()
    first = (ws.root / "out.tar").read_bytes()
    assert "src/.git/HEAD" in tree_of(ws.root / "out.tar")
    settle()
    ws.run("--store", f"{ws.store}-2")
    assert (ws.root / "out.tar").read_bytes() == first


def test_without_git_it_says_what_to_install(ws: Workspace, remote, tmp_path: Path):
    for name in ("bwrap", "sh", "busybox"):
        if found := shutil.which(name):
            (tmp_path / name).symlink_to(found)
    remote("repo", url="https://host/x.git")
    said = ws.fails("run", code=36, PATH=str(tmp_path))
    assert "needs git" in said
    assert "install" in said
