"""100,000 actions whose results are all known: keys and schedule, beside graphlib and a thread pool that make the same keys.

`python benchmarks/nodes.py [ROUNDS]`. Nothing is read or written: what is measured is what a graph costs that has nothing to build. Each turn is
a process of its own, which prints the seconds of its part and a digest of all keys. Prints a table in Markdown.
"""

import gc
import graphlib
import os
import queue
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bars import below, faster, table, verdict, within
from blake3 import blake3
from measure import Command, Run, interleaved, median, peak, run

from graphbuild.build.keys import Field, key_of
from graphbuild.build.loop import Loop
from graphbuild.build.world import BuildSettings, Machine, World
from graphbuild.graph.analyze import Graph, Node
from graphbuild.rules.actions import Fetch, Flatten
from graphbuild.rules.refs import Ref
from graphbuild.schedule import Schedule
from graphbuild.start import GARBAGE
from graphbuild.store.actions import LayerOutput, Outputs, Record
from graphbuild.values.label import Label

NODES, NEEDS, NEAR = 100_000, 3, 1_000  # a node needs some of those shortly before it
FIRST = 100  # nodes that need nothing
TIMES, LOOP, MEMORY = 3, 2.5, 500  # the bars: times faster; times as long, for all that a build does besides; MiB
JOBS = 2

Keys = list[str]  # of each node, in hex


def needs() -> list[list[int]]:
    """What each node needs: the same graph at every call, of some 300,000 edges."""
    chance = random.Random(NODES)  # noqa: S311, RUF100 - reproducible, not secret
    return [sorted({chance.randrange(max(0, node - NEAR), node) for _ in range(NEEDS)}) if node >= FIRST else [] for node in range(NODES)]


def key(node: int, needed: Sequence[int], keys: Keys) -> str:
    """The key of a download, or of an action that makes one layer of others': the fields that it has in a build."""
    if not needed:
        return key_of((Field("action", "fetch"), Field("sha256", f"{node:064x}"))).hex
    return key_of((Field("action", "flatten"), Field("layers", [keys[need] for need in needed]))).hex


def schedule(graph: Sequence[Sequence[int]]) -> Keys:
    """As the loop does it: what is known is decided where the schedule is, and never meets a thread."""
    keys = [""] * len(graph)
    plan = Schedule(graph)
    while (node := plan.take()) is not None:
        keys[node] = key(node, graph[node], keys)
        plan.succeed(node)
    return keys


def pool(graph: Sequence[Sequence[int]]) -> Keys:
    """What the standard library has for it: graphlib's pattern, and futures, so that an error is noticed; `wait` would be slower."""
    keys = [""] * len(graph)
    done: queue.SimpleQueue[Future[int]] = queue.SimpleQueue()

    def work(node: int) -> int:
        keys[node] = key(node, graph[node], keys)
        return node

    plan = graphlib.TopologicalSorter(dict(enumerate(graph)))
    plan.prepare()
    with ThreadPoolExecutor(JOBS) as threads:
        while plan.is_active():
            for node in plan.get_ready():
                threads.submit(work, node).add_done_callback(done.put)
            plan.done(done.get().result())
    return keys


def loop(graph: Sequence[Sequence[int]]) -> Keys:
    """The loop itself on real actions: it prepares each, looks its key up, tells a listener, and writes down how it went."""
    refs = [Ref(Label(f"svc/service-{node // 3:05}", f"step{node % 3}"), "run") for node in range(len(graph))]
    nodes = {}
    for number, needed in enumerate(graph):
        stack = tuple(refs[need] for need in needed)
        action = Flatten(stack) if stack else Fetch("https://example.org/", f"{number:064x}")
        nodes[refs[number]] = Node(refs[number], action, stack, "build.yaml", 1)
    store = SimpleNamespace(
        root=Path(), lookup=lambda key: Record(Outputs((LayerOutput(key),)), b"", "", 1.0, log=False), set_lasts=lambda *_: None
    )
    listener = SimpleNamespace(handle=lambda *_: None, tick=lambda _: None)
    never: Any = None
    world = World(
        store,
        never,
        never,
        never,
        BuildSettings(jobs=JOBS),
        {},
        Machine(),
        lambda: False,
        nodes,
        never,  # type: ignore[arg-type]
    )
    all_ = Loop(
        Graph(nodes, {}, {}, ()), world, listener, workspace="/", keep_going=False, fresh=lambda _: False, started=time.monotonic()
    ).run()
    assert all_.finished.cached == len(graph), all_
    return [world.results[ref].layers[0].tree.hex for ref in refs]


CONTESTANTS: Mapping[str, Callable[[Sequence[Sequence[int]]], Keys]] = {"schedule": schedule, "loop": loop, "pool": pool}


def turn(name: str) -> None:
    """A turn: prints the seconds, and a digest of what was made."""
    from graphbuild.build.perform import compose, fetch  # noqa: F401 - the loop imports them when it meets them: not what is measured

    gc.set_threshold(GARBAGE, 20, 20)  # as graphbuild has it, for all
    graph = needs()
    gc.collect()
    begun = time.perf_counter()
    keys = CONTESTANTS[name](graph)
    print(time.perf_counter() - begun, blake3("".join(keys).encode()).hexdigest())


def main() -> int:
    """0 when every bar is held, 1 when one is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    made: set[str] = set()

    def measured(name: str) -> Mapping[str, Run]:
        whole = run(Command((sys.executable, __file__, "turn", name)), Path())
        seconds, digest = whole.said.split()
        made.add(digest)
        return {"all": Run(float(seconds), whole.peak)}

    found = {
        name: phases["all"]
        for name, phases in interleaved({name: lambda _, name=name: measured(name) for name in CONTESTANTS}, rounds).items()
    }
    assert len(made) == 1, "they made different keys"
    theirs, peer = median(found["pool"]), "graphlib and ThreadPoolExecutor"
    what = f"{NODES:,} nodes, {sum(map(len, needs())):,} edges"
    rows = [
        faster(f"{what}: keys and schedule", median(found["schedule"]), peer, theirs, TIMES),
        within("the whole loop, all cached", median(found["loop"]), peer, theirs, LOOP),
        below("memory", max(peak(found["schedule"]), peak(found["loop"])), MEMORY, "MiB"),
    ]
    print(f"Medians of {rounds}, in turns, each in a process of its own; load average {os.getloadavg()[0]:.1f}\n\n{table(rows)}")
    return verdict(rows)


if __name__ == "__main__":
    sys.exit(turn(sys.argv[2]) if sys.argv[1:2] == ["turn"] else main())
