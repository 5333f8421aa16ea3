"""An evaluated Dockerfile as the targets of a build.yaml: plain data, target by target, with the comments that belong to each.

A layer becomes a step, named after what it does, and the last of a stage after the stage. A step says of the config what differs from
what flows down to it; an image says the rest. What cannot be said in a build.yaml is collected, instruction by instruction.
"""

import posixpath
from collections.abc import Mapping

import msgspec

from graphbuild.rules import (
    CacheMount,
    Checkout,
    Config,
    GraphbuildError,
    Pick,
    Problem,
    Put,
    Ref,
    StackMount,
    StackTree,
    TextItem,
)
from graphbuild.rules import Run as RunAction
from graphbuild_dockerfile.comments import Comments
from graphbuild_dockerfile.configs import image_config, step_config
from graphbuild_dockerfile.environment import PATH
from graphbuild_dockerfile.evaluation import UNKNOWN, Evaluation, Given, StageResult, Walked
from graphbuild_dockerfile.instructions import Instruction, Run, Workdir
from graphbuild_dockerfile.naming import Called, step_name
from graphbuild_dockerfile.pieces import Around, Data, NotSaid, git_data, put_data, run_data
from graphbuild_dockerfile.program import Program
from graphbuild_dockerfile.shelltext import is_shell, split_command


class Layout(msgspec.Struct, frozen=True):
    """Where things are for the build.yaml. `folders` and `ignores` by `Folder.path`; `bases` are targets by the image's name.

    `name` is what the image is called where its stage has no name. `own` are the files of the package that no image is to hold.
    """

    folders: Mapping[str, str]
    ignores: Mapping[str, str]
    bases: Mapping[str, Data]
    name: str = "image"
    own: tuple[str, ...] = ()


class Package(msgspec.Struct):
    """What was made: sections, comments above `(section, name)`, and why what is missing does not convert."""

    bases: dict[str, Data]
    steps: dict[str, Data]
    outputs: dict[str, Data]
    comments: dict[tuple[str, str], list[str]]
    problems: list[Problem]
    unconverted: list[int]  # stages, by number
    named: dict[Ref, str]  # the step of each layer
    chosen: list[str]  # files of the package that wildcards of the Dockerfile would take now


def convert(
    program: Program,
    evaluation: Evaluation,
    given: Given,
    layout: Layout,
    *,
    target: int,
    kept: Mapping[int, Data],
    named: Mapping[Ref, str] = {},
) -> Package:
    """The package of all stages that can be built; `kept` are steps for stages that are not converted, `named` steps that have names."""
    return _Converter(program, evaluation, given, layout, target, kept, named).package()


class _Converter:
    """Goes through the stages once, in order."""

    def __init__(
        self,
        program: Program,
        evaluation: Evaluation,
        given: Given,
        layout: Layout,
        target: int,
        kept: Mapping[int, Data],
        named: Mapping[Ref, str],
    ) -> None:
        self.program = program
        self.evaluation = evaluation
        self.given = given
        self.layout = layout
        self.target = target
        self.kept = kept
        self.named = named
        self.made = Package({}, {}, {}, {}, [], [], {}, [])
        self.names: dict[tuple[Ref, ...], str] = {}  # of the target that offers a stack
        self.flowed: dict[str, Config] = {}  # the config that comes down from a target
        self.beside: dict[tuple[Ref, ...], str] = {}  # targets that no stage holds: what mounts show
        self.bottoms: dict[tuple[Ref, ...], Config] = {}  # of the image that a stage's stack begins with
        self.called = Called([result.stage for result in evaluation.stages if result.error is None])
        self.comments = Comments(program, self.made.comments)

    def package(self) -> Package:
        used = self._used()
        leaves = [each.stage for each in self.evaluation.stages if each.stage.index == self.target or each.stage.index not in used]
        own = [*self.layout.own, *(f"dist/{self.called.stage(stage.index) or self.layout.name}" for stage in leaves if self.layout.own)]
        layout = self.layout
        self.around = Around(
            self.given.folder, layout.folders, layout.ignores, own, self.evaluation.actions, lambda layers: self._stack(layers, "image"), []
        )
        for argument in self.program.arguments:
            self.comments.argument(argument)
        for result in self.evaluation.stages:
            if result.error is None:
                self._stage(result, leaf=result.stage.index == self.target or result.stage.index not in used)
        self.made.chosen = sorted(set(self.around.chosen))
        return self.made

    def _used(self) -> set[int]:
        """The stages that others stand on or take from."""
        used = set()
        ends = {result.layers: result.stage.index for result in self.evaluation.stages if result.error is None}
        for result in self.evaluation.stages:
            used |= {ends[stack] for stack in self._stacks(result) if stack in ends and ends[stack] != result.stage.index}
        return used

    def _stacks(self, result: StageResult) -> list[tuple[Ref, ...]]:
        found = [result.first]
        for action in (self.evaluation.actions[ref] for ref in result.layers if ref in self.evaluation.actions):
            if isinstance(action, Put):
                found += [item.tree.layers for item in action.items if isinstance(item, Pick) and isinstance(item.tree, StackTree)]
            elif isinstance(action, RunAction):
                found += [mount.layers for mount in action.mounts if isinstance(mount, StackMount | CacheMount)]
        return found

    def _base(self, layers: tuple[Ref, ...], config: Config) -> str:
        """The target of an image, or of nothing, declared when it is first used."""
        known = self.names.get(layers)
        if known is not None:
            return known
        image = layers[0].label.name if layers else ""
        data = self.layout.bases.get(image, {})
        if "label" in data:
            name = str(data["label"])
        else:
            name = self.called.unique(posixpath.basename(image.partition("@")[0]).partition(":")[0] or "empty")
            self.made.bases[name] = {key: value for key, value in data.items() if key != "todo"} if layers else {"scratch": {}}
            self.made.comments["bases", name] = list(data.get("todo", ()))
        self.names[layers] = name
        self.flowed[name] = config
        return name

    def _origin(self, result: StageResult) -> tuple[str, tuple[Ref, ...], Config]:
        """What a stage stands on, the layers that this offers, and the config of the image at the bottom."""
        first = result.first
        if first in self.names and first in self.bottoms:
            return self.names[first], first, self.bottoms[first]
        if first and first[0] not in self.evaluation.actions:
            config = self.given.bases.get(first[0].label.name, UNKNOWN)
            return self._base(first, config), first, config
        return self._base((), Config()), (), Config()  # nothing, or a folder

    def _stage(self, result: StageResult, *, leaf: bool) -> None:
        stage = result.stage
        self.comments.above(stage.start.node)
        if stage.index in self.kept:
            self._keep(result, leaf=leaf)
            return
        below, layers, bottom = self._origin(result)
        self._path(below, result)
        problems = len(self.made.problems)
        prefix = self.called.stage(stage.index) or ("" if stage.index == len(self.program.stages) - 1 else f"stage-{stage.index}")
        fresh: set[str] = set()
        for walked in (Walked(stage.start, result.first, Config()), *result.walked):
            self.comments.of(walked.instruction)
            for ref in walked.layers[len(layers) :]:
                last = (*layers, ref) == result.layers and not leaf
                below = self._layer(ref, layers, below, walked, result, prefix, fresh, last=last)
                layers = (*layers, ref)
        self._finish(result, below, leaf=leaf, bottom=bottom)
        if len(self.made.problems) > problems:
            self.made.unconverted.append(stage.index)

    def _path(self, below: str, result: StageResult) -> None:
        """Docker gives an image without PATH one; the base says so, for all that stands on it."""
        env = dict(result.config.env)
        base = self.made.bases.get(below)
        if base is not None and "PATH" not in dict(self.flowed[below].env) and "PATH" in env and below in self.names.values():
            base["env"] = {"PATH": PATH}
            flowed = self.flowed[below]
            self.flowed[below] = msgspec.structs.replace(flowed, env=(*flowed.env, ("PATH", PATH)))

    def _layer(
        self,
        ref: Ref,
        layers: tuple[Ref, ...],
        below: str,
        walked: Walked,
        result: StageResult,
        prefix: str,
        fresh: set[str],
        *,
        last: bool,
    ) -> str:
        """The step that makes a layer; returns its name."""
        action = self.evaluation.actions[ref]
        stack = (*layers, ref)
        known = self.names.get(stack)
        if known is not None:
            return known
        instruction = walked.instruction
        if (isinstance(instruction, Workdir) and isinstance(action, Put) and action.to in fresh) or _does_nothing(action, walked.config):
            self.names[stack] = below
            return below
        name = self.made.named[ref] = self._step_name(ref, instruction, prefix, result.stage.index, last=last)
        data: Data = {"from": below}
        flowed = self.flowed[below]
        try:
            if isinstance(action, RunAction):
                fresh.clear()
                config = msgspec.structs.replace(walked.config, workdir=walked.config.workdir or "/")
                attributes, flowed = step_config(flowed, config)
                data |= run_data(
                    action,
                    self._command(action, instruction, walked.config),
                    walked.config,
                    lambda layers: self._stack(layers, name),
                    on_image=self._has_image(action.layers),
                )
                data |= attributes
            elif isinstance(action, Put):
                fresh |= {action.to} if isinstance(instruction, Workdir) else set()
                data |= put_data(action, self.around, linked=bool(layers) and not action.base)
        except NotSaid as reason:
            self.made.problems.append(Problem(str(reason), instruction.node.place(self.program.file)))
        self._declare("steps", name, data)
        self.names[stack] = name
        self.flowed[name] = flowed
        return name

    def _step_name(self, ref: Ref, instruction: Instruction, prefix: str, stage: int, *, last: bool) -> str:
        if last and self.called.stage(stage):
            return self.called.stage(stage)
        if ref in self.named:
            self.called.taken.add(self.named[ref])
            return self.named[ref]
        slug = step_name(instruction, self.evaluation.actions[ref])
        return self.called.unique(f"{prefix}-{slug}" if prefix else slug)

    def _declare(self, section: str, name: str, data: Data) -> None:
        getattr(self.made, section)[name] = data
        self.comments.belong(section, name)

    def _command(self, action: RunAction, instruction: Instruction, config: Config) -> str | list[str]:
        """What is executed; a shell's command in the lines that it has in the Dockerfile."""
        if not isinstance(action.command, str):
            return list(action.command)
        node = instruction.node
        if is_shell(config.shell) and not node.heredocs and isinstance(instruction, Run) and instruction.command.shell:
            return split_command(node, action.command, self.program.directives.escape)
        return action.command

    def _has_image(self, layers: tuple[Ref, ...]) -> bool:
        """Whether there is an image at the bottom: it has the folders that Docker makes for a RUN, and leaves behind."""
        return bool(layers) and layers[0] not in self.evaluation.actions

    def _stack(self, layers: tuple[Ref, ...], name: str) -> str:
        """The target that offers these files; what only a mount shows is a step of its own."""
        known = self.names.get(layers)
        if known is not None:
            return known
        if not layers:
            return self._base((), Config())
        action = self.evaluation.actions.get(layers[-1])
        if isinstance(action, Checkout):
            return self._checkout(action, layers)
        if not isinstance(action, Put):
            config = self.given.bases.get(layers[0].label.name, Config())
            return self._base(layers, config)
        for stack, other in self.beside.items():
            if self.evaluation.actions[stack[0]] == action:
                return other
        script = all(isinstance(item, TextItem) for item in action.items)
        beside = self.called.unique(f"{name}-script" if script else "context-files")
        with self.comments.kept():
            self._declare("steps", beside, put_data(action, self.around, linked=False))
        self.beside[layers] = beside
        return beside

    def _checkout(self, action: Checkout, layers: tuple[Ref, ...]) -> str:
        """The base of a git repository; one for all that take the same of it."""
        data = git_data(action)
        same = next((name for name, other in self.made.bases.items() if other == data), None)
        name = same or self.called.unique(posixpath.basename(action.url.rstrip("/")).removesuffix(".git"))
        self.made.bases[name] = data
        self.names[layers] = name
        self.flowed[name] = Config()
        return name

    def _finish(self, result: StageResult, below: str, *, leaf: bool, bottom: Config) -> None:
        """What a stage is known by once its layers are there."""
        stage = result.stage
        called = self.called.stage(stage.index)
        self.names.setdefault(result.layers, below)
        self.bottoms.setdefault(result.layers, bottom)
        if not leaf:
            if called and called not in self.made.steps and called not in self.made.bases:
                attributes, flowed = step_config(self.flowed[below], result.config)
                self._declare("steps", called, {"from": below, "union": {}} | attributes)
                self.flowed[called] = flowed
            return
        named = called
        if not named:
            named = self.called.unique(self.layout.name if stage.index == self.target else f"stage-{stage.index}")
        elif named in self.made.steps or named in self.made.bases:
            named = self.called.unique(f"{named}-image")
        try:
            config = image_config(self.flowed[below], bottom, result.config)
        except GraphbuildError as error:
            self.made.problems += error.problems
            config = {}
        image: Data = {"config": config} if config else {}
        data: Data = {"from": below, "image": image | {"to": {"oci": f"dist/{named}"}}}
        if stage.index != self.target:
            data["tags"] = ["manual"]
        self._declare("outputs", named, data)

    def _keep(self, result: StageResult, *, leaf: bool) -> None:
        """A stage that stays a Dockerfile's."""
        stage = result.stage
        called = self.called.stage(stage.index)
        name = called or f"stage-{stage.index}"
        name = self.called.unique(f"{name}-files") if leaf and called else name
        self.called.taken.add(name)
        self._declare("steps", name, self.kept[stage.index])
        self.names[result.layers] = name
        self.flowed[name] = result.config
        self._finish(result, name, leaf=leaf, bottom=result.config)


def _does_nothing(action: object, config: Config) -> bool:
    """Whether it is an empty text for a shell."""
    return isinstance(action, RunAction) and action.command == "" and is_shell(config.shell)
