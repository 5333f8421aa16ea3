"""`--profile` of real builds: what a viewer of traces makes of them."""

import json
from collections.abc import Callable
from itertools import pairwise

from workspaces import Workspace, spec_of, taken

BASES = {"base": {"tar": "base.tar"}}
STEPS = {
    "one": {"from": ["base"], "run": "sleep 0.2; echo 1 > /one"},
    "two": {"from": ["base"], "run": "sleep 0.4; echo 2 > /two"},
    "three": {"from": ["one"], "run": "sleep 0.3; echo 3 > /out"},
}
NEEDS = {"//:one run": "//:base", "//:two run": "//:base", "//:three run": "//:one run", "//:taken": "//:three run"}


def lanes_of(events: list[dict]) -> dict[str, list[dict]]:
    """The slices of each lane by its name, in order."""
    names = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    lanes: dict[str, list[dict]] = {name: [] for name in names.values()}
    for event in sorted((event for event in events if event["ph"] == "X"), key=lambda event: event["ts"]):
        lanes[names[event["tid"]]].append(event)
    return lanes


def test_lanes_and_the_critical_path(workspaces: Callable[..., Workspace]):
    ws = workspaces()
    ws.write({"build.yaml": spec_of(bases=BASES, steps=STEPS, outputs=taken("three", "/out", "dist/out"))})
    said = ws.build(":taken", ":two", "-j2", "--profile=trace.json")
    events = json.loads((ws.root / "trace.json").read_text())["traceEvents"]
    assert {event["ph"] for event in events} <= {"M", "X", "i"}
    lanes = lanes_of(events)
    assert set(lanes) <= {"critical path", "loop", "worker 1", "worker 2"}
    for lane in lanes.values():
        assert all(first["ts"] + first["dur"] <= second["ts"] for first, second in pairwise(lane))
    workers = [event for name, lane in lanes.items() if name.startswith("worker") for event in lane]
    path = lanes["critical path"]
    assert [name for event in path if (name := event["name"]).endswith("run")] == ["//:one run", "//:three run"]
    assert sum(event["dur"] for event in path) <= said[-1]["seconds"] * 1e6
    assert {event["name"] for event in workers if event["args"]["critical"]} == {event["name"] for event in path}
    for name, need in NEEDS.items():
        (event,) = [event for event in workers if event["name"].startswith(name)]
        assert all(other["ts"] + other["dur"] <= event["ts"] for other in workers if other["name"].startswith(need))


def test_what_is_cached_is_an_instant(workspaces: Callable[..., Workspace]):
    ws = workspaces()
    ws.write({"build.yaml": spec_of(bases=BASES, steps=STEPS)})
    ws.run(":three")
    assert ws.build(":three", "--profile=trace.json")[-1]["critical"] == []
    events = json.loads((ws.root / "trace.json").read_text())["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "i"}
    assert "//:three run" in [event["name"] for event in events if event["ph"] == "i"]
    assert "critical path" not in lanes_of(events)
