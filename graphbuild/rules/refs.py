"""What actions refer to: results of others, and files of the workspace or of a stack. Symbolic: digests take their place later."""

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from graphbuild.values.config import Config, ConfigPatch
from graphbuild.values.label import Label

T = TypeVar("T")


class Ref(msgspec.Struct, frozen=True, order=True, gc=False):
    """The result of one action of one target."""

    label: Label
    action: str

    def __str__(self) -> str:
        return f"{self.label}#{self.action}"


class HistoryEntry(msgspec.Struct, frozen=True):
    """What an image's history says of an action's layer, in the place of its kind and label; without a `layer`, of the config alone."""

    text: str
    layer: Ref | None = None


# A config as an expression: folded left over an empty config. A Ref stands for the config its result carries; it and a Config
# take the place of what was before. The history of an image is what its Refs bring and the entries say, in their order.
ConfigExpression = tuple[Ref | ConfigPatch | Config | HistoryEntry, ...]


class Sources(msgspec.Struct, frozen=True, tag="sources"):
    """Files of the workspace: `patterns` (gitignore-like globs, `!` excludes, last match wins) below `folder`.

    `folder` is relative to the workspace root. A pattern may name a folder: all below it. `.graphbuildignore` applies.
    """

    folder: str
    patterns: tuple[str, ...]


class StackFiles(msgspec.Struct, frozen=True, tag="stack"):
    """Files of another target's stack, by absolute globs; owners and modes are kept."""

    layers: tuple[Ref, ...]
    patterns: tuple[str, ...]


class WorkspaceFile(msgspec.Struct, frozen=True, tag="file"):
    """One file or folder of the workspace, relative to its root."""

    path: str


def references(value: object) -> Iterator[Ref]:
    """Every Ref inside an action, in field order, with repetitions."""
    return found_in(value, Ref)


def found_in(value: object, kind: type[T] | tuple[type[T], ...]) -> Iterator[T]:
    """Every value of a kind (or of one of several) inside an action, in field order, with repetitions."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, kind):
            yield value
        elif isinstance(value, tuple):
            waiting += reversed(value)
        elif isinstance(value, msgspec.Struct) and not isinstance(value, (Label, ConfigPatch, Config)):
            waiting += reversed(msgspec.structs.astuple(value))
