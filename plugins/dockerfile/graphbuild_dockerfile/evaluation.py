"""A whole Dockerfile evaluated once, stage by stage, with what each instruction left behind: what a conversion starts from.

Names of images that nobody gave become placeholders, so that everything else is known. Nothing is built.
"""

import re
from collections.abc import Mapping

import msgspec

from graphbuild.rules import (
    Action,
    Config,
    ConfigExpression,
    Context,
    Folder,
    GraphbuildError,
    Label,
    Ref,
    Snapshot,
)
from graphbuild_dockerfile.bases import is_image_name
from graphbuild_dockerfile.environment import PATH
from graphbuild_dockerfile.instructions import Copy, Instruction, Run
from graphbuild_dockerfile.mounts import csv_fields
from graphbuild_dockerfile.names import familiar
from graphbuild_dockerfile.program import Program, Stage
from graphbuild_dockerfile.stages import Request, Stages
from graphbuild_dockerfile.state import Plan, State

IMAGE = "image"  # the action of a base, whose label has the base's name
UNKNOWN = Config(env=(("PATH", PATH),))  # what is assumed of an image that is not at hand
_DIGITS = re.compile("[0-9]+")


class Walked(msgspec.Struct, frozen=True):
    """An instruction as it left its stage: the layers so far and the config; `arguments` are those with a value."""

    instruction: Instruction
    layers: tuple[Ref, ...]
    config: Config


class StageResult(msgspec.Struct, frozen=True):
    """A stage, walked: what its instructions did, triggers included; or why it cannot be built."""

    stage: Stage
    walked: tuple[Walked, ...] = ()
    first: tuple[Ref, ...] = ()
    layers: tuple[Ref, ...] = ()
    config: Config = Config()
    args: Mapping[str, str | None] = {}
    error: GraphbuildError | None = None


class Evaluation(msgspec.Struct, frozen=True):
    """`actions` by their Ref; `stages` in the order of the file; `globals` are the ARGs before the first FROM, and the platforms."""

    actions: Mapping[Ref, Action]
    stages: tuple[StageResult, ...]
    globals: Mapping[str, str]


class Given(msgspec.Struct, frozen=True):
    """What is known besides the file: the context, named contexts (`bases` by name, with their configs, and folders), the platform."""

    folder: Folder
    bases: Mapping[str, Config] = {}
    folders: Mapping[str, Folder] = {}
    network: str = "host"
    platform: str = "linux/amd64"
    wanted: str = ""  # platform that it is for, if another
    target: str = ""


class _Reader:
    """Knows the configs of bases."""

    def __init__(self, bases: Mapping[str, Config]) -> None:
        self._bases = bases

    def read(self, path: str) -> bytes | None:
        del path
        return None

    def config(self, expression: ConfigExpression, own: Mapping[Ref, Action]) -> Config:
        del own
        first = expression[0]
        assert isinstance(first, Ref)
        return self._bases[first.label.name]


def base_ref(name: str) -> Ref:
    """The layers of an image that a Dockerfile names."""
    return Ref(Label("", name), IMAGE)


def evaluate(program: Program, given: Given, args: Mapping[str, str]) -> Evaluation:
    """Every stage; those that cannot be built have an error."""
    plan, seen = _plan(program, given)
    bases = {**given.bases, **dict.fromkeys(missing_images(program, given, args), UNKNOWN)}
    plan.context = msgspec.structs.replace(plan.context, reader=_Reader(bases))
    contexts: dict[str, Snapshot | Folder] = {name: Snapshot((base_ref(name),), (base_ref(name),)) for name in bases}
    request = Request(given.folder, given.target, args, {**contexts, **given.folders}, given.network, given.platform, given.wanted)
    stages = Stages(program, request, plan)
    results = []
    for stage in program.stages:
        seen.clear()
        try:
            state = stages.stage(stage)
        except GraphbuildError as error:
            results.append(StageResult(stage, error=error))
            continue
        first = stages.first[stage.index]
        results.append(StageResult(stage, tuple(seen), first, state.layers, state.config, dict(state.args)))
    actions = {plan.context.ref(name): action for name, action in plan.actions}
    return Evaluation(actions, tuple(results), stages.globals)


def _plan(program: Program, given: Given) -> tuple[Plan, list[Walked]]:
    seen: list[Walked] = []

    def watch(instruction: Instruction, state: State) -> None:
        seen.append(Walked(instruction, state.layers, state.config))

    context = Context(Label("", "dockerfile"), Snapshot(), False, (), "none", 0, (), None, program.file, (), _Reader(given.bases))
    return Plan(context, program.file, watch), seen


def missing_images(program: Program, given: Given, args: Mapping[str, str]) -> list[str]:
    """The names of images that are neither stages nor given, in the order of the file."""
    plan, _ = _plan(program, given)
    stages = Stages(program, Request(given.folder, given.target, args, {}, given.network, given.platform, given.wanted), plan)
    known = {familiar(name) for name in (*given.bases, *given.folders)}
    found: dict[str, str] = {}
    for stage in program.stages:
        before = {each.name for each in program.stages[: stage.index] if each.name}
        try:
            names = [stages.expand_global(stage.start.image, stage.start.node), *_sources(stage)]
        except GraphbuildError:
            continue
        for name in names:
            if name in ("", "scratch") or name.lower() in before or _DIGITS.fullmatch(name) or not is_image_name(name):
                continue
            if familiar(name) not in known:
                found.setdefault(familiar(name), name)
    return list(found.values())


def _sources(stage: Stage) -> list[str]:
    """What `--from` and `from=` name in a stage."""
    found = []
    for instruction in stage.instructions:
        if isinstance(instruction, Copy) and instruction.from_:
            found.append(instruction.from_)
        elif isinstance(instruction, Run):
            fields = [field.partition("=") for mount in instruction.mounts for field in csv_fields(mount)]
            found += [value for key, _, value in fields if key.lower() == "from" and value]
    return found
