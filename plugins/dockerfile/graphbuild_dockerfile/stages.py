"""Stages to actions: which stages are needed, what each stands on, and its instructions one after the other.

A stage that nothing needs is never looked at. What an instruction does is said by `copying`, `running` and `configuring`.
"""

from collections.abc import Mapping

import msgspec

from graphbuild.rules import Action, Checkout, Config, Folder, GraphbuildError, Pick, Pull, Put, Ref, Snapshot, StackTree
from graphbuild_dockerfile import configuring, copying, running
from graphbuild_dockerfile.bases import is_image_name, parse_platform
from graphbuild_dockerfile.environment import PATH, predefined
from graphbuild_dockerfile.instructions import Add, Arg, Copy, Instruction, Run
from graphbuild_dockerfile.names import familiar
from graphbuild_dockerfile.program import Program, Stage, parse_trigger
from graphbuild_dockerfile.state import Plan, State, child, problem
from graphbuild_dockerfile.text import Node
from graphbuild_dockerfile.walk import Base
from graphbuild_dockerfile.words import expand


class Request(msgspec.Struct, frozen=True):
    """What is asked of a Dockerfile. `contexts` are named ones; `args` are build arguments."""

    folder: Folder
    target: str = ""
    args: Mapping[str, str] = {}
    contexts: Mapping[str, Snapshot | Folder | Checkout] = {}
    network: str = "host"
    platform: str = ""  # that is built on
    wanted: str = ""  # that is built for


class Stages:
    """The stages of one Dockerfile. Each that is asked for is walked once."""

    def __init__(self, program: Program, request: Request, plan: Plan) -> None:
        self.program = program
        self.request = request
        self.plan = plan
        self.escape = program.directives.escape
        self._contexts = {familiar(name): source for name, source in request.contexts.items()}
        for name in request.contexts:
            if not is_image_name(name):
                raise plan.context.mistake(f"invalid context name {name}: invalid reference format", hint="names are lower case")
        self._states: dict[int, State] = {}
        self._snapshots: dict[str, State] = {}
        self._pulls: dict[tuple[str, str], Snapshot] = {}
        self.predefined = predefined(program, request.platform, request.wanted, request.target)
        self.first: dict[int, tuple[Ref, ...]] = {}  # the layers that a stage begins with
        self.globals = self._globals()

    @property
    def walked(self) -> tuple[int, ...]:
        """The indexes of the stages that are needed, as far as `target` was asked for."""
        return tuple(sorted(self._states))

    def linted(self, image: str) -> Base | None:
        """What the checks want to know of an image; None for one that is not known."""
        if image == "scratch":
            return Base({"PATH": PATH})
        source = self._contexts.get(familiar(image))
        if not isinstance(source, Snapshot):
            return None
        config = self.plan.context.config_of(source)
        return Base({"PATH": PATH, **dict(config.env)}, config.shell is not None, config.on_build)

    def target(self) -> State:
        """The stage that is asked for, walked. GraphbuildError for one that does not exist."""
        stages = self.program.stages
        wanted = self.request.target
        if not wanted:
            return self.stage(stages[-1])
        found = self._named(wanted.lower(), len(stages))
        if found is None:
            names = ", ".join(stage.name for stage in stages if stage.name)
            raise self.plan.context.mistake(f'target stage "{wanted}" could not be found', hint=f"stages: {names}" if names else "")
        return self.stage(found)

    def stage(self, stage: Stage) -> State:
        known = self._states.get(stage.index)
        if known is None:
            known = self._states[stage.index] = self._walk(stage)
        return known

    def source(self, name: str, before: int, node: Node, *, numbers: bool = True) -> Folder | StackTree:
        """The tree that a `from=` names: a stage before, by name or (`numbers`) by number, a named context, or an image."""
        if name.isdigit() and numbers:
            if int(name) >= before:
                raise problem(node, self.plan.file, f"invalid stage index {name}: only stages before this one can be copied from")
            return StackTree(self.stage(self.program.stages[int(name)]).layers)
        found = self._named(name.lower(), before)
        if found is not None:
            return StackTree(self.stage(found).layers)
        context = self._named_context(familiar(name), node)
        if isinstance(context, Folder):
            return context
        if context is not None:
            return StackTree(context.layers)
        if name == "scratch":
            return StackTree(())
        if not is_image_name(name):
            raise self.fault(node, f"invalid from flag value {name}: invalid reference format")
        return StackTree(self._pulled(name, self.request.wanted, node).layers)

    def expand(self, word: str, state: State, node: Node) -> str:
        """A word of an instruction with the variables of its stage filled in."""
        return self._expand(word, state.env, node)

    def expand_global(self, word: str, node: Node) -> str:
        """A word of a FROM."""
        return self._expand(word, self.globals, node)

    def fault(self, node: Node, message: str, hint: str = "") -> GraphbuildError:
        return problem(node, self.plan.file, message, hint)

    def _expand(self, word: str, env: Mapping[str, str], node: Node) -> str:
        try:
            return expand(word, env, self.escape)
        except GraphbuildError as error:
            raise problem(node, self.plan.file, error.problems[0].message, error.problems[0].hint) from None

    def _named(self, name: str, before: int) -> Stage | None:
        """The last stage of that name, in lower case, among the first `before`."""
        return next((stage for stage in reversed(self.program.stages[:before]) if stage.name and stage.name == name), None)

    def _named_context(self, name: str, node: Node) -> Snapshot | Folder | None:
        """What a name stands for; a repository is checked out when it is needed first."""
        source = self._contexts.get(name)
        if isinstance(source, Checkout):
            source = self._contexts[name] = Snapshot((self.plan.add(f"{name} repository", source, node),))
        return source

    def _globals(self) -> dict[str, str]:
        """The ARGs before the first FROM, and the platforms: what FROM sees, and what an ARG in a stage inherits."""
        request = self.request
        found = dict(self.predefined)
        for instruction in self.program.arguments:
            for argument in instruction.arguments:
                name = self._expand(argument.name, found, instruction.node)
                value = request.args.get(name)
                if value is None and argument.value is not None:
                    value = self._expand(argument.value, found, instruction.node)
                if value is not None:
                    found[name] = value
        return {**found, **{name: value for name, value in request.args.items() if name in found}}

    def _walk(self, stage: Stage) -> State:
        name = stage.name or str(stage.index)
        override = self._named_context(stage.name, stage.start.node) if stage.name else None
        if override is not None:
            state = self._context(override, name, stage.start.node)
            state.change(on_build=())  # it is the stage's own image: nothing is built on it here
            self.first[stage.index] = state.layers
            return state
        state = self._base(stage, name)
        self.first[stage.index] = state.layers
        triggers = state.config.on_build
        state.change(on_build=())
        for text in triggers:
            self._instruction(self._trigger(text, stage), state, stage)
        for instruction in stage.instructions:
            self._instruction(instruction, state, stage)
        return state

    def _trigger(self, text: str, stage: Stage) -> Instruction:
        trigger = parse_trigger(text, stage.start.node.place(self.plan.file))
        node = msgspec.structs.replace(trigger.node, line=stage.start.node.line, source=stage.start.node.source)
        return msgspec.structs.replace(trigger, node=node)

    def _base(self, stage: Stage, name: str) -> State:
        """What a stage begins with."""
        image = self._expand(stage.start.image, self.globals, stage.start.node)
        platform = self._platform(stage)
        if not image:
            raise self.fault(stage.start.node, f"base name ({stage.start.image}) should not be blank", "give its ARG a default")
        below = self._named(image, stage.index)
        if below is not None:
            return child(self.stage(below), name)
        context = self._named_context(familiar(image), stage.start.node)
        if context is not None:
            return self._context(context, name, stage.start.node)
        if image == "scratch":
            return self._with_path(State(name, Config(workdir="/"), {}))
        if not is_image_name(image):
            raise self.fault(stage.start.node, f"failed to parse stage name {image!r}: invalid reference format")
        return self._context(self._pulled(image, platform, stage.start.node), f"{image} {platform}", stage.start.node, name)

    def _platform(self, stage: Stage) -> str:
        """The platform of an image that is pulled for a FROM, "" for this machine's; any other image is of the platform that it is."""
        written = stage.start.platform
        if not written:
            return self.request.wanted
        platform = self._expand(written, self.globals, stage.start.node)
        if not platform:
            raise self.fault(stage.start.node, f"empty platform value from expression {written}")
        parsed = parse_platform(platform)
        if parsed is None:
            raise self.fault(stage.start.node, f"failed to parse platform {platform}", "os/arch or os/arch/variant")
        return platform if platform.count("/") else "/".join(parsed) if all(parsed) else ""

    def _context(self, source: Snapshot | Folder, name: str, node: Node, stage: str = "") -> State:
        """What begins with a context. `name` is the source's, `stage` the stage's where that is another."""
        if isinstance(source, Folder):
            ref = self.plan.add(f"{name} files", Put((Pick(source, ""),), "/"), node)
            return self._with_path(State(name, Config(workdir="/"), {}, (ref,)))
        known = self._snapshots.get(name)
        if known is None:
            try:
                config = self.plan.context.config_of(source, self.plan.actions)
            except GraphbuildError as error:  # an image that cannot be had
                placed = (msgspec.structs.replace(each, place=each.place or node.place(self.plan.file)) for each in error.problems)
                raise GraphbuildError(*placed, exit_code=error.exit_code) from None
            known = self._snapshots[name] = self._with_path(State(name, config, dict(config.env), source.layers, history=source.config))
        return child(known, stage or name)

    def _with_path(self, state: State) -> State:
        if "PATH" not in state.env:
            state.env["PATH"] = PATH
            state.change(env=(*state.config.env, ("PATH", PATH)))
        return state

    def _pulled(self, name: str, platform: str, node: Node) -> Snapshot:
        """An image of a registry: as build.lock pins it, or, for a command, as its tag has it now."""
        context = self.plan.context
        digest = name.partition("@")[2] or (context.lock or {}).get(name, "")
        if not digest and not context.settings.anywhere:
            hint = f"run `graphbuild lock`; or give it: `contexts: {{{name}: //package:target}}`"
            raise self.fault(node, f"image {name} is not pinned in build.lock", hint)
        key = (name, platform)
        if key not in self._pulls:
            ref = self.plan.add(f"pull {name}", Pull(name, digest, platform), node)
            self._pulls[key] = Snapshot((ref,), (ref,))
        return self._pulls[key]

    def _instruction(self, instruction: Instruction, state: State, stage: Stage) -> None:
        state.number += 1
        match instruction:
            case Run():
                running.run(instruction, state, stage, self)
            case Copy() | Add():
                copying.copy(instruction, state, stage, self)
            case Arg():
                self._argument(instruction, state)
            case _:
                configuring.configure(instruction, state, self)
        if self.plan.watch:
            self.plan.watch(instruction, state)

    def _argument(self, said: Arg, state: State) -> None:
        for argument in said.arguments:
            name = self.expand(argument.name, state, said.node)
            value = self.request.args.get(name)
            if value is None:
                value = self.globals.get(name) if argument.value is None else self.expand(argument.value, state, said.node)
            state.args[name] = value
            state.note(f"ARG {name}" if value is None else f"ARG {name}={value}")
            if value is not None:
                state.env[name] = value

    def layer(self, action: Action, keyword: str, node: Node, state: State, history: str) -> None:
        """Add what an action makes as the stage's next layer."""
        ref = self.plan.add(state.action(keyword), action, node)
        state.layers = (*state.layers, ref)
        state.note(history, ref)
