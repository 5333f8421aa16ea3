"""kill -9 of whoever takes part in a container's life, at any moment: nothing stays, and nothing is stuck."""

import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from container_engine import Engine, parent_of

from graphbuild.engine.containers.shelf import Shelf
from graphbuild.store.store import Store

ROUNDS = int(os.environ.get("GRAPHBUILD_KILL_ROUNDS", "15"))


def processes(engine: Engine) -> list[int]:
    """All that belong to containers of this store: commands, monitors, what runs in them."""
    found = []
    mark, folder = str(engine.store), str(engine.store / "containers")
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            environ = Path("/proc", name, "environ").read_bytes()
            mounts = Path("/proc", name, "mountinfo").read_text()
        except OSError:
            continue
        if (mark.encode() in environ or folder in mounts) and int(name) != os.getpid():
            found.append(int(name))
    return found


def assassin(engine: Engine, stop: threading.Event, dice: random.Random) -> None:
    while not stop.is_set():
        time.sleep(dice.uniform(0, 0.15))
        victims = processes(engine)
        if victims:
            try:
                os.kill(dice.choice(victims), signal.SIGKILL)
            except ProcessLookupError:
                continue


def groups(engine: Engine) -> list[str]:
    """Control groups of containers that are in the store."""
    ids = {path.name[:32] for path in (engine.store / "containers").iterdir()}
    found = []
    for folder, names, _ in os.walk("/sys/fs/cgroup"):
        found += [f"{folder}/{name}" for name in names if name.removeprefix("graphbuild-container-") in ids]
        if folder.count("/") > 5:
            names.clear()
    return found


def test_nothing_is_left_and_nothing_is_stuck(engine: Engine):
    dice = random.Random(4)
    stop = threading.Event()
    killer = threading.Thread(target=assassin, args=(engine, stop, dice))
    killer.start()
    seen: set[str] = set()
    try:
        for number in range(ROUNDS):
            name = f"c{number}"
            for words in (
                ["create", "--name", name, *(["--rm"] if number % 3 == 0 else []), "base", "sleep", "1000"],
                ["start", name],
                ["exec", name, "sh", "-c", "echo x > /x; sleep 0.01"],
                ["pause", name] if number % 4 == 0 else ["ps", "-a"],
                ["unpause", name] if number % 4 == 0 else ["diff", name],
                ["commit", name] if number % 5 == 0 else ["logs", name],
                ["stop", "-t", "0", name],
                ["rm", name] if number % 2 else ["rm", "-f", name],
            ):
                process = subprocess.Popen(engine.command(*words), env=engine.environment, stdout=-3, stderr=-3, cwd=engine.folder)
                assert process.wait(60) in (0, 1, 2, 125, -9), words
            seen |= {path.name[:32] for path in (engine.store / "containers").iterdir()}
    finally:
        stop.set()
        killer.join()
    names = engine("ps", "-aq").out.split()
    if names:
        engine.ok("rm", "-f", *names)
    engine.ok("prune", "-f")
    assert engine.left() == []
    assert groups(engine) == []
    assert [path for name in seen for path in Path("/sys/fs/cgroup").glob(f"*/graphbuild-container-{name}")] == []
    assert engine.ok("run", "--rm", "base", "echo", "well") == "well\n"
    words = [*engine.command()[:-1], "cache", "verify"]
    assert subprocess.run(words, env=engine.environment, check=True, capture_output=True).stdout == b"the store is intact\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: an ordinary user may make no control group to freeze")
def test_who_led_a_command_into_a_paused_container_does_not_outlive_it(engine: Engine):
    name = engine.ok("run", "-d", "--name", "cc", "base", "sleep", "1000").strip()
    leads = subprocess.Popen(engine.command("exec", "cc", "sh", "-c", "echo in; exec sleep 1000"), env=engine.environment, stdout=-1)
    assert leads.stdout is not None
    with leads.stdout:
        assert leads.stdout.readline() == b"in\n"
    engine.ok("pause", "cc")
    os.kill(
        parent_of(parent_of(int(engine.inspect("cc", ".State.Pid")))), signal.SIGKILL
    )  # the monitor: nobody else knows that it is paused
    leads.kill()
    leads.wait()
    engine.ok("rm", "-f", "cc")
    assert list(Path("/sys/fs/cgroup").rglob(f"graphbuild-container-{name[:32]}")) == []
    engine.clean()


def test_a_folder_that_is_swept_before_it_is_locked_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = Store(tmp_path / "store")
    shelf = Shelf(store)
    made = Path.mkdir

    def swept(folder: Path, mode: int = 0o777) -> None:
        made(folder, mode)
        monkeypatch.undo()
        shelf.sweep()

    monkeypatch.setattr(Path, "mkdir", swept)
    with shelf.new_folder("1" * 64) as folder:
        shelf.sweep()
        assert folder.is_dir()
    store.close()
