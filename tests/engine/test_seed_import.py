"""The other half of the seed session: root file systems from a file, from a URL and from stdin, run, entered, committed, and told apart."""

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_engine import Engine


def image(engine: Engine, *words: str, data: bytes = b"") -> str:
    """`graphbuild image` on the engine's store."""
    command = [word if word != "container" else "image" for word in engine.command()]
    done = subprocess.run([*command, *words], env=engine.environment, cwd=engine.folder, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done
    return done.stdout.decode()


@pytest.fixture
def url(busybox_tar: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(busybox_tar)))
            self.end_headers()
            self.wfile.write(busybox_tar)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/root.tar"
    server.shutdown()
    server.server_close()


def test_import_run_enter_commit(anyone: Engine, busybox_tar: bytes, url: str):
    engine = anyone
    file = Path(engine.folder / "root.tar")
    file.write_bytes(busybox_tar)
    file.chmod(0o644)
    image(engine, "import", "-m", "by hand", str(file), "one:1")
    image(engine, "import", "-c", "CMD sleep 1000", url, "two:1")
    image(engine, "import", "-c", "ENV GREETING=hello", "-", "three:1", data=busybox_tar)
    assert json.loads(image(engine, "inspect", "one:1"))[0]["Comment"] == "by hand"

    engine.ok("run", "-d", "--name", "lives", "two:1")
    assert engine.ok("exec", "lives", "id", "-u").strip() == "0"
    assert engine.ok("run", "--rm", "three:1", "sh", "-c", "echo $GREETING").strip() == "hello"

    engine.ok("exec", "lives", "sh", "-c", "rm /etc/group; echo more > /more")
    assert engine("exec", "lives", "cat", "/etc/group").code == 1
    engine.ok("commit", "-m", "less and more", "-a", "somebody", "lives", "two:2")
    assert engine("run", "--rm", "two:2", "cat", "/etc/group").code == 1
    assert "root" in engine.ok("run", "--rm", "two:1", "cat", "/etc/group")  # gone in the container, still in the image

    old, new = (json.loads(image(engine, "inspect", name))[0] for name in ("two:1", "two:2"))
    assert new["RootFS"]["Layers"][:-1] == old["RootFS"]["Layers"]
    assert (new["Author"], new["Comment"]) == ("somebody", "less and more")
    rows = {row["Repository"] + ":" + row["Tag"]: row for row in map(json.loads, image(engine, "ls", "--format", "json").splitlines())}
    assert rows["two:2"]["Shared"] == rows["two:1"]["Size"]  # the base is there once
    assert "- /etc/group" in image(engine, "diff", "two:1", "two:2")
    image(engine, "verify")
