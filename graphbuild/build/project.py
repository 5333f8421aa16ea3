"""A workspace, opened: where it is, what its settings say, which rules it knows, and its packages as they are asked for."""

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from blake3 import blake3

from graphbuild.build.builtins import Builtins
from graphbuild.build.inputs import Inputs
from graphbuild.build.lockfile import NAME as LOCK_NAME
from graphbuild.build.lockfile import LockFile
from graphbuild.build.plugins import find_plugins
from graphbuild.graph.analyze import Graph
from graphbuild.graph.configure import Workspace
from graphbuild.layers.cancel import Cancel, never
from graphbuild.rules.actions import command_of, is_volatile
from graphbuild.rules.api import Settings as RuleSettings
from graphbuild.rules.builtin import RULES
from graphbuild.rules.registry import Rules, register
from graphbuild.spec.cache import ParsedCache, remembered_settings
from graphbuild.spec.extend import Specs
from graphbuild.spec.model import COMMON_ATTRIBUTES, MAX_BYTES, WORKSPACE_FILE, PackageSpec
from graphbuild.spec.workspace import Settings, find_packages, find_workspace, load_settings
from graphbuild.values.errors import GraphbuildError, Problem, mistake
from graphbuild.values.label import Label
from graphbuild.values.platform import this_platform

_MOST_LINKS = 40  # that lead to each other, as the kernel has it


class Site(msgspec.Struct, frozen=True):
    """Where the user stands: the workspace's root, the package, the settings, and the folder of the store (it need not exist)."""

    root: Path
    package: str
    settings: Settings
    store: Path


def find_site(folder: Path, store: str | None) -> Site:
    """The site of a folder. `store` is what the command line says of it. GraphbuildError for a broken graphbuild.yaml."""
    root = find_workspace(folder)
    place = store_folder(store, root, Settings()) / "certificates" / f"settings-{blake3(os.fsencode(root)).hexdigest(20)}"
    settings = load_settings(root, lambda text, file: remembered_settings(place, text, file))
    package = "" if folder == root else str(folder.relative_to(root))
    return Site(root, package, settings, store_folder(store, root, settings))


class Project:
    """An opened workspace. Everything it reads is noted in `inputs`, for the certificate of an unchanged build."""

    def __init__(
        self,
        site: Site,
        cache: Path,
        variables: Mapping[str, str],
        cancelled: Cancel = never,
        spec: PackageSpec | None = None,
        platforms: tuple[str, ...] = (),
    ) -> None:
        """`cache`: the folder for what is remembered between builds, the store's; `variables`: `--set`; `platforms`: `--platform`.

        `spec`: a package that is in no file, in the place of the one it names. Its paths may lead anywhere: whoever made it was asked to.
        """
        self.root = site.root
        self.package = site.package
        self.settings = site.settings
        self.inputs = Inputs(self.root, cache / "stat", cancelled)
        for folder in self.root.parents:  # either would make it a part of a larger workspace
            self.inputs.watch(folder / WORKSPACE_FILE)
            self.inputs.watch(folder / ".git")
        self.inputs.watch(self.root / WORKSPACE_FILE)
        self.inputs.watch(self.root / LOCK_NAME)
        plugins = find_plugins(self.root, cache / "plugins", self.settings.plugins)
        self.inputs.watch(self.root / "plugins")
        self.rules = register((("graphbuild", RULES), *((plugin.name, plugin.rules) for plugin in plugins)), COMMON_ATTRIBUTES)
        self.lock = LockFile(self.root)
        self.surroundings = RuleSettings(build_platform=this_platform(), epoch=self.settings.source_date_epoch, anywhere=spec is not None)
        self.builtins = Builtins(self.root, self.inputs.watch)
        self._parsed = ParsedCache(cache / "specs", _kinds(self.rules))
        self._spec = spec
        self._real_root = self.root.resolve()
        self._specs = Specs(self._read, self.parsed)
        self.workspace = Workspace(self, self.rules, variables, self.settings, self.builtins, platforms)

    def load(self, package: str) -> PackageSpec | None:
        """The build.yaml of a package with what it inherits, or None when there is none. GraphbuildError for a broken one."""
        return self._spec if self._spec and package == self._spec.package else self._specs.load(package)

    def packages(self, under: str) -> Iterable[str]:
        return list(find_packages(self.root, under, self.settings.ignore, lambda folder: self.inputs.visit(self.root / folder)))

    def saved(self) -> None:
        """Keep what was parsed for the next build."""
        self._parsed.save()

    def _read(self, file: str) -> bytes | None:
        """The text of a build.yaml or a template. A symlink is followed inside the workspace, and what it leads to is an input too."""
        place = self.root / file
        status = self.inputs.watch(place)
        if status is None:
            return None
        for _ in range(_MOST_LINKS if stat.S_ISLNK(status.st_mode) else 0):
            place = place.parent / os.readlink(place)
            if (status := self.inputs.watch(place)) is None or not stat.S_ISLNK(status.st_mode):
                break
        try:
            with open(place, "rb", opener=_without_waiting) as stream:
                if not Path(os.readlink(f"/proc/self/fd/{stream.fileno()}")).is_relative_to(self._real_root):
                    raise mistake(f"{file} leads out of the workspace through a symlink", hint="copy the file into the workspace")
                return stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise mistake(f"cannot read {file}: {error.strerror}") from None

    def parsed(self, text: bytes, file: str, package: str) -> PackageSpec:
        """What the text of a build.yaml, or of a template, says; remembered by content."""
        return self._parsed.package(text, file, package)


def _without_waiting(path: str, flags: int) -> int:
    """An opener that no fifo holds up."""
    return os.open(path, flags | os.O_NONBLOCK)


def _kinds(rules: Rules) -> dict[str, tuple[str, ...]]:
    """The kinds of each rule's name."""
    found: dict[str, tuple[str, ...]] = {}
    for kind, name in sorted(rules):
        found[name] = (*found.get(name, ()), kind)
    return found


def store_folder(named: str | None, root: Path, settings: Settings) -> Path:
    """Where the store is: `--store`, GRAPHBUILD_STORE, the workspace's setting, or the user's cache folder."""
    if named or (named := os.environ.get("GRAPHBUILD_STORE")):
        return Path(named).absolute()
    if settings.store:
        return (root / os.path.expanduser(settings.store)).absolute()
    return default_store()


def default_store() -> Path:
    """`$XDG_CACHE_HOME/graphbuild`, or `~/.cache/graphbuild` (XDG Base Directory Specification)."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache).absolute() / "graphbuild"


def check_network(project: Project, graph: Graph) -> None:
    """The workspace's network policy: GraphbuildError for targets that want the network where it is denied. What is pinned by a digest may come."""
    if project.settings.network == "allow":
        return
    wanting: dict[Label, str] = {}
    for ref, node in graph.nodes.items():
        if (command := command_of(node.action)) is not None and command.network == "host":
            wanting.setdefault(ref.label, "wants `network: host`")
        elif is_volatile(node.action):
            wanting.setdefault(ref.label, f"asks the network in each build ({ref.action})")
    problems = [
        Problem(f"{label} {wants}, which graphbuild.yaml denies", graph.configured[label].place, "list it in `network_allow`")
        for label, wants in wanting.items()
        if str(label) not in project.settings.network_allow
    ]
    if problems:
        raise GraphbuildError(*problems)
