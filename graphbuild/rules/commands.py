"""Commands that a plugin adds to `graphbuild`: their options, and what they ask of graphbuild.

A command is a translation: of a command line into targets that graphbuild builds as if a build.yaml declared them, or of one text into
another. It builds nothing by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from graphbuild.values.config import Config

if TYPE_CHECKING:  # it costs 7 ms, and most builds parse no command line with it
    from argparse import ArgumentParser, Namespace


class Host(Protocol):
    """What graphbuild does for a command."""

    @property
    def platform(self) -> str:
        """os/arch of this machine, which is built for."""
        ...

    def build(self, targets: Mapping[str, Mapping[str, Any]], labels: Sequence[str], *, repeatable: bool = True) -> int:
        """Build targets that no file declares: sections as in a build.yaml, whose paths may be absolute. Returns the exit code.

        `labels` are those to build. `repeatable`: the same command line means the same targets, as long as the files are the same.
        """
        ...

    def path(self, text: str) -> str:
        """A path of the command line as a path for a target: from the workspace's root where it is inside, else absolute."""
        ...

    def config(self, targets: Mapping[str, Mapping[str, Any]], label: str) -> Config:
        """The config that comes down with the files of one of these targets, which `build` would build, or of one of the workspace."""
        ...

    def say(self, text: str) -> None:
        """A result, for stdout."""
        ...


class Command(msgspec.Struct, frozen=True):
    """`declare` adds its options to a parser (graphbuild adds those that every build has, if it `builds`); `run` returns the exit code."""

    name: str
    doc: str
    example: str
    declare: "Callable[[ArgumentParser], None]"
    run: "Callable[[Host, Namespace], int]"
    builds: bool = True
