"""The rule `dockerfile`: a stage of a Dockerfile as a target."""

import posixpath
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from graphbuild.rules import (
    Analysis,
    Checkout,
    Context,
    Folder,
    GraphbuildError,
    LockContext,
    Place,
    Problem,
    Rule,
    Snapshot,
)

if TYPE_CHECKING:
    from graphbuild_dockerfile.program import Program
    from graphbuild_dockerfile.stages import Request, Stages


class Dockerfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which Dockerfile, which stage of it, and what it is given."""

    context: Annotated[str, Meta(description="The folder that COPY and ADD take from; the package by default.")] = "."
    file: Annotated[str, Meta(description="The Dockerfile, from the context; // starts at the workspace root.")] = ""
    target: Annotated[str, Meta(description="The stage, by name or number; the last one by default.")] = ""
    args: Annotated[dict[str, str], Meta(description="Build arguments: values of its ARGs.")] = {}
    contexts: Annotated[
        dict[str, str],
        Meta(description="What names in FROM and --from stand for: a target (//package:name, :name), a folder or a git repository."),
    ] = {}
    labels: Annotated[dict[str, str], Meta(description="Labels to add to its image.")] = {}
    platform: Annotated[str, Meta(description="os/arch[/variant] that it is built for; its target's by default.")] = ""
    network: Annotated[Literal["host", "none"], Meta(description="Of each RUN that does not say one itself.")] = "host"


def dependencies(attributes: Dockerfile) -> tuple[str, ...]:
    return tuple(value for value in attributes.contexts.values() if _is_label(value))


def _is_label(text: str) -> bool:
    return text.startswith(":") or (text.startswith("//") and ":" in text)


def dockerfile(context: Context, attributes: Dockerfile) -> Analysis:
    from graphbuild_dockerfile.ignoring import ignore_files
    from graphbuild_dockerfile.program import parse
    from graphbuild_dockerfile.stages import Request, Stages
    from graphbuild_dockerfile.state import Plan

    folder = context.path(attributes.context)
    file = _file(context, attributes, folder)
    text = context.reader.read(file)
    if text is None:
        raise context.mistake(f"no such file: {file}", "dockerfile", hint="say which with `file`")
    program = parse(_decoded(text, file), file)
    request = Request(
        Folder(folder, _ignored(context, *ignore_files(file, folder))),
        attributes.target,
        attributes.args,
        {name: _context(context, value) for name, value in attributes.contexts.items()},
        attributes.network,
        context.settings.build_platform,
        attributes.platform or context.settings.foreign,
    )
    plan = Plan(context, file)
    stages = Stages(program, request, plan)
    state = stages.target()
    labels = dict(state.config.labels) | attributes.labels
    state.change(labels=tuple(sorted(labels.items())))
    needs = tuple(need for snapshot in request.contexts.values() if isinstance(snapshot, Snapshot) for need in snapshot.needs)
    snapshot = Snapshot(state.layers, (*state.history, state.config), needs)
    return Analysis(tuple(plan.actions), (snapshot,), tuple(plan.origins), _warnings(stages, request), _notices(program))


def pins(context: LockContext, attributes: Dockerfile) -> list[str]:
    """The images of registries that the stage needs."""
    from graphbuild_dockerfile.pins import images
    from graphbuild_dockerfile.program import parse

    named = attributes.file or "Dockerfile"
    path = named if named.startswith("/") else posixpath.join(attributes.context, named)
    try:
        program = parse(context.read(path).decode(), path)
    except (GraphbuildError, UnicodeDecodeError):
        return []  # said when it is analysed, with its place
    foreign = "" if context.platform == context.build_platform else context.platform
    platforms = (context.build_platform, attributes.platform or foreign)
    return images(program, attributes.target, attributes.args, attributes.contexts, platforms)


def _notices(program: "Program") -> tuple[str, ...]:
    syntax = program.directives.syntax
    return (
        (f"{program.file}: # syntax={syntax} is not fetched: graphbuild reads the language of its stable channel by itself",)
        if syntax
        else ()
    )


def _warnings(stages: "Stages", request: "Request") -> tuple[Problem, ...]:
    """What the checks find in the stages that are built. GraphbuildError where the file itself wants that to be an error."""
    from graphbuild_dockerfile.checks import settings, violation
    from graphbuild_dockerfile.ignoring import ignores
    from graphbuild_dockerfile.lint import lint

    program = stages.program
    found = lint(
        program,
        predefined=stages.predefined,
        arguments=request.args,
        base=lambda image, _platform: stages.linted(image),
        ignored=ignores(request.folder.ignore),
        stages=stages.walked,
    )
    if found and settings(program.directives, program.file).error:
        raise GraphbuildError(Problem(violation(found), Place(program.file, found[0].line), found[0].url))
    return tuple(Problem(f"{each.name}: {each.message}", Place(program.file, each.line), each.url) for each in found)


def _file(context: Context, attributes: Dockerfile, folder: str) -> str:
    named = attributes.file or "Dockerfile"
    if named.startswith("/"):
        return context.path(named)
    return posixpath.normpath(posixpath.join(folder, named)) if folder else posixpath.normpath(named)


def _decoded(text: bytes, file: str) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise GraphbuildError(Problem("invalid UTF-8", Place(file, line), "save the file as UTF-8")) from None


def _ignored(context: Context, *files: str) -> tuple[str, ...]:
    """The patterns of the first of these ignore files that is there."""
    from graphbuild_dockerfile.ignoring import patterns_of

    texts = (context.reader.read(file) for file in files)
    return next((patterns_of(text) for text in texts if text is not None), ())


def _context(context: Context, value: str) -> Snapshot | Folder | Checkout:
    from graphbuild_dockerfile.remotes import repository

    if _is_label(value):
        return context.snapshot_of(value)
    try:
        git = repository(value)
    except ValueError as error:
        raise context.mistake(str(error), "dockerfile", "contexts") from None
    if git is not None:
        return Checkout(git.url, git.ref, git.subdir, bool(git.keep_git_dir), git.checksum, git.submodules)
    folder = context.path(value)
    return Folder(folder, _ignored(context, posixpath.join(folder, ".dockerignore")))


RULES = (
    Rule(
        "dockerfile",
        "step",
        Dockerfile,
        dockerfile,
        short="context",
        dependencies=dependencies,
        pins=pins,
        doc="A stage of a Dockerfile, its instructions as actions of their own.",
    ),
)
