"""What tests of several folders share: workspaces on disk with a base of busybox, a server."""

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytest.register_assert_rewrite("crash_workspace", "workspaces")
from workspaces import Workspace, tar_of  # noqa: E402 - after its asserts are to be rewritten

APPLETS = (
    "sh ash cat ls id stat sleep date env echo printf mkdir rm ln chmod chown touch wc cp mv test true false find grep "
    "ip pwd sort readlink cmp head dd seq sha256sum mount umask kill usleep"
)
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1001::/home/bob:/bin/sh\n"
GROUP = b"root:x:0:\nbob:x:1001:\naudio:x:29:bob\n"


@pytest.fixture(scope="session")
def base_tar() -> bytes:
    """A root file system: busybox, a merged /bin, users, a sticky /tmp."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("needs busybox (package busybox-static)")
    files: dict[str, bytes | str] = {"usr/": b"", "usr/bin/": b"", "bin": "usr/bin", "usr/bin/busybox": Path(busybox).read_bytes()}
    files |= {f"usr/bin/{name}": "busybox" for name in APPLETS.split()}
    files |= {"etc/": b"", "etc/passwd": PASSWD, "etc/group": GROUP, "tmp/": b"", "home/": b"", "home/bob/": b""}
    return tar_of(files)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder on the disk, where overlayfs can write, that ordinary users can reach."""
    made = Path(tempfile.mkdtemp(prefix="graphbuild-e2e-", dir="/var/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def workspaces(folder: Path, base_tar: bytes) -> Callable[..., Workspace]:
    """Makes workspaces: `workspaces("name", store="name")`."""

    def make(name: str = "ws", *, store: str = "store", **options: object) -> Workspace:
        made = Workspace(folder / name, folder / store, **options)
        made.write({"base.tar": base_tar})
        return made

    return make


@pytest.fixture
def ws(workspaces: Callable[..., Workspace]) -> Workspace:
    return workspaces()


@pytest.fixture
def server() -> Iterator[Callable[[dict[str, bytes]], tuple[str, list[str]]]]:
    """Serves bodies by path on the loopback: `server(bodies)` gives its URL and the list of paths that were asked for."""
    servers = []

    def serve(bodies: dict[str, bytes]) -> tuple[str, list[str]]:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(bodies[self.path])))
                self.end_headers()
                self.wfile.write(bodies[self.path])

            def log_message(self, *_: object) -> None:
                pass

        made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(made)
        threading.Thread(target=made.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{made.server_port}", asked

    yield serve
    for each in servers:
        each.shutdown()
        each.server_close()
