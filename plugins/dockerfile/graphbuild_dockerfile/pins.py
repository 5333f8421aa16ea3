"""Which images of registries a stage needs: what build.lock is to pin. Read off the text, without any image.

What only an image could tell (its ONBUILD triggers), or a variable of a stage, is not known here: a name that it brings must be given as
a context.
"""

from collections.abc import Iterator, Mapping

from graphbuild.rules import GraphbuildError
from graphbuild_dockerfile.bases import is_image_name
from graphbuild_dockerfile.drawing import copied
from graphbuild_dockerfile.environment import predefined
from graphbuild_dockerfile.names import familiar
from graphbuild_dockerfile.program import Program, Stage
from graphbuild_dockerfile.words import expand


def images(
    program: Program, target: str, arguments: Mapping[str, str], contexts: Mapping[str, str], platforms: tuple[str, str]
) -> list[str]:
    """The names, each once, in the order in which they are met. `platforms`: built on, built for."""
    return list(dict.fromkeys(_Needs(program, target, arguments, contexts, platforms).of_target()))


class _Needs:
    def __init__(
        self, program: Program, target: str, arguments: Mapping[str, str], contexts: Mapping[str, str], platforms: tuple[str, str]
    ) -> None:
        self._program = program
        self._target = target
        self._contexts = {familiar(name) for name in contexts}
        self._values = predefined(program, *platforms, target)
        self._seen: set[int] = set()
        for instruction in program.arguments:
            for argument in instruction.arguments:
                value = arguments.get(argument.name, self._expanded(argument.value) if argument.value is not None else None)
                if value is not None:
                    self._values[argument.name] = value

    def of_target(self) -> Iterator[str]:
        stages = self._program.stages
        if not self._target:
            yield from self._of(stages[-1])
        elif (found := self._named(self._target.lower(), len(stages))) is not None:
            yield from self._of(found)

    def _of(self, stage: Stage) -> Iterator[str]:
        if stage.index in self._seen or familiar(stage.name) in self._contexts:
            return
        self._seen.add(stage.index)
        yield from self._name(self._expanded(stage.start.image), stage.index)
        for name in copied(stage):
            if name.isdigit():
                if int(name) < stage.index:
                    yield from self._of(self._program.stages[int(name)])
            else:
                yield from self._name(self._expanded(name), stage.index)

    def _name(self, name: str, before: int) -> Iterator[str]:
        below = self._named(name.lower(), before)
        if below is not None:
            yield from self._of(below)
        elif name != "scratch" and is_image_name(name) and familiar(name) not in self._contexts:
            yield name

    def _named(self, name: str, before: int) -> Stage | None:
        return next((stage for stage in reversed(self._program.stages[:before]) if stage.name and stage.name == name), None)

    def _expanded(self, word: str) -> str:
        try:
            return expand(word, self._values, self._program.directives.escape)
        except GraphbuildError:
            return ""  # said where it is built
