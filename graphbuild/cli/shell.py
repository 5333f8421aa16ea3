"""`graphbuild shell LABEL`: a shell in a target's files, as its step would see them; what it changes is thrown away.

After a failure it opens in what the failed step left behind. What the target needs is built first.
"""

import contextlib
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from graphbuild.build.loop import Loop
from graphbuild.build.perform.run import job_of
from graphbuild.build.world import World
from graphbuild.cli.build import interruptible, new_world
from graphbuild.cli.session import Session, report, session
from graphbuild.graph.analyze import Graph
from graphbuild.graph.select import closure_of
from graphbuild.layers.folder import scan
from graphbuild.layers.stack import Layer, Stack
from graphbuild.rules.actions import Run, command_of
from graphbuild.rules.api import Snapshot
from graphbuild.rules.refs import Ref
from graphbuild.sandbox.namespace import enter
from graphbuild.ui.progress import progress, wants_color
from graphbuild.ui.terminal import size_of
from graphbuild.values.digest import tree
from graphbuild.values.errors import mistake
from graphbuild.values.label import Label
from graphbuild.values.platform import this_platform


class Place(msgspec.Struct, frozen=True):
    """Where the shell opens: `needs` must be built first; `ruins` is the upper directory of a failed step."""

    action: Run
    needs: tuple[Ref, ...]
    ruins: Path | None = None


def shell(options: Any) -> int:
    """Open the shell. Returns its exit code."""
    identity = enter()
    with interruptible() as stop, session(options, report, stop.asked) as opened:
        labels = opened.selected([options.label])
        if len(labels) != 1:
            raise mistake(f"{options.label} names {len(labels)} targets", hint="name one")
        if parts := dict(opened.project.workspace.configure(labels[0]).parts):
            labels = [parts.get(this_platform(), next(iter(parts.values())))]
        graph = opened.graph(labels)
        with new_world(opened, graph, identity, {}, options, stop.asked) as world:
            stop.gently = True
            place = _place(labels[0], graph, opened, before=options.before)
            _build(place, graph, world, opened)
            return _open(place, world, options)


def _place(label: Label, graph: Graph, opened: Session, *, before: bool) -> Place:
    """The target's own step where one is asked for or failed, else a step on top of the target's files."""
    commands = {
        node.ref.action: (node, command)
        for node in graph.nodes.values()
        if node.ref.label == label and (command := command_of(node.action)) is not None
    }
    workspace = str(opened.project.root)
    failed = opened.store.failed(workspace, str(label)) if commands else None
    name = failed[1].decode() if failed is not None else ""  # of the action that failed
    name = name if name in commands else next(reversed(commands), "")
    last = opened.store.last(workspace, str(Ref(label, name))) if name else None
    ruins = failed[0] if failed is not None and last is not None and last.status == "failed" else None
    if name and (before or ruins is not None):
        node, command = commands[name]
        if ruins is not None and not before:
            sys.stderr.write(f"{label} {name} failed; this is what it left behind\n")
        return Place(command, node.needs, None if before else ruins)
    if before:
        raise mistake(f"{label} runs nothing, so there is no state before it", hint="leave out --before")
    snapshot = graph.targets[label].get(Snapshot)
    if snapshot is None and name:  # a test
        node, command = commands[name]
        return Place(command, node.needs)
    if snapshot is None:
        raise mistake(f"{label} has no files to look at", hint="name what it stands on")
    common = graph.configured[label].common
    action = Run(snapshot.layers, snapshot.config, ("/bin/sh",), network=common.network)
    config_refs = tuple(part for part in snapshot.config if isinstance(part, Ref))
    return Place(action, (*snapshot.layers, *config_refs, *snapshot.needs))


def _build(place: Place, graph: Graph, world: World, opened: Session) -> None:
    """Build what the place needs; GraphbuildError of the first failure."""
    wanted = closure_of(place.needs, lambda ref: graph.nodes[ref].needs)
    part = msgspec.structs.replace(graph, nodes={ref: node for ref, node in graph.nodes.items() if ref in wanted})
    display = progress("auto", sys.stderr, color=wants_color(sys.stderr, {}), terminal=size_of(sys.stderr), environ={})
    workspace, started = str(opened.project.root), time.monotonic()
    loop = Loop(part, world, display, workspace=workspace, keep_going=False, fresh=lambda _ref: False, started=started)
    result = loop.run()
    display.close()
    opened.store.sync()
    if result.errors:
        raise result.errors[0]


def _open(place: Place, world: World, options: Any) -> int:
    config = world.config(place.action.config)
    stack = world.stack(place.action.layers)
    if place.ruins is not None:
        ruins = place.ruins
        stack = Stack([*stack.layers, Layer(tree("0" * 64), scan(ruins), lambda: ruins)])
    action = msgspec.structs.replace(place.action, network=options.network or place.action.network, timeout=0)
    argv = tuple(options.words) or (("/bin/bash",) if stack.lookup(stack.resolve(b"bin/bash")) else ("/bin/sh",))
    with contextlib.ExitStack() as held:
        scratch = held.enter_context(world.store.scratch())
        job = job_of(action, config, argv, stack, scratch, world, held)
        job = msgspec.structs.replace(job, interactive=True, user=options.user or job.user, timeout=0)
        return world.sandbox.run(job, _say, world.cancelled).exit_code


def _say(data: bytes) -> None:
    """The job has the terminal to itself; what comes here is the sandbox's own word, such as that there is no such command."""
    sys.stderr.buffer.write(data)
    sys.stderr.flush()
