"""`graphbuild plan`: what a run would do, and why, action by action, without doing any of it."""

import sys
from collections.abc import Callable

from graphbuild.build.forecast import forecast
from graphbuild.build.world import World
from graphbuild.cli.origin import origin
from graphbuild.cli.session import Session
from graphbuild.graph.analyze import Graph
from graphbuild.rules.refs import Ref
from graphbuild.values.errors import EXIT_OK


def show_plan(opened: Session, graph: Graph, world: World, fresh: Callable[[Ref], bool]) -> int:
    """Print the plan to stdout. Returns the exit code."""
    counts = {"cached": 0, "run": 0, "perhaps": 0}
    for found in forecast(graph, world, str(opened.project.root), fresh):
        counts[found.fate] += 1
        if found.fate != "cached":
            sys.stdout.write(f"{found.fate:8}{found.node.ref.label} {found.node.ref.action}\n")
            sys.stdout.writelines(f"          {line}\n" for line in (*origin(found.node, opened.project.root), *found.why))
    sys.stdout.write(f"{counts['run']} would run, {counts['perhaps']} perhaps, {counts['cached']} cached\n")
    return EXIT_OK
