"""Steps that execute: `run` a command on a stack; `union` sees several stacks as one."""

from typing import Annotated

import msgspec
from msgspec import Meta

from graphbuild.rules import Analysis, ConfigPatch, Context, Rule, layer_target
from graphbuild.rules import Run as RunAction


class Run(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to execute; who, where and with what is said by the attributes that every target has."""

    command: Annotated[str | tuple[str, ...], Meta(description="Text goes to the shell, a list is executed as it is.")]
    env: Annotated[dict[str, str], Meta(description="Variables of this command alone: what is built on it does not see them.")] = {}
    like_docker: Annotated[
        bool, Meta(description="Find what a RUN of a Dockerfile finds: setuid programs work, there is no SOURCE_DATE_EPOCH.")
    ] = False


class Union(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing to say: the parents are in `from`."""


def command(context: Context, attributes: Run, *where: str | int) -> RunAction:
    """The command on the target's stack. `where` it is said below the target, if not by the rule `run`."""
    if not attributes.command:
        raise context.mistake("the command is empty", *where, "run")
    for name, value in attributes.env.items():
        if not name or "=" in name or "\0" in name + value:
            raise context.mistake(f"{name!r} cannot be set", *(where or ("run",)), "env", hint="write `NAME: value`")
    below = context.snapshot
    config = (*below.config, ConfigPatch(env=tuple(attributes.env.items()))) if attributes.env else below.config
    return RunAction(*(below.layers, config, attributes.command, context.mounts, context.network, context.timeout, attributes.like_docker))


def run(context: Context, attributes: Run) -> Analysis:
    return layer_target(context, command(context, attributes), "run")


def union(context: Context, _attributes: Union) -> Analysis:
    if not context.has_from:
        raise context.mistake("`union` needs parents", hint="list them: `from: [one, other]`")
    return Analysis(providers=(context.snapshot,))


RULES = (
    Rule("run", "step", Run, run, short="command", doc="Run a command in a sandbox; the step's layer is what it changed."),
    Rule("union", "step", Union, union, doc="Several stacks seen as one, in the order of `from`."),
)
