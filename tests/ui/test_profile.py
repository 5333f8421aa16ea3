"""The Chrome trace: lanes, whole files, mistakes told before the build."""

import json
import os

import pytest

from graphbuild.ui.profile import open_profile, trace
from graphbuild.values.errors import GraphbuildError
from graphbuild.values.events import ActionFinished, ActionStarted

ACTIONS = [
    ActionFinished("//web:deps", "run", "built", "k2", 2.5, "no earlier run", 10, 0.25, 2),
    ActionFinished("//web:code", "copy", "cached", "k1", 0.0, "", 5, 0.125, 0, 1.5),
]


def test_the_trace_of_a_build():
    assert json.loads(trace(ACTIONS)) == {
        "displayTimeUnit": "ms",
        "traceEvents": [
            {"ph": "M", "name": "process_name", "pid": 1, "tid": 0, "args": {"name": "graphbuild"}},
            {"ph": "M", "name": "thread_name", "pid": 1, "tid": 0, "args": {"name": "loop"}},
            {"ph": "M", "name": "thread_name", "pid": 1, "tid": 2, "args": {"name": "worker 2"}},
            {
                "ph": "X",
                "name": "//web:code copy",
                "cat": "cached",
                "pid": 1,
                "tid": 0,
                "ts": 125_000,
                "dur": 0,
                "args": {"status": "cached", "key": "k1", "reason": "", "size": 5},
            },
            {
                "ph": "X",
                "name": "//web:deps run",
                "cat": "built",
                "pid": 1,
                "tid": 2,
                "ts": 250_000,
                "dur": 2_500_000,
                "args": {"status": "built", "key": "k2", "reason": "no earlier run", "size": 10},
            },
        ],
    }


def test_the_file_appears_whole_at_the_end(tmp_path):
    path = tmp_path / "profile.json"
    profile = open_profile(str(path), pytest.fail)
    profile.handle(ActionStarted("//web:deps", "run", 0.25, 2), 0)
    for action in (*ACTIONS, ActionFinished("//web:web", "image", "skipped")):
        profile.handle(action, 0)
    profile.tick(0)
    assert os.listdir(tmp_path) == []
    profile.close()
    assert os.listdir(tmp_path) == ["profile.json"]
    assert path.read_bytes() == trace(ACTIONS)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_told_and_no_more():
    said = []
    profile = open_profile("/dev/full", said.append)
    profile.handle(ACTIONS[0], 0)
    profile.close()
    assert said == ["no profile was written to /dev/full: No space left on device"]


def test_what_is_no_file_is_written_as_it_is():
    reader, descriptor = os.pipe()
    profile = open_profile(f"/dev/fd/{descriptor}", pytest.fail)
    profile.handle(ACTIONS[0], 0)
    profile.close()
    os.close(descriptor)
    with os.fdopen(reader, "rb") as pipe:
        assert pipe.read() == trace(ACTIONS[:1])


@pytest.mark.parametrize("path", ["", "missing/profile", ".", "a\0b"])
def test_a_place_where_no_file_can_be_is_the_users_mistake(path):
    with pytest.raises(GraphbuildError, match="cannot write a profile"):
        open_profile(path, pytest.fail)
