"""The log of all builds on a store: complete, rotated, shared by processes, without secrets."""

import os
import subprocess
import sys

import pytest

from graphbuild.ui.log import LogSink
from graphbuild.values.events import ActionFinished, ActionOutput, ActionStarted, BuildFinished, BuildStarted, Exported, Failure, Message

STARTED = BuildStarted(1, "/ws", ("//web:web",), 4, 40)
FINISHED = BuildFinished("ok", 0, 40, 0, 0, 0.04)


def log(file, *events, **options):
    sink = LogSink(file, clock=lambda: 1_700_000_000.25, **options)
    for event in events:
        sink.handle(event, 0)
    sink.tick(0)
    sink.close()
    return [line.split(" ", 2)[2] for line in file.read_text().splitlines()]


def test_a_build_that_ran_something(tmp_path):
    file = tmp_path / "log" / "graphbuild.log"
    failure = Failure("web/build.yaml:3", "make\nmake check", 2, ("oops",))
    lines = log(
        file,
        STARTED,
        ActionFinished("//web:a", "run", "cached"),
        ActionStarted("//web:b", "run", 0.0, 1),
        ActionOutput("//web:b", "run", "not here\n"),
        ActionFinished("//web:b", "run", "failed", "blake3:00", 3.2, "no earlier run", failure=failure),
        Exported("//web:web", "dist/web", "oci", 1234, "sha256:aa"),
        Message("warning", "one\x1b[2J\ntwo"),
        FINISHED,
    )
    assert lines == [
        "build of //web:web in /ws: 40 actions, 4 jobs",
        "//web:b run: started",
        "//web:b run: failed in 3.2s, key blake3:00, no earlier run",
        "  declared at web/build.yaml:3",
        "  command: make",
        "make check",
        "  exit code: 2",
        "  | oops",
        "//web:web: wrote dist/web (oci, 1.2 kB) sha256:aa",
        "warning: one",
        "two",
        "build ok: 0 built, 40 cached, 0 failed, 0 skipped, 0.0s",
    ]
    assert file.read_text().startswith("2023-11-14T22:13:20.250Z ")


def test_a_build_that_ran_nothing_appends_without_the_handler(tmp_path):
    file = tmp_path / "graphbuild.log"
    assert len(log(file, STARTED, FINISHED)) == 2
    assert len(log(file, STARTED, FINISHED)) == 4
    program = (
        "import sys, pathlib\nfrom graphbuild.ui.log import LogSink\nfrom graphbuild.values.events import Message\n"
        "sink = LogSink(pathlib.Path(sys.argv[1]))\nsink.handle(Message('info', 'x'), 0)\nsink.close()\n"
        "assert 'logging' not in sys.modules and 'concurrent_log_handler' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(file)], check=True)
    assert len(file.read_text().splitlines()) == 5


def test_a_full_log_is_rotated_also_by_a_build_that_ran_nothing(tmp_path):
    file = tmp_path / "graphbuild.log"
    for _ in range(12):
        log(file, *[Message("info", "x" * 100)] * 10, file_bytes=1000)
    old = sorted(path.name for path in tmp_path.glob("graphbuild.log.*"))
    assert old == [f"graphbuild.log.{number}" for number in range(1, 6)]
    assert file.stat().st_size <= 3000


@pytest.mark.parametrize("started", [(), (ActionStarted("//:a", "run", 0.0, 1),)])
def test_secrets_that_come_up_during_the_build_are_not_logged(tmp_path, started):
    secrets = set()
    sink = LogSink(tmp_path / "log", secrets=secrets)
    for event in started:
        sink.handle(event, 0)
    secrets.add("hunter2\nsecond-line-of-it")
    failure = Failure(command="login hunter2\nsecond-line-of-it", output=("x second-line-of-it",))
    sink.handle(ActionFinished("//:a", "run", "failed", failure=failure), 0)
    sink.close()
    text = (tmp_path / "log").read_text()
    assert "hunter2" not in text
    assert "second-line" not in text
    assert "login ***" in text


@pytest.mark.parametrize("started", [(), (ActionStarted("//:a", "run", 0.0, 1),)])
def test_a_log_that_cannot_be_written_is_silent(tmp_path, started, capfd):
    blocked = tmp_path / "file"
    blocked.touch()
    sink = LogSink(blocked / "log")
    for event in (*started, FINISHED):
        sink.handle(event, 0)
    sink.close()
    folder = LogSink(tmp_path)
    for event in (*started, FINISHED):
        folder.handle(event, 0)
    folder.close()
    assert capfd.readouterr() == ("", "")


WRITER = """
import pathlib, sys
from graphbuild.ui.log import LogSink
from graphbuild.values.events import ActionStarted, Message
sink = LogSink(pathlib.Path(sys.argv[1]), file_bytes=200_000)
if sys.argv[3] == "1":
    sink.handle(ActionStarted("//:a", "run", 0.0, 1), 0)
for number in range(200):
    sink.handle(Message("info", f"{sys.argv[2]}-{number} " + "x" * 100), 0)
sink.close()
"""


def test_processes_share_a_log_and_no_line_is_lost_or_torn(tmp_path):
    file = tmp_path / "graphbuild.log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(file), f"w{n}", str(n % 2)]) for n in range(6)]
    assert [writer.wait() for writer in writers] == [0] * 6
    lines = [line for path in tmp_path.glob("graphbuild.log*") for line in path.read_text().splitlines()]
    messages = sorted(line.split()[3] for line in lines if "info:" in line)
    assert messages == sorted(f"w{n}-{number}" for n in range(6) for number in range(200))
    assert all(line.endswith("x" * 100) for line in lines if "info:" in line)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_log_on_a_full_disk_is_silent(tmp_path):
    (tmp_path / "log").symlink_to("/dev/full")
    program = (
        "import sys, pathlib\nfrom graphbuild.ui.log import LogSink\nfrom graphbuild.values.events import Message\n"
        "sink = LogSink(pathlib.Path(sys.argv[1]))\nsink.handle(Message('info', 'x'), 3)\nsink.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "log")], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
