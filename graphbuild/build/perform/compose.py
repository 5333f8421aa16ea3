"""Performing what puts trees together: `Assemble`, `Flatten`, and the check of a `Union`."""

import os
from pathlib import Path

from graphbuild.build.keys import Field
from graphbuild.build.perform.imports import content_of, name_of
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.world import World
from graphbuild.layers.assemble import Assembler
from graphbuild.layers.cancel import Cancellable
from graphbuild.layers.compression import open_stream
from graphbuild.layers.deb import open_data
from graphbuild.layers.overlap import covered_symlinks, overlaps
from graphbuild.layers.stack import Stack
from graphbuild.rules.actions import ArchivePart, Assemble, DirectoryPart, FilePart, Flatten, Part, SymlinkPart, Union
from graphbuild.rules.refs import Ref
from graphbuild.store.actions import LayerOutput, Outputs
from graphbuild.values.entry import encode_index
from graphbuild.values.errors import GraphbuildError, Problem

_SHOWN = 5  # conflicts of a pair of targets that are named


def prepare_compose(action: Assemble | Flatten | Union, world: World) -> Prepared:
    match action:
        case Assemble():
            fields = (
                Field("action", "assemble"),
                Field("parts", [_part_field(part, world) for part in action.parts]),
                Field("epoch", world.settings.epoch),
            )
            return Prepared(fields, lambda task: _assemble(action, world, task))
        case Flatten():
            trees = [output.tree.hex for output in world.outputs(action.layers)]
            return Prepared((Field("action", "flatten"), Field("layers", trees)), lambda _task: _flatten(action, world))
        case Union():
            stacks = [[output.tree.hex for output in world.outputs(layers)] for _, layers in action.stacks]
            names = tuple(name for name, _ in action.stacks)
            fields = (Field("action", "union"), Field("stacks", stacks, names), Field("overlap", action.overlap))
            return Prepared(fields, lambda _task: _union(action, world))


def _part_field(part: Part, world: World) -> list[object]:
    match part:
        case ArchivePart():
            return ["archive", part.format, content_of(part.source, world)[1]]
        case FilePart():
            return ["file", part.path, part.content, part.mode, part.uid, part.gid]
        case DirectoryPart():
            return ["directory", part.path, part.mode, part.uid, part.gid]
        case SymlinkPart():
            return ["symlink", part.path, part.target]


def _assemble(action: Assemble, world: World, task: Task) -> Outputs:
    settings = world.settings
    with world.store.scratch() as scratch:
        folder = scratch / "folder"
        folder.mkdir(mode=0o755)
        assembler = Assembler(folder, epoch=settings.epoch, ids=settings.ids)
        for number, part in enumerate(action.parts):
            task.progress(number, len(action.parts), "parts")
            _add(part, assembler, world)
        entries = assembler.finish()
        if not entries:
            return Outputs(())
        tree = world.store.put_layer(encode_index(entries, settings.epoch), folder=folder)
    return Outputs((LayerOutput(tree, None),), size=sum(entry.size for entry in entries))


def _add(part: Part, assembler: Assembler, world: World) -> None:
    match part:
        case ArchivePart():
            path: Path = content_of(part.source, world)[0]
            with path.open("rb") as file:
                stream = open_data(file) if part.format == "deb" else open_stream(file)
                assembler.archive(
                    Cancellable(stream, world.cancelled), source=name_of(part.source) if isinstance(part.source, Ref) else part.source.path
                )
        case FilePart():
            assembler.file(os.fsencode(part.path), part.content, part.mode, part.uid, part.gid)
        case DirectoryPart():
            assembler.directory(os.fsencode(part.path), part.mode, part.uid, part.gid)
        case SymlinkPart():
            assembler.symlink(os.fsencode(part.path), os.fsencode(part.target))


def _flatten(action: Flatten, world: World) -> Outputs:
    layers = world.outputs(action.layers)
    if len(layers) <= 1:
        return Outputs(tuple(layers))
    tree = world.forms.flattened(world.stack(action.layers))
    return Outputs((LayerOutput(tree, None),), size=sum(entry.size for entry in world.store.index(tree)))


def _union(action: Union, world: World) -> Outputs:
    """Each parent against each other: what both touch differently, and directories that would cover a symlink below."""
    stacks = [(name, world.outputs(layers)) for name, layers in action.stacks]
    problems: list[Problem] = []
    for number, (name, layers) in enumerate(stacks):
        for other, others in stacks[:number]:
            problems.extend(_conflicts(other, others, name, layers, world, check=action.overlap == "error"))
    if problems:
        raise GraphbuildError(*problems)
    return Outputs(())


def _conflicts(one: str, lower: list[LayerOutput], other: str, upper: list[LayerOutput], world: World, *, check: bool) -> list[Problem]:
    shared = {output.tree for output in lower} & {output.tree for output in upper}
    below = [world.layer(output) for output in lower if output.tree not in shared]
    above = [world.layer(output) for output in upper if output.tree not in shared]
    problems = []
    links = [f"/{os.fsdecode(path)} → {os.fsdecode(target)}" for path, target in covered_symlinks(_stack(lower, world), above)]
    if links:
        message = f"{other} has a directory where {one} has a symlink: {', '.join(links[:_SHOWN])}"
        problems.append(Problem(message, hint=f"give {other} a `from` that has the symlink, so that its paths resolve there"))
    if check:
        paths = [f"/{os.fsdecode(conflict.path)}" for conflict in overlaps(below, above)]
        if paths:
            more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
            hint = "build one on the other, or say `overlap: last-wins`"
            problems.append(Problem(f"{one} and {other} both change {', '.join(paths[:_SHOWN])}{more}", hint=hint))
    return problems


def _stack(outputs: list[LayerOutput], world: World) -> Stack:
    return Stack([world.layer(output) for output in outputs])
