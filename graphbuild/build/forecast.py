"""What a run would find in the cache, action by action, without doing any of it.

An action whose parents are all cached has a key, so its fate is known; one below an action that would run may be cut off early, which only
the run can tell.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from graphbuild.build.explain import reasons
from graphbuild.build.keys import key_of
from graphbuild.build.perform import prepare
from graphbuild.build.world import World
from graphbuild.graph.analyze import Graph, Node
from graphbuild.rules.refs import Ref
from graphbuild.schedule import Schedule
from graphbuild.values.errors import GraphbuildError

Fate = Literal["cached", "run", "perhaps"]


class Forecast(msgspec.Struct, frozen=True):
    """What would become of an action; `why`: of one that is not cached, a reason each."""

    node: Node
    fate: Fate
    why: tuple[str, ...] = ()


def forecast(graph: Graph, world: World, workspace: str, fresh: Callable[[Ref], bool] = lambda _ref: False) -> Iterator[Forecast]:
    """Every action, dependencies first. Results of the present inputs that the store has are put into the world.

    `workspace`: the root's path, under which the store knows the last run. `fresh`: what is to be built again though its result is known.
    """
    unknown: set[Ref] = set()
    for node in _ordered(graph):
        found = _forecast(node, world, workspace, unknown, fresh)
        if found.fate != "cached":
            unknown.add(node.ref)
        yield found


def _ordered(graph: Graph) -> list[Node]:
    nodes = list(graph.nodes.values())
    numbers = {node.ref: number for number, node in enumerate(nodes)}
    schedule = Schedule([[numbers[need] for need in node.needs] for node in nodes])
    ordered = []
    while (number := schedule.take()) is not None:
        ordered.append(nodes[number])
        schedule.succeed(number)
    return ordered


def _forecast(node: Node, world: World, workspace: str, unknown: set[Ref], fresh: Callable[[Ref], bool]) -> Forecast:
    below = sorted(str(need) for need in node.needs if need in unknown)
    if below:
        return Forecast(node, "perhaps", (f"it needs {', '.join(below)}",))
    try:
        prepared = prepare(node.action, world)
    except GraphbuildError as error:
        return Forecast(node, "run", tuple(problem.message for problem in error.problems))
    record = None if fresh(node.ref) else world.store.lookup(key_of(prepared.fields))
    if record is None:
        last = world.store.last(workspace, str(node.ref))
        why = ("--no-cache",) if fresh(node.ref) else reasons(last, prepared.fields, world.store, prepared.entries)
        return Forecast(node, "run", why)
    world.results[node.ref] = record.outputs
    stale = prepared.current(record.outputs) if prepared.current else ""
    return Forecast(node, "run", (stale,)) if stale else Forecast(node, "cached")
