"""The comments of a Dockerfile, on their way to the targets that their instructions become."""

import contextlib
from collections.abc import Iterator

from graphbuild_dockerfile.instructions import Arg, From, Instruction
from graphbuild_dockerfile.program import Program
from graphbuild_dockerfile.shelltext import inner_comments
from graphbuild_dockerfile.text import Node


class Comments:
    """Collects those of instructions until a target is declared; `made` are those of targets, by section and name."""

    def __init__(self, program: Program, made: dict[tuple[str, str], list[str]]) -> None:
        self._first = (program.arguments[0] if program.arguments else program.stages[0].start).node
        self._made = made
        self._pending: list[str] = []

    def above(self, node: Node) -> None:
        self._pending += self._lines(node)

    def of(self, instruction: Instruction) -> None:
        """Those above an instruction and inside of it; those of a FROM were there before it."""
        if isinstance(instruction, From):
            return
        if isinstance(instruction, Arg):
            self.argument(instruction)
            return
        self.above(instruction.node)
        self._pending += inner_comments(instruction.node)

    def argument(self, said: Arg) -> None:
        """An argument's comments stand above its variable, if there will be one."""
        lines = self._lines(said.node) + inner_comments(said.node)
        if lines:
            self._made.setdefault(("vars", said.arguments[0].name), lines)

    def belong(self, section: str, name: str) -> None:
        """What was collected is about this target."""
        self._made[section, name] = self._pending
        self._pending = []

    @contextlib.contextmanager
    def kept(self) -> Iterator[None]:
        """What was collected is not about the targets that are declared meanwhile."""
        pending, self._pending = self._pending, []
        yield
        self._pending = pending

    def _lines(self, node: Node) -> list[str]:
        """The comments above an instruction; those of the first one are the file's."""
        return [line.strip() for line in node.comments] if node is not self._first else []
