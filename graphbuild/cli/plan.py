"""`graphbuild plan`: what a run would do, and why, action by action, without doing any of it.

An action whose parents would all be cached has a key, so its fate is known; one below an action that would run may be cut
off early, which only the run can tell.
"""

import sys
from collections.abc import Callable

from graphbuild.build.explain import reasons
from graphbuild.build.keys import key_of
from graphbuild.build.perform import prepare
from graphbuild.build.world import World
from graphbuild.cli.origin import origin
from graphbuild.cli.session import Session
from graphbuild.graph.analyze import Graph, Node
from graphbuild.rules.refs import Ref
from graphbuild.schedule import Schedule
from graphbuild.values.errors import EXIT_OK, GraphbuildError


def show_plan(opened: Session, graph: Graph, world: World, fresh: Callable[[Ref], bool]) -> int:
    """Print the plan to stdout. Returns the exit code."""
    counts = {"cached": 0, "run": 0, "perhaps": 0}
    unknown: set[Ref] = set()
    for node in _ordered(graph):
        fate, why = _fate(node, world, opened, unknown, fresh)
        counts[fate] += 1
        if fate != "cached":
            unknown.add(node.ref)
            sys.stdout.write(f"{fate:8}{node.ref.label} {node.ref.action}\n")
            sys.stdout.writelines(f"          {line}\n" for line in (*origin(node, opened.project.root), *why))
    sys.stdout.write(f"{counts['run']} would run, {counts['perhaps']} perhaps, {counts['cached']} cached\n")
    return EXIT_OK


def _ordered(graph: Graph) -> list[Node]:
    nodes = list(graph.nodes.values())
    numbers = {node.ref: number for number, node in enumerate(nodes)}
    schedule = Schedule([[numbers[need] for need in node.needs] for node in nodes])
    ordered = []
    while (number := schedule.take()) is not None:
        ordered.append(nodes[number])
        schedule.succeed(number)
    return ordered


def _fate(node: Node, world: World, opened: Session, unknown: set[Ref], fresh: Callable[[Ref], bool]) -> tuple[str, tuple[str, ...]]:
    """ "cached", "run" or "perhaps", and why. The results of cached actions are put into the world."""
    below = sorted(str(need) for need in node.needs if need in unknown)
    if below:
        return "perhaps", (f"it needs {', '.join(below)}",)
    try:
        prepared = prepare(node.action, world)
    except GraphbuildError as error:
        return "run", tuple(problem.message for problem in error.problems)
    record = None if fresh(node.ref) else opened.store.lookup(key_of(prepared.fields))
    if record is None:
        last = opened.store.last(str(opened.project.root), str(node.ref))
        why = ("--no-cache",) if fresh(node.ref) else reasons(last, prepared.fields, opened.store, prepared.entries)
        return "run", why
    world.results[node.ref] = record.outputs
    stale = prepared.current(record.outputs) if prepared.current else ""
    return ("run", (stale,)) if stale else ("cached", ())
