"""Which images hold a package or a file, and which of their layers brought it.

Invariants: a layer's index, its package databases and its paths are looked at once, however many images stand on it; nothing is unpacked
and nothing decompressed that is not the one form of a file that is wanted.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence

import msgspec

from graphbuild.engine.packages import Databases, Installed
from graphbuild.engine.versions import Requirement
from graphbuild.layers.stack import Layer, Stack
from graphbuild.values.digest import Digest
from graphbuild.values.entry import Kind

_WILD = re.compile(r"[*?\[]")


class PathPattern(msgspec.Struct, frozen=True):
    """A path of images, absolute, which may have wildcards; `matches` tells whole paths, relative to the root, from others."""

    text: str
    matches: Callable[[bytes], bool]


class Held(msgspec.Struct, frozen=True):
    """A package, or a file, that an image holds, and the layer that brought it. `what` is "package" or "file"."""

    what: str
    name: str  # deb:libssl3, or /usr/bin/perl
    version: str
    layer: Digest | None


class Search:
    """What is looked for: all of the packages, and for each pattern a path at least."""

    def __init__(self, requirements: Sequence[Requirement], patterns: Sequence[PathPattern], complain: Callable[[str], None]) -> None:
        """`complain` is told of packages whose version cannot be compared; those count as held, lest they be overlooked."""
        self._requirements = requirements
        self._patterns = patterns
        self._complain = complain
        self._databases = Databases()
        self._paths: dict[tuple[Digest, str], list[bytes]] = {}

    def held(self, stack: Stack) -> list[Held]:
        """What an image holds of it, by packages and then by paths; [] where it lacks something."""
        found: list[Held] = []
        for requirement in self._requirements:
            packages = list(self._packages(stack, requirement))
            if not packages:
                return []
            found += packages
        for pattern in self._patterns:
            files = sorted(self._files(stack, pattern), key=lambda held: held.name)
            if not files:
                return []
            found += files
        return list(dict.fromkeys(found))

    def _packages(self, stack: Stack, requirement: Requirement) -> Iterator[Held]:
        for manager in requirement.managers:
            for package in self._databases.named(stack, manager, requirement.name_for(manager)):
                if self._meets(package, requirement):
                    layer = self._databases.brought_by(stack, package)
                    yield Held("package", f"{manager}:{package.name}", package.version, layer.tree if layer else None)

    def _meets(self, package: Installed, requirement: Requirement) -> bool:
        try:
            return requirement.met_by(package.manager, package.version)
        except ValueError as error:
            self._complain(f"{package.manager}:{package.name} {package.version} counts as {requirement.text}: {error}")
            return True

    def _files(self, stack: Stack, pattern: PathPattern) -> Iterator[Held]:
        if not _WILD.search(pattern.text):
            real = stack.resolve(os.fsencode(pattern.text), follow_last=False)
            seen = stack.find(real)
            if seen is not None:
                yield _file(real, seen[1])
            return
        for layer in stack.layers:
            for path in self._matching(layer, pattern):
                seen = stack.find(path)
                if seen is not None and seen[1] is layer:
                    yield _file(path, layer)

    def _matching(self, layer: Layer, pattern: PathPattern) -> list[bytes]:
        known = self._paths.get((layer.tree, pattern.text))
        if known is None:
            hidden = (Kind.DIRECTORY, Kind.WHITEOUT)
            known = [entry.path for entry in layer.entries if entry.kind not in hidden and pattern.matches(entry.path)]
            self._paths[layer.tree, pattern.text] = known
        return known


def _file(path: bytes, layer: Layer) -> Held:
    return Held("file", "/" + os.fsdecode(path), "", layer.tree)
