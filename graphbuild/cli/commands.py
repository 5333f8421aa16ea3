"""Commands of plugins: found when a word is none of our own, or when all are listed."""

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from graphbuild.build.plugins import find_plugins
from graphbuild.build.project import Site, find_site
from graphbuild.rules.commands import Command
from graphbuild.spec.model import COMMON_ATTRIBUTES, SECTIONS, Declaration, PackageSpec, Section
from graphbuild.values.config import Config
from graphbuild.values.errors import GraphbuildError, Problem, mistake

_NOWHERE = "(command line)"


def plugin_commands(site: Site | None = None) -> list[Command]:
    """The commands of all plugins, sorted by name. GraphbuildError blames a plugin that exports something else."""
    site = site or find_site(Path.cwd(), None)
    found: dict[str, Command] = {}
    cache = site.store / "plugins" if (site.store / "VERSION").exists() else None  # no store is made here
    for plugin in find_plugins(site.root, cache, site.settings.plugins):
        for command in plugin.commands:
            if not isinstance(command, Command):
                raise GraphbuildError(Problem(f"plugin {plugin.name!r}: COMMANDS holds a {type(command).__name__}, not a Command"))
            if command.name in found:
                raise GraphbuildError(Problem(f"plugin {plugin.name!r}: there is a command {command.name!r} already"))
            found[command.name] = command
    return [found[name] for name in sorted(found)]


class CommandHost:
    """What a command is given: the `Host` of this command line."""

    def __init__(self, options: Namespace) -> None:
        self._options = options
        self._root = find_site(Path.cwd(), None).root

    @property
    def platform(self) -> str:
        from graphbuild.values.platform import this_platform

        return this_platform()

    def build(self, targets: Mapping[str, Mapping[str, Any]], labels: Sequence[str], *, repeatable: bool = True) -> int:
        self._options.labels = list(labels)
        if self._options.explain:
            from graphbuild.cli.inspect import explain

            return explain(self._options, package_of(targets))
        from graphbuild.cli.build import run

        self._options.repeatable = repeatable
        self._options.output = None
        return run(self._options, package_of(targets))

    def config(self, targets: Mapping[str, Mapping[str, Any]], label: str) -> Config:
        from graphbuild.cli.session import session

        spec = package_of(targets) if targets else None
        with session(self._options, lambda _text: None, spec=spec) as opened:
            (chosen,) = opened.selected([label])
            return opened.config(chosen)

    def path(self, text: str) -> str:
        place = Path(os.path.abspath(os.path.expanduser(text)))
        real = place.parent.resolve() / place.name
        return str(real.relative_to(self._root)) if real.is_relative_to(self._root) and real != self._root else str(real)

    def say(self, text: str) -> None:
        print(text)


def package_of(targets: Mapping[str, Mapping[str, Any]]) -> PackageSpec:
    """The root package, with these targets and no others."""
    return PackageSpec("", _NOWHERE, {}, tuple(_declarations(targets)))


def _declarations(targets: Mapping[str, Mapping[str, Any]]) -> list[Declaration]:
    declarations = []
    for section, named in targets.items():
        if section not in SECTIONS:
            raise mistake(f"unknown section {section!r}")
        for name, value in named.items():
            rules = [key for key in value if key not in COMMON_ATTRIBUTES]
            common = {key: item for key, item in value.items() if key in COMMON_ATTRIBUTES}
            declarations.append(Declaration(cast("Section", section), name, rules[0], value[rules[0]], common, _NOWHERE, 1))
    return declarations
