"""A stage while its instructions are walked: its layers, its environment, and the config its image will have."""

from collections.abc import Callable, Mapping

import msgspec

from graphbuild.rules import Action, Config, ConfigExpression, Context, GraphbuildError, HistoryEntry, Origin, Problem, Ref
from graphbuild_dockerfile.instructions import Instruction
from graphbuild_dockerfile.text import Node


class Plan:
    """The actions of a whole Dockerfile, as its stages add them."""

    def __init__(self, context: Context, file: str, watch: "Callable[[Instruction, State], None] | None" = None) -> None:
        """`watch` is told of each instruction after it was walked."""
        self.context = context
        self.file = file
        self.watch = watch
        self.actions: list[tuple[str, Action]] = []
        self.origins: list[tuple[str, Origin]] = []
        self._names: set[str] = set()

    def add(self, name: str, action: Action, node: Node) -> Ref:
        """Add an action of an instruction; its name is made unique."""
        unique, number = name, 2
        while unique in self._names:
            unique, number = f"{name} {number}", number + 1
        self._names.add(unique)
        self.actions.append((unique, action))
        self.origins.append((unique, Origin(self.file, node.line, " ".join(node.code.split()))))
        return self.context.ref(unique)


class State(msgspec.Struct):
    """`env` is what an instruction sees: ENV and ARG by one name, whichever came last. `args` are the declared ARGs with their values.

    `history` is what the image's history says of it all, as BuildKit writes it.
    """

    name: str
    config: Config
    env: dict[str, str]
    layers: tuple[Ref, ...] = ()
    args: dict[str, str | None] = {}
    history: ConfigExpression = ()
    number: int = 0  # of the instruction that is walked, from 1
    cmd_set: bool = False

    def action(self, keyword: str) -> str:
        """What the action of the current instruction is called: stage, number in it, keyword."""
        return f"{self.name}/{self.number} {keyword}"

    def change(self, **changes: object) -> None:
        """Change the config."""
        self.config = msgspec.structs.replace(self.config, **changes)

    def note(self, text: str, layer: Ref | None = None) -> None:
        """Say something in the image's history: of a layer, or of the config alone."""
        self.history = (*self.history, HistoryEntry(text, layer))

    @property
    def shell(self) -> tuple[str, ...]:
        """What executes a command that is a text."""
        return self.config.shell or ("/bin/sh", "-c")

    @property
    def workdir(self) -> str:
        return self.config.workdir or "/"


def child(parent: State, name: str) -> State:
    """A stage that begins where another ends."""
    return State(name, parent.config, dict(parent.env), parent.layers, dict(parent.args), parent.history)


def problem(node: Node, file: str, message: str, hint: str = "") -> GraphbuildError:
    """A mistake in an instruction."""
    return GraphbuildError(Problem(message, node.place(file), hint))


def merged(pairs: tuple[tuple[str, str], ...], more: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Pairs with others put in: a name keeps its place, new ones come last."""
    return tuple({**dict(pairs), **more}.items())
