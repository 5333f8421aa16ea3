"""The rule `dockerfile`: a stage of a Dockerfile as a target."""

import posixpath
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from graphbuild.rules import Analysis, Context, Folder, Rule, Snapshot, read_ignore_file


class Dockerfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which Dockerfile, which stage of it, and what it is given."""

    context: Annotated[str, Meta(description="The folder that COPY and ADD take from; the package by default.")] = "."
    file: Annotated[str, Meta(description="The Dockerfile, from the context; // starts at the workspace root.")] = ""
    target: Annotated[str, Meta(description="The stage, by name or number; the last one by default.")] = ""
    args: Annotated[dict[str, str], Meta(description="Build arguments: values of its ARGs.")] = {}
    contexts: Annotated[
        dict[str, str], Meta(description="What names in FROM and --from stand for: a target (//package:name, :name) or a folder.")
    ] = {}
    labels: Annotated[dict[str, str], Meta(description="Labels to add to its image.")] = {}
    platform: Annotated[str, Meta(description="os/arch[/variant] that it is built for; this machine's by default.")] = ""
    network: Annotated[Literal["host", "none"], Meta(description="Of each RUN that does not say one itself.")] = "host"


def dependencies(attributes: Dockerfile) -> tuple[str, ...]:
    return tuple(value for value in attributes.contexts.values() if _is_label(value))


def _is_label(text: str) -> bool:
    return text.startswith(":") or (text.startswith("//") and ":" in text)


def dockerfile(context: Context, attributes: Dockerfile) -> Analysis:
    from graphbuild_dockerfile.program import parse
    from graphbuild_dockerfile.stages import Request, Stages
    from graphbuild_dockerfile.state import Plan

    folder = context.path(attributes.context)
    file = _file(context, attributes, folder)
    text = context.reader.read(file)
    if text is None:
        raise context.mistake(f"no such file: {file}", "dockerfile", hint="say which with `file`")
    program = parse(_decoded(text, file, context), file)
    request = Request(
        Folder(folder, _ignored(context, folder, file)),
        attributes.target,
        attributes.args,
        {name: _context(context, value) for name, value in attributes.contexts.items()},
        attributes.network,
        context.settings.platform,
        attributes.platform,
    )
    plan = Plan(context, file)
    state = Stages(program, request, plan).target()
    labels = dict(state.config.labels) | attributes.labels
    state.change(labels=tuple(sorted(labels.items())))
    needs = tuple(need for snapshot in request.contexts.values() if isinstance(snapshot, Snapshot) for need in snapshot.needs)
    return Analysis(tuple(plan.actions), (Snapshot(state.layers, (state.config,), needs),), tuple(plan.origins))


def _file(context: Context, attributes: Dockerfile, folder: str) -> str:
    named = attributes.file or "Dockerfile"
    if named.startswith("/"):
        return context.path(named)
    return posixpath.normpath(posixpath.join(folder, named)) if folder else posixpath.normpath(named)


def _decoded(text: bytes, file: str, context: Context) -> str:
    try:
        return text.decode("utf-8", "surrogateescape")
    except UnicodeDecodeError:
        raise context.mistake(f"{file} is not UTF-8", "dockerfile") from None


def _ignored(context: Context, folder: str, file: str) -> tuple[str, ...]:
    """The patterns of the Dockerfile's own ignore file, else of the context's."""
    for name in (f"{file}.dockerignore", posixpath.join(folder, ".dockerignore")):
        text = context.reader.read(name)
        if text is not None:
            return read_ignore_file(text.decode("utf-8", "surrogateescape"))
    return ()


def _context(context: Context, value: str) -> Snapshot | Folder:
    if _is_label(value):
        return context.snapshot_of(value)
    folder = context.path(value)
    ignore = context.reader.read(posixpath.join(folder, ".dockerignore"))
    return Folder(folder, read_ignore_file(ignore.decode("utf-8", "surrogateescape")) if ignore is not None else ())


RULES = (
    Rule(
        "dockerfile",
        "step",
        Dockerfile,
        dockerfile,
        short="context",
        dependencies=dependencies,
        doc="A stage of a Dockerfile, its instructions as actions of their own.",
    ),
)
