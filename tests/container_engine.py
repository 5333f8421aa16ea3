"""`graphbuild container` on a store of its own, as a user would drive it, and images to begin with."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from workspaces import Done

ROOT = Path(__file__).parents[1]
_IMPORT = """
import hashlib, io, sys
from pathlib import Path
from graphbuild.sandbox.namespace import enter
ids = enter().ids
from graphbuild.engine.library import Library, full_name
from graphbuild.image.model import decode, ImageConfig
from graphbuild.store.forms import Forms
from graphbuild.store.store import Store
from graphbuild.values.digest import sha256
store = Store(Path(sys.argv[1]))
class Source:
    document = Path(sys.argv[2]).read_bytes()
    diff_ids = tuple(sha256(text.removeprefix("sha256:")) for text in decode(document, ImageConfig).rootfs.diff_ids)
    def kept(self, index):
        return None
    def open_layer(self, index):
        return open(sys.argv[4 + index], "rb")
with store.lease():
    print(Library(store, Forms(store, 0, ids)).take(Source(), [full_name(sys.argv[3])], "test").id)
store.close()
"""


class Engine:
    """`graphbuild container` on one store. `prefix`: words that start every command, e.g. as an ordinary user."""

    def __init__(self, folder: Path, prefix: tuple[str, ...] = ()) -> None:
        self.folder, self.store, self.prefix = folder, folder / "store", prefix
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
        self.environment["GRAPHBUILD_STORE"] = str(self.store)

    def command(self, *words: str) -> list[str]:
        return [*self.prefix, sys.executable, "-m", "graphbuild", "container", *words]

    def __call__(self, *words: str, data: bytes = b"", timeout: float = 120, **environment: str) -> Done:
        done = subprocess.run(
            self.command(*words),
            env={**self.environment, **environment},
            cwd=self.folder,
            input=data,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="surrogateescape"))

    def ok(self, *words: str, data: bytes = b"", **environment: str) -> str:
        """What a command that must succeed says on stdout."""
        done = self(*words, data=data, **environment)
        assert done.code == 0, done
        return done.out

    def fails(self, *words: str, code: int = 1) -> str:
        """What a command that must fail says on stderr."""
        done = self(*words)
        assert done.code == code, done
        assert "Traceback" not in done.err, done
        return done.err

    def take(self, name: str, document: bytes, *layers: bytes) -> str:
        """Put an image into the store; its id."""
        paths = []
        for number, data in enumerate((document, *layers)):
            path = self.folder / f"taken{number}"
            path.write_bytes(data)
            path.chmod(0o644)
            paths.append(str(path))
        words = [*self.prefix, sys.executable, "-c", _IMPORT, str(self.store), paths[0], name, *paths[1:]]
        return subprocess.run(words, env=self.environment, cwd=self.folder, check=True, capture_output=True, text=True).stdout.strip()

    def inspect(self, container: str, path: str) -> str:
        return self.ok("inspect", "-f", f"{{{{{path}}}}}", container).strip()

    def clean(self) -> None:
        """Remove every container; fails if anything of one is left."""
        names = self("ps", "-aq").out.split()
        if names:
            self("rm", "-fv", *names)
        self.ok("prune", "-f")
        assert self.left() == []

    def left(self) -> list[str]:
        """What is left of containers: processes, mounts, control groups, folders, drafts."""
        mark = str(self.store / "containers")
        found = [f"folder {name}" for name in os.listdir(self.store / "containers") if not name.startswith(".")]
        for name in filter(str.isdecimal, os.listdir("/proc")):
            try:
                if mark in Path("/proc", name, "mountinfo").read_text():
                    words = Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found.append(f"process {name} {words}")
            except OSError:
                continue
        return found


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def document(
    *diff_ids: str, config: str = '{"Cmd":["sh"],"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}'
) -> bytes:
    """An image's config."""
    listed = ",".join(f'"{each}"' for each in diff_ids)
    history = ",".join('{"created":"1970-01-01T00:00:00Z","created_by":"made"}' for _ in diff_ids)
    text = f'{{"architecture":"amd64","os":"linux","config":{config},"rootfs":{{"type":"layers","diff_ids":[{listed}]}},"history":[{history}]}}'
    return text.encode()


def diff_id(layer: bytes) -> str:
    return f"sha256:{hashlib.sha256(layer).hexdigest()}"


def end(engine: Engine) -> None:
    try:
        engine.clean()
    finally:
        for name in filter(str.isdecimal, os.listdir("/proc")):  # ours by their mark
            try:
                if str(engine.store / "containers") in Path("/proc", name, "mountinfo").read_text():
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                continue


def until(check: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < limit, "it did not come to hold in time"
        time.sleep(0.05)
