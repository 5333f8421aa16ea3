"""What targets are called: a step after what its instruction does, and no two the same."""

import posixpath
import re
from collections.abc import Sequence

from graphbuild.rules import Action, Put
from graphbuild_dockerfile.instructions import Add, Copy, Instruction, Run, Workdir
from graphbuild_dockerfile.program import Stage

_SKIPPED = ("set", "cd", "export", "exec", "sudo", "mkdir")
_LONGEST = 30  # letters
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


class Called:
    """The names of one package's targets. Stages and images take theirs first; of stages of one name the last one has it."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        names = [stage.name for stage in stages]
        self.taken = {"all", *names} - {""}
        self._stages: dict[int, str] = {}
        for stage in stages:
            if stage.name:
                names.remove(stage.name)
                self._stages[stage.index] = self.unique(stage.name) if stage.name in names else stage.name

    def stage(self, index: int) -> str:
        """What a stage that has a name is called, by its number; "" for one that has none."""
        return self._stages.get(index, "")

    def unique(self, wanted: str) -> str:
        name = re.sub(r"[^A-Za-z0-9_.+-]+", "-", wanted).strip("-.+") or "step"
        unique, number = name, 2
        while unique in self.taken:
            unique, number = f"{name}-{number}", number + 1
        self.taken.add(unique)
        return unique


def step_name(instruction: Instruction, action: Action) -> str:
    """After the program that is run, the file that is copied or the folder that is made. It need not be unique, nor fit for a target."""
    to = posixpath.basename(action.to.rstrip("/.")) if isinstance(action, Put) else ""
    match instruction:
        case Run(command=command):
            return command_name(command.words, shell=command.shell)
        case Workdir():
            return f"{to or 'root'}-folder"
        case Copy() | Add():
            source = posixpath.basename(instruction.sources[0].rstrip("/")) if instruction.sources else ""
            return next((name for name in (source, to) if _NAME.fullmatch(name)), "files")
        case _:
            return "files"


def command_name(words: Sequence[str], *, shell: bool) -> str:
    """What a command may be called: its program, and the verb after it."""
    if not shell:
        return posixpath.basename(words[0]) if words else "run"
    text = words[0] if words else ""
    for part in re.split(r"&&|\|\||[;|\n]", text):
        found = [word for word in part.split() if "=" not in word]
        if not found or found[0] in _SKIPPED or not re.fullmatch(r"[A-Za-z0-9_./+-]+", found[0]):
            continue
        program = posixpath.basename(found[0].rstrip("/"))
        verb = found[1] if len(found) > 1 and re.fullmatch(r"[a-z][a-z-]+", found[1]) else ""
        later = re.search(rf"{re.escape(program)}\s+(?:-\S+\s+)*(install|add|build)\b", text)
        verb = later[1] if later else verb
        return (f"{program}-{verb}" if verb and len(verb) < _LONGEST else program)[:_LONGEST]
    return "run"
