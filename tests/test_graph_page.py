"""The page of a graph: what it says, that it needs nothing, that labels are only text in it, and that its script works."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.cli.draw import draw
from graphbuild.graph.layout import HEIGHT, WIDTH, layout
from graphbuild.values.label import Label


def label(name: str) -> Label:
    return Label("", name)


A, B, C, D, E = map(label, "abcde")
EDGES = {A: (), B: (A,), C: (A,), D: (B, C), E: ()}


def page(edges: dict, hostile: str = "") -> str:
    return draw(edges, dict.fromkeys(edges, "run"), {one: f"{hostile}build.yaml:{number}" for number, one in enumerate(edges)}, "html")


def data(text: str) -> dict:
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def test_what_it_says():
    targets = data(page(EDGES))["targets"]
    assert [(one["name"], one["rule"], one["place"], one["needs"]) for one in targets] == [
        ("//:a", "run", "build.yaml:0", []),
        ("//:b", "run", "build.yaml:1", [0]),
        ("//:c", "run", "build.yaml:2", [0]),
        ("//:d", "run", "build.yaml:3", [1, 2]),
        ("//:e", "run", "build.yaml:4", []),
    ]


def test_it_loads_nothing_and_runs_its_own_script_alone():
    text = page(EDGES)
    assert not re.search(r"\b(src|href|url)\s*[=(]|https?:|import\(|fetch\(", text)
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src 'none';")
    for kind in ("style", "script"):
        (content,) = re.findall(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_hostile_text_stays_data():
    hostile = "</script><script>alert(1)</script><!--<script>&amp;\u2028\"'"
    text = page(EDGES, hostile)
    assert text.count("</script>") == 2
    assert "<!--" not in text
    assert data(text)["targets"][0]["place"] == f"{hostile}build.yaml:0"


@given(st.integers(0, 40), st.data())
def test_layers(count, draws):
    labels = [label(f"t{number}") for number in range(count)]
    edges = {
        one: tuple(draws.draw(st.lists(st.sampled_from(labels[:number]), unique=True, max_size=3))) if number else ()
        for number, one in enumerate(labels)
    }
    spots = layout(edges)
    assert spots == layout(dict(reversed(edges.items())))
    assert set(spots) == set(edges)
    assert all(spots[need][0] + WIDTH <= spots[one][0] for one, needs in edges.items() for need in needs)
    taken = sorted(spots.values())
    assert all(x != u or abs(y - v) >= HEIGHT for (x, y), (u, v) in pairwise(taken))


def test_three_thousand_targets_are_a_picture_and_not_a_line():
    graph = nx.gnp_random_graph(3000, 0.001, seed=7)
    labels = [label(f"t{number:04}") for number in range(3000)]
    edges = {one: tuple(labels[other] for other in graph.adj[number] if other < number) for number, one in enumerate(labels)}
    spots = layout(edges)
    wide, high = (max(spot[axis] for spot in spots.values()) - min(spot[axis] for spot in spots.values()) for axis in (0, 1))
    assert high < 3 * wide
    said = run(page(edges), ["search", "t0001"], ["click", "//:t0001"], ["wheel", 300])
    assert said["words"][0] == "//:t0001"
    assert said["milliseconds"] < 5000


def run(text: str, *steps: list) -> dict:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node (package nodejs)")
    done = subprocess.run(
        [node, str(Path(__file__).with_name("graph_page.mjs")), json.dumps(steps)], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_searching():
    said = run(page(EDGES), ["search", "build.yaml:2 RUN"])
    assert said["said"] == "1 of 5"
    assert said["words"][1:] == ["Found (1)", "//:c"]
    assert run(page(EDGES), ["search", ""])["said"] == "5 targets"
    assert run(page(EDGES), ["search", "nothing"], ["enter", ""])["said"] == "0 of 5"


def test_a_click_says_where_it_is_declared_and_what_hangs_together():
    said = run(page(EDGES), ["search", "//:b"], ["enter", ""])
    assert said["words"] == ["//:b", "run", "build.yaml:1", "Needs (1)", "//:a", "Is needed by (1)", "//:d", "1 below it in all, 1 above"]
    assert said["hash"] == "#%2F%2F%3Ab"
    assert run(page(EDGES), ["search", "//:b"], ["enter", ""], ["click", "//:d"])["words"][:1] == ["//:d"]


def test_the_paths_between_two_targets():
    edges = {**EDGES, label("f"): (D, A)}
    said = run(page(edges), ["search", "//:a"], ["enter", ""], ["shift-click", "//:f"])
    assert said["words"][3:9] == ["On a path to //:f (5)", "//:a", "//:b", "//:c", "//:d", "//:f"]
