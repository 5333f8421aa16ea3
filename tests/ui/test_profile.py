"""The Chrome trace: lanes, whole files, mistakes told before the build."""

import json
import os
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.ui.profile import open_profile, trace
from graphbuild.values.errors import GraphbuildError
from graphbuild.values.events import ActionFinished, ActionStarted, CriticalAction

ACTIONS = [
    ActionFinished("//web:deps", "run", "built", "k2", 2.5, "no earlier run", 10, 0.25, 2),
    ActionFinished("//web:code", "copy", "cached", "k1", 0.0, "", 5, 0.125, 0, 1.5),
]


def lane(thread, name, order):
    return [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": thread, "args": {"name": name}},
        {"ph": "M", "name": "thread_sort_index", "pid": 1, "tid": thread, "args": {"sort_index": order}},
    ]


def test_the_trace_of_a_build():
    assert json.loads(trace(ACTIONS, [CriticalAction("//web:deps", "run", 0.25, 2.5)])) == {
        "displayTimeUnit": "ms",
        "traceEvents": [
            {"ph": "M", "name": "process_name", "pid": 1, "tid": 0, "args": {"name": "graphbuild"}},
            *lane(1_000_000, "critical path", -1),
            *lane(0, "loop", 0),
            *lane(2, "worker 2", 2),
            {
                "ph": "X",
                "name": "//web:deps run",
                "cat": "critical",
                "pid": 1,
                "tid": 1_000_000,
                "ts": 250_000,
                "dur": 2_500_000,
                "args": {},
            },
            {
                "ph": "i",
                "s": "t",
                "name": "//web:code copy",
                "cat": "cached",
                "pid": 1,
                "tid": 0,
                "ts": 125_000,
                "args": {"status": "cached", "key": "k1", "reason": "", "size": 5, "critical": False},
            },
            {
                "ph": "X",
                "name": "//web:deps run",
                "cat": "built",
                "pid": 1,
                "tid": 2,
                "ts": 250_000,
                "dur": 2_500_000,
                "args": {"status": "built", "key": "k2", "reason": "no earlier run", "size": 10, "critical": True},
            },
        ],
    }


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), max_size=20))
def test_what_follows_at_once_does_not_overlap(pieces):
    now, actions = 0.0, []
    for number, (pause, seconds) in enumerate(pieces):
        start = now + pause
        actions.append(ActionFinished(f"//:{number}", "run", "built", seconds=seconds, start=start, worker=1))
        now = start + seconds
    slices = [event for event in json.loads(trace(actions))["traceEvents"] if event["ph"] == "X"]
    slices.sort(key=lambda event: int(event["name"].split()[0][3:]))
    assert all(first["ts"] + first["dur"] <= second["ts"] for first, second in pairwise(slices))


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
