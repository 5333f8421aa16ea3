"""A workspace on busybox that is driven through the command line, and what must be true after anything that happened to it."""

import contextlib
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

APPLETS = [
    "sh",
    "true",
    "false",
    "cat",
    "cp",
    "mv",
    "rm",
    "mkdir",
    "ls",
    "ln",
    "echo",
    "sleep",
    "seq",
    "dd",
    "chmod",
    "chown",
    "touch",
    "mknod",
    "mkfifo",
    "yes",
    "head",
    "tail",
    "find",
    "stat",
    "trap",
    "kill",
    "id",
    "wc",
    "env",
    "truncate",
    "tr",
    "test",
    "setsid",
    "sha256sum",
    "sync",
    "printf",
    "usleep",
]
PROJECT = Path(__file__).parent.parent
# A step that heeds no signal and leaves processes: `@MARK@` is a site's mark.
STUBBORN = """
bases:
  base: {tar: base.tar}
steps:
  first: {from: base, run: "echo done > /first"}
  deaf:
    from: first
    env: {MARK: "@MARK@"}
    run: "trap '' INT TERM HUP QUIT; setsid sh -c 'trap \\"\\" TERM; sleep 1000' & while true; do sleep 1; done"
outputs:
  image: {from: deaf, image: {to: {oci: dist/image}}}
"""


class Ended:
    """How a command ended: exit code, stdout and stderr as text (bytes that are no UTF-8 escaped), seconds."""

    def __init__(self, code: int, out: bytes, err: bytes, seconds: float) -> None:
        self.code = code
        self.out = out.decode("utf-8", "backslashreplace")
        self.err = err.decode("utf-8", "backslashreplace")
        self.seconds = seconds

    @property
    def interrupted_too_early(self) -> bool:
        """Whether Ctrl-C came while Python was still starting, before any line of ours was run."""
        return self.code == -signal.SIGINT and not re.search(r"graphbuild/(?!__main__|graphbuild/)\w", self.err)

    def __repr__(self) -> str:
        return f"exit code {self.code} after {self.seconds:.2f} s\n--- stdout\n{self.out[-3000:]}\n--- stderr\n{self.err[-3000:]}"


class Site:
    """A workspace and a store of its own; `mark` is in the environment of all that runs for it and in the store's path."""

    def __init__(self, folder: Path, prefix: Sequence[str] = ()) -> None:
        self.folder = folder
        self.root = folder / "ws"
        self.store = folder / f"store-{folder.name}"
        self.mark = str(self.store)
        self.prefix = tuple(prefix)
        self.root.mkdir(parents=True, exist_ok=True)
        (self.root / "graphbuild.yaml").touch()

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def words(self, *arguments: str) -> list[str]:
        return [*self.prefix, sys.executable, "-m", "graphbuild", *arguments]

    def environment(self) -> dict[str, str]:
        names = {name: value for name, value in os.environ.items() if not name.startswith(("GRAPHBUILD", "COV_"))}
        return names | {"GRAPHBUILD_STORE": str(self.store), "PYTHONPATH": str(PROJECT), "HOME": str(self.folder), "MARK": self.mark}

    def start(self, *arguments: str, out: int = subprocess.PIPE, err: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own: its process group is its pid."""
        return subprocess.Popen(
            self.words(*arguments),
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            preexec_fn=_heed_signals,  # noqa: PLW1509 - the tests have no threads
        )

    def call(self, *arguments: str, timeout: float = 120) -> Ended:
        """Run a command to its end. A traceback, and exit code 37, fail the test whatever it expects."""
        return ended(self.start(*arguments), timeout)

    def run(self, *arguments: str, timeout: float = 120) -> Ended:
        return self.call("run", *arguments, timeout=timeout)

    def good(self, *arguments: str) -> Ended:
        found = self.run(*arguments)
        assert found.code == 0, found
        return found

    def clean(self) -> None:
        """Nothing is left of any command: no process, no mount, no temporary file; and the store is intact."""
        assert processes(self.mark) == []
        assert self.mark not in Path("/proc/self/mountinfo").read_text()
        self.intact()
        for name in ("tmp", "trash", "leases"):
            assert os.listdir(self.store / name) == [], name
        hidden = [path for path in self.root.rglob(".*") if ".graphbuild-" in path.name]
        assert hidden == []

    def intact(self) -> None:
        found = self.call("cache", "verify")
        assert found.code == 0, found


def _heed_signals() -> None:
    """As a terminal starts it: whoever runs the tests in the background may ignore these, and graphbuild would too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def ended(process: subprocess.Popen[bytes], timeout: float = 120) -> Ended:
    began = time.monotonic()
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"no end within {timeout} s: {Ended(-1, out or b'', err or b'', timeout)!r}") from None
    found = Ended(process.returncode, out or b"", err or b"", time.monotonic() - began)
    assert found.code != 37, found
    assert "Traceback (most recent call last)" not in found.err + found.out or found.interrupted_too_early, found
    return found


def processes(mark: str) -> list[str]:
    """The command lines of all processes that have `mark` in their environment or their command line."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        try:
            words, environ = Path("/proc", pid, "cmdline").read_bytes(), Path("/proc", pid, "environ").read_bytes()
        except OSError:
            continue
        if os.fsencode(mark) in words or f"MARK={mark}".encode() in environ.split(b"\0"):
            found.append(f"{pid}: {words.replace(bytes(1), b' ').decode(errors='replace')[:200]}")
    return found


def end_all(mark: str) -> None:
    """Kill what a failed test left running."""
    for line in processes(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line.partition(":")[0]), signal.SIGKILL)


def wait_until(test: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def busybox() -> bytes:
    """A root file system of busybox as a tar."""
    program = shutil.which("busybox")
    if program is None:
        pytest.skip("needs busybox (package busybox-static)")
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777), ("root", 0o700)):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            archive.addfile(folder)
        for name, content, mode in (
            ("bin/busybox", Path(program).read_bytes(), 0o755),
            ("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1001::/:/bin/sh\n", 0o644),
            ("etc/group", b"root:x:0:\nbob:x:1001:\n", 0o644),
        ):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            archive.addfile(info, io.BytesIO(content))
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return made.getvalue()


def image_digest(layout: Path) -> str:
    """What the index of an OCI layout names, after every blob that the layout has was checked against its name."""
    for blob in (layout / "blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    found = re.search(r'"digest":\s*"(sha256:[0-9a-f]{64})"', (layout / "index.json").read_text())
    assert found
    return found[1]
