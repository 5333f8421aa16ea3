"""`graphbuild watch`: what a save builds, what it leaves alone, and how it ends."""

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accounts import user_prefix
from workspaces import Workspace, spec_of, taken

pytest.importorskip("watchfiles")

SPEC = spec_of(
    bases={"base": {"tar": "base.tar"}},
    steps={
        "code": {"copy": {"files": ["src/**"], "to": "/app"}},
        "made": {"from": ["base", "code"], "run": "cat $(find /app -type f | sort) > /out"},
        "other": {"from": ["base"], "run": "echo other > /other"},
    },
    outputs=taken("made", "/out", "dist/out"),
)


class Watch:
    """A running `graphbuild watch`, and the lines it says."""

    def __init__(self, ws: Workspace, *words: str, **environment: str) -> None:
        heard = ("env", "--default-signal=INT,HUP,TERM")  # also where the tests run in the background of a script, which ignores SIGINT
        command = [*heard, *ws.prefix, sys.executable, "-m", "graphbuild", "watch", *words]
        places = {"GRAPHBUILD_STORE": str(ws.store), "PYTHONPATH": str(Path(__file__).parents[2])}
        self.root, self.said = ws.root, ""
        self.process = subprocess.Popen(
            command, cwd=ws.root, env={**ws.environment, **places, **environment}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        self.line("watching for changes")

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)

    def line(self, part: str, seconds: float = 20) -> str:
        """The next line that has the part in it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=0.1)
                self.said += line
                if part in line:
                    return line
        raise AssertionError(f"{part!r} was not said, but:\n{self.said}")

    def silent(self, seconds: float = 0.7) -> None:
        with pytest.raises(AssertionError, match="was not said"):
            self.line("", seconds)

    @property
    def out(self) -> str:
        return (self.root / "dist/out/out").read_text()

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        try:
            code = self.process.wait(10)
        finally:
            self.process.kill()
            self._thread.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


@pytest.fixture
def watching() -> Iterator[Callable[..., Watch]]:
    running: list[Watch] = []

    def start(ws: Workspace, *words: str, **environment: str) -> Watch:
        running.append(Watch(ws, *words, **environment))
        return running[-1]

    yield start
    for each in running:
        if each.process.poll() is None:
            each.end()


@pytest.fixture
def ws(workspaces: Callable[..., Workspace]) -> Workspace:
    made = workspaces()
    made.write({"build.yaml": SPEC, "src/a": "a\n"})
    return made


def test_a_save_builds_what_it_touches(ws: Workspace, watching: Callable[..., Watch]):
    watch = watching(ws, ":taken", ":other")
    (ws.root / "src/a").write_text("changed\n")
    assert watch.line("src/a").startswith("src/a: ok in ")
    assert watch.out == "changed\n"
    watch.silent()  # what it wrote is no reason to build


def test_new_moved_and_deleted_files(ws: Workspace, watching: Callable[..., Watch]):
    watch = watching(ws, ":taken")
    (ws.root / "src/b").write_text("b\n")
    watch.line("src/b")
    assert watch.out == "a\nb\n"
    (ws.root / ".a.new").write_text("atomic\n")
    (ws.root / ".a.new").rename(ws.root / "src/a")
    watch.line("src/a: ok")
    assert watch.out == "atomic\nb\n"
    (ws.root / "src/b").unlink()
    watch.line("src/b: ok")
    assert watch.out == "atomic\n"
    (ws.root / "src/new/deep").mkdir(parents=True)
    (ws.root / "src/new/deep/c").write_text("c\n")
    watch.line("ok in")
    until = time.monotonic() + 10
    while watch.out != "atomic\nc\n" and time.monotonic() < until:
        time.sleep(0.05)
    (ws.root / "src/new/deep/c").write_text("again\n")
    watch.line("src/new/deep/c: ok")
    assert watch.out == "atomic\nagain\n"


def test_a_broken_spec_is_shown_and_waited_for(ws: Workspace, watching: Callable[..., Watch]):
    watch = watching(ws, ":taken")
    (ws.root / "build.yaml").write_text(SPEC.replace('"run"', '"rnu"'))
    watch.line("did you mean 'run'?")
    watch.line("build.yaml: failed in")
    (ws.root / "build.yaml").write_text(SPEC.replace("/app -type", "/app /app -type"))
    watch.line("build.yaml: ok in")
    assert watch.out == "a\na\n"


def test_it_begins_with_a_broken_spec_too(ws: Workspace, watching: Callable[..., Watch]):
    ws.write({"build.yaml": "steps: ["})
    watch = watching(ws, ":taken")
    assert "build.yaml:1" in watch.said
    ws.write({"build.yaml": SPEC})
    watch.line("build.yaml: ok in")
    assert watch.out == "a\n"


def test_a_step_that_fails_is_waited_for(ws: Workspace, watching: Callable[..., Watch]):
    ws.write({"build.yaml": SPEC.replace("cat $", "grep -v bad /dev/null; cat $").replace("> /out", "> /out; ! test -e /app/src/bad")})
    watch = watching(ws, ":taken")
    (ws.root / "src/bad").touch()
    watch.line("//:made run failed")
    watch.line("src/bad: failed in")
    (ws.root / "src/bad").unlink()
    watch.line("src/bad: ok in")


def test_a_burst_is_one_build_or_two(ws: Workspace, watching: Callable[..., Watch]):
    watch = watching(ws, ":taken")
    for number in range(50):
        (ws.root / f"src/f{number:02}").write_text(f"{number}\n")
    watch.line("ok in")
    watch.silent(1.5) if len(watch.out.split()) == 51 else watch.line("ok in")
    assert len(watch.out.split()) == 51


def test_what_nobody_looks_at_is_left_alone(ws: Workspace, watching: Callable[..., Watch]):
    ws.write({".git/HEAD": "ref: refs/heads/main\n", "src/.graphbuildignore": "", ".graphbuildignore": "src/log\n"})
    watch = watching(ws, ":taken", "--store", str(ws.root / "store"))
    (ws.root / ".git/index").write_text("x")
    (ws.root / "src/log").write_text("x")
    os.utime(ws.root / "src/a", ns=(1, 1))
    (ws.root / "build.yaml.swp").write_text("x")
    watch.silent()
    (ws.root / "src/a~").write_text("x")  # seen when something else is saved
    watch.silent()


def test_what_a_command_left_running_is_ended_too(ws: Workspace, watching: Callable[..., Watch]):
    watch = watching(ws, ":taken", "--exec", "sleep 1000 & echo $! > server")
    until = time.monotonic() + 10
    while not (ws.root / "server").exists() or not (ws.root / "server").read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
    server = Path("/proc") / (ws.root / "server").read_text().strip()
    time.sleep(0.5)  # the shell is gone, and was looked after
    assert server.exists()
    watch.end()
    while server.exists() and " Z " not in (server / "stat").read_text():
        assert time.monotonic() < until + 10
        time.sleep(0.05)


def test_a_command_after_each_good_build(ws: Workspace, watching: Callable[..., Watch]):
    watch = watching(ws, ":taken", "--exec", "cat dist/out/out >> log; exec sleep 1000")
    log = ws.root / "log"
    (ws.root / "src/a").write_text("second\n")
    watch.line("src/a")
    until = time.monotonic() + 10
    while log.read_text() != "a\nsecond\n" and time.monotonic() < until:
        time.sleep(0.02)
    assert log.read_text() == "a\nsecond\n"
    assert watch.end() == 8
    assert subprocess.run(["pgrep", "-f", str(ws.root)], capture_output=True, check=False).stdout == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_within_a_second_also_while_it_builds(ws: Workspace, watching: Callable[..., Watch], number: int):
    watch = watching(ws, ":taken", "--progress=plain")
    mark = f"sleep 98765{number}"
    ws.write({"build.yaml": SPEC.replace("cat $", f"{mark}; cat $")})
    watch.line("//:made run started")
    began = time.monotonic()
    assert watch.end(number) == 8
    assert time.monotonic() - began < 1.5
    until = time.monotonic() + 2
    while subprocess.run(["pgrep", "-f", mark], capture_output=True, check=False).stdout and time.monotonic() < until:
        time.sleep(0.05)
    assert subprocess.run(["pgrep", "-f", mark], capture_output=True, check=False).stdout == b""


def test_names_that_are_no_utf8(ws: Workspace, watching: Callable[..., Watch]):
    odd = os.fsencode(ws.root) + b"/src/odd-\xff"
    os.mkdir(odd)
    watch = watching(ws, ":taken")
    with open(os.fsencode(ws.root) + b"/src/\xfe", "w") as file:
        file.write("odd\n")
    watch.line("ok in")
    assert watch.out == "a\nodd\n"
    with open(odd + b"/x", "w") as file:
        file.write("unseen\n")
    (ws.root / "src/a").write_text("b\n")
    watch.line("ok in")
    assert watch.out == "b\nunseen\nodd\n"


def test_a_build_that_is_killed_is_told_and_waited_for(ws: Workspace, watching: Callable[..., Watch]):
    watch = watching(ws, ":taken", "--progress=plain")
    ws.write({"build.yaml": SPEC.replace("cat $", "sleep 765432; cat $")})
    watch.line("//:made run started")
    (child,) = Path(f"/proc/{watch.process.pid}/task/{watch.process.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGKILL)
    watch.line("the build was killed by signal 9")
    watch.line("build.yaml: failed in")
    ws.write({"build.yaml": SPEC})
    watch.line("build.yaml: ok in")


def test_nothing_outlives_a_watch_that_is_killed(ws: Workspace, watching: Callable[..., Watch]):
    watch = watching(ws, ":taken", "--progress=plain")
    ws.write({"build.yaml": SPEC.replace("cat $", "sleep 876543; cat $")})
    watch.line("//:made run started")
    assert watch.end(signal.SIGKILL) == -signal.SIGKILL
    until = time.monotonic() + 2
    while subprocess.run(["pgrep", "-f", "sleep 876543"], capture_output=True, check=False).stdout and time.monotonic() < until:
        time.sleep(0.05)
    assert subprocess.run(["pgrep", "-f", "sleep 876543"], capture_output=True, check=False).stdout == b""
    assert ws("run", ":other").code == 0


def test_another_graphbuild_begins_anew(ws: Workspace, tmp_path: Path, watching: Callable[..., Watch]):
    """As after an upgrade: a process that has the old code must not answer for the new."""
    code = tmp_path / "graphbuild"
    shutil.copytree(Path(__file__).parents[2] / "graphbuild", code, ignore=shutil.ignore_patterns("__pycache__"))
    ws.write({"sub/x": ""})
    watch = watching(ws, "//:taken", "-C", "sub", PYTHONPATH=str(tmp_path))
    (code / "ui/text.py").write_text((code / "ui/text.py").read_text() + "# newer\n")
    (ws.root / "src/a").write_text("changed\n")
    watch.line("watching for changes")
    assert watch.out == "changed\n"
    (ws.root / "src/a").write_text("again\n")
    watch.line("src/a: ok")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_an_ordinary_user(workspaces: Callable[..., Workspace], folder: Path, watching: Callable[..., Watch]):
    from accounts import UID

    for kind in ("single", "full"):
        ws = workspaces(f"home-{kind}/ws", store=f"home-{kind}/store", prefix=user_prefix(folder, kind), owner=UID)
        ws.write({"build.yaml": SPEC, "src/a": "a\n"})
        os.chown(ws.root.parent, UID, UID)
        watch = watching(ws, ":taken")
        (ws.root / "src/a").write_text("changed\n")
        watch.line("src/a: ok in")
        assert watch.out == "changed\n"
        assert watch.end() == 8


def test_without_watchfiles_the_fix_is_named(ws: Workspace, tmp_path: Path):
    hide = "import importlib.util as u; find = u.find_spec; u.find_spec = lambda name, *rest: None if name == 'watchfiles' else find(name, *rest)\n"
    (tmp_path / "sitecustomize.py").write_text(hide)
    done = subprocess.run(
        [sys.executable, "-m", "graphbuild", "watch"], cwd=ws.root, capture_output=True, text=True, check=False,
        env={**ws.environment, "GRAPHBUILD_STORE": str(ws.store), "PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"},
    )  # fmt: skip
    assert done.returncode == 36
    assert "pip install 'graphbuild[watch]'" in done.stderr
