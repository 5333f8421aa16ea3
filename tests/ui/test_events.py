"""Events as a file format: golden lines, and a writer that never stops a build."""

import os
import stat
import subprocess
import sys

import pytest

from graphbuild.ui.events import EventWriter, open_events
from graphbuild.values.errors import GraphbuildError
from graphbuild.values.events import (
    VERSION,
    ActionFinished,
    ActionOutput,
    ActionProgress,
    ActionStarted,
    ActionWaiting,
    BuildFinished,
    BuildStarted,
    Exported,
    Failure,
    Message,
    decode_event,
    encode_event,
)

GOLDEN = [
    (
        BuildStarted(VERSION, "/ws", ("//:site",), 4, 40),
        b'{"event":"build-started","version":1,"workspace":"/ws","targets":["//:site"],"jobs":4,"actions":40}',
    ),
    (ActionStarted("//web:deps", "run", 0.5, 1), b'{"event":"action-started","label":"//web:deps","action":"run","at":0.5,"worker":1}'),
    (
        ActionWaiting("//web:deps", "run", "another build"),
        b'{"event":"action-waiting","label":"//web:deps","action":"run","why":"another build"}',
    ),
    (
        ActionProgress("//web:deps", "run", 1, 2, "download"),
        b'{"event":"action-progress","label":"//web:deps","action":"run","done":1,"total":2,"what":"download"}',
    ),
    (
        ActionFinished("//web:deps", "run", "built", "blake3:00", 3.25, "no earlier run", 10, 0.5, 1),
        (
            b'{"event":"action","label":"//web:deps","action":"run","status":"built","key":"blake3:00","seconds":3.25,'
            b'"reason":"no earlier run","size":10,"start":0.5,"worker":1,"saved":0.0,"failure":null}'
        ),
    ),
    (
        ActionFinished("//:a", "run", "failed", failure=Failure("build.yaml:3", "false", 1, ("last",), "/l", "RUN false")),
        (
            b'{"event":"action","label":"//:a","action":"run","status":"failed","key":"","seconds":0.0,"reason":"","size":0,"start":0.0,'
            b'"worker":0,"saved":0.0,"failure":{"declared":"build.yaml:3","command":"false","exit_code":1,"output":["last"],"log":"/l","text":"RUN false","problems":[]}}'
        ),
    ),
    (
        Exported("//web:web", "dist/web", "oci", 5, "sha256:aa"),
        b'{"event":"exported","label":"//web:web","path":"dist/web","format":"oci","size":5,"digest":"sha256:aa"}',
    ),
    (Message("warning", "slow"), b'{"event":"message","level":"warning","text":"slow"}'),
    (
        BuildFinished("ok", 1, 2, 0, 0, 3.5, 60.0),
        b'{"event":"build","status":"ok","built":1,"cached":2,"failed":0,"skipped":0,"seconds":3.5,"saved":60.0,"critical":[]}',
    ),
]


@pytest.mark.parametrize(("event", "line"), GOLDEN)
def test_the_encoding_of_each_event(event, line):
    assert encode_event(event) == line
    assert decode_event(line) == event


def test_a_reader_ignores_fields_of_later_versions():
    assert decode_event(b'{"event":"message","level":"info","text":"x","new":1}') == Message("info", "x")


def test_a_name_that_is_no_unicode_is_escaped():
    assert b"dist/\\\\udcff" in encode_event(Exported("//:a", "dist/\udcff", "dir", 1, ""))
    failure = Failure(output=("\udc80",))
    assert b"\\\\udc80" in encode_event(ActionFinished("//:a", "run", "failed", failure=failure))


def test_events_are_readable_while_the_build_runs(tmp_path):
    path = tmp_path / "events"
    path.write_text("an older and longer file\n" * 100)
    writer = open_events(str(path), pytest.fail)
    for event, _ in GOLDEN:
        writer.handle(event, 0)
        assert decode_event(path.read_bytes().splitlines()[-1]) == event
    writer.handle(ActionOutput("//:a", "run", "text\n"), 0)
    writer.tick(0)
    writer.close()
    assert [decode_event(line) for line in path.read_bytes().splitlines()] == [event for event, _ in GOLDEN]
    assert not stat.S_IMODE(path.stat().st_mode) & 0o111


def test_a_closed_pipe_is_reported_once():
    reader, descriptor = os.pipe()
    os.close(reader)
    said = []
    writer = EventWriter(descriptor, "pipe", said.append, owned=True)
    for event, _ in GOLDEN:
        writer.handle(event, 0)
    writer.close()
    assert said == ["no more events are written to pipe: Broken pipe"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_reported_once():
    said = []
    writer = open_events("/dev/full", said.append)
    for event, _ in GOLDEN:
        writer.handle(event, 0)
    writer.close()
    assert said == ["no more events are written to /dev/full: No space left on device"]


def test_a_pipe_that_takes_little_at_a_time_gets_everything():
    program = (
        "import os\nfrom graphbuild.ui.events import EventWriter\nfrom graphbuild.values.events import Message\n"
        "os.set_blocking(1, False)\nwriter = EventWriter(1, 'stdout', print, owned=False)\n"
        "for _ in range(20): writer.handle(Message('info', 'x' * 50_000), 0)\nwriter.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 20
    assert all(len(decode_event(line).text) == 50_000 for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", ["missing/events", "", "a\0b", "."])
def test_a_file_that_cannot_be_opened_is_the_users_mistake(tmp_path, name):
    with pytest.raises(GraphbuildError) as caught:
        open_events(str(tmp_path / "missing" / "e") if name == "missing/events" else name, pytest.fail)
    assert caught.value.exit_code == 2
    assert "cannot write events" in str(caught.value)
