"""What commands that look at targets share: the project, the store, the selection and the graph."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from graphbuild.build.lockfile import LockFile, told
from graphbuild.build.project import Project, Site, check_network, find_site
from graphbuild.build.reading import reader_of
from graphbuild.build.resolving import Resolving, resolve
from graphbuild.graph.analyze import Graph, Surroundings, analyze
from graphbuild.graph.configure import Configured, configure_all
from graphbuild.graph.select import select
from graphbuild.layers.cancel import never
from graphbuild.network import DeferredNetwork, Network, OfflineNetwork
from graphbuild.rules.api import LockContext, Snapshot
from graphbuild.spec.model import BUILT, SECTIONS, PackageSpec
from graphbuild.store.store import Store
from graphbuild.values.config import Config
from graphbuild.values.errors import GraphbuildError, Problem, mistake
from graphbuild.values.label import Label
from graphbuild.values.platform import normal_platform

if TYPE_CHECKING:
    from graphbuild.build.images import Images
    from graphbuild.network.registry import Registries

T = TypeVar("T")


class Session:
    """An opened project with its store. `report` is told what takes time before the build itself."""

    def __init__(
        self,
        project: Project,
        store: Store,
        network: Network,
        registries: Callable[[], "Registries"],
        report: Callable[[str], None],
        *,
        offline: bool = False,
        afresh: bool = False,
    ) -> None:
        self.project = project
        self.store = store
        self.network = network
        self.offline = offline
        self._warned: set[str] = set()
        self.registries = registries
        self.images = once(lambda: images_of(store, registries, offline=offline, afresh=afresh))
        self.report = report

    def selected(self, patterns: Sequence[str], sections: Container[str] = SECTIONS) -> list[Label]:
        """The labels that a command line names; without any, the outputs of the package where the user stands.

        `sections`: those that a pattern which stands for many means.
        """
        project = self.project
        if not patterns:
            return self._default()
        absolute = [pattern for pattern in patterns if not pattern.startswith("-")]
        if not absolute:
            patterns = ("...", *patterns)
        chosen = select(patterns, project.package, project.workspace, sections)
        if not chosen:
            hint = "tests are run by `graphbuild test`" if sections is BUILT else ""
            raise mistake("the patterns leave no target", hint=hint)
        return chosen

    def tests(self, patterns: Sequence[str]) -> list[Label]:
        """The tests among what a command line names; without any patterns, those of the package where the user stands."""
        project = self.project
        if not patterns:
            patterns = [":all"] if project.load(project.package) is not None else ["..."]
        elif all(pattern.startswith("-") for pattern in patterns):
            patterns = ("...", *patterns)
        chosen = select(patterns, project.package, project.workspace, ("tests",))
        found = [label for label in chosen if project.workspace.declaration(label).section == "tests"]
        if not found and chosen:
            hint = f"`graphbuild query 'tests(rdeps(//..., {chosen[0]}))'` lists the tests of it"
            raise mistake(f"{chosen[0]} is no test", hint=hint)
        if not found:
            raise mistake(
                f"there are no tests in {', '.join(patterns)}", hint="`graphbuild test //...` runs all; a build.yaml's `tests:` has them"
            )
        return found

    def tagged(self, tags: str, labels: Sequence[Label]) -> list[Label]:
        """Those of the targets that have one of the tags, if any is said, and none of those with a `-` in front."""
        words = [word.strip() for word in tags.split(",") if word.strip()]
        unwanted = {word[1:] for word in words if word.startswith("-")}
        wanted = {word for word in words if not word.startswith("-")}
        configured = ((label, set(self.project.workspace.configure(label).common.tags)) for label in labels)
        return [label for label, own in configured if not own & unwanted and (not wanted or own & wanted)]

    def graph(self, labels: Sequence[Label], *, locked: bool = False) -> Graph:
        """The analysed graph of the labels; what it needs from outside is locked first, and build.lock written."""
        project = self.project
        configured = configure_all(project.workspace, labels)
        # What a command makes up for itself is pinned nowhere.
        lasting = {} if project.surroundings.anywhere else configured
        for line in told(resolve(lasting, project.lock, self.lock_context, locked=locked)):
            self.report(f"locked {line}")
        if project.lock.save():
            project.inputs.watch(project.lock.path)
        graph = self.analyze(labels)
        project.saved()
        check_network(project, graph)
        for text in dict.fromkeys((*graph.notices, *_shown(graph.warnings))):
            if text not in self._warned:
                self._warned.add(text)
                self.report(text)
        return graph

    def everything(self) -> list[Label]:
        """Every target of the workspace, `manual` ones too. GraphbuildError with the mistakes of all packages at once."""
        labels: list[Label] = []
        problems: list[Problem] = []
        for package in self.project.packages(""):
            try:
                spec = self.project.load(package)
                for declaration in spec.targets if spec else ():
                    labels.extend(self.project.workspace.expand(Label(package, declaration.name)))
            except GraphbuildError as error:
                problems.extend(error.problems)
        if problems:
            raise GraphbuildError(*problems)
        return labels

    def analyze(self, labels: Sequence[Label], lock: LockFile | None = None) -> Graph:
        """The graph of labels that are locked (in `lock`: by default the workspace's)."""
        project = self.project
        reader = reader_of(project.inputs, self.store, self.network, self.images)
        return analyze(project.workspace, labels, Surroundings((lock or project.lock).get, reader, project.surroundings))

    def unlocked(self, configured: Mapping[Label, Configured], lock: LockFile | None = None) -> set[Label]:
        """Targets that are not locked (in `lock`: by default the workspace's), and all that is built on them: of those there is no graph."""
        lock = lock or self.project.lock
        found = {label for label, target in configured.items() if lock.missing(target, self.lock_context)}
        size = -1
        while size != len(found):
            size = len(found)
            found |= {label for label, target in configured.items() if found.intersection(target.needs())}
        return found

    def config(self, label: Label) -> Config:
        """The config that comes down with a target's files."""
        graph = self.graph([label])
        snapshot = graph.targets[label].get(Snapshot)
        if snapshot is None:
            raise mistake(f"{label} offers no files", hint="name a base or a step")
        return reader_of(self.project.inputs, self.store, self.network, self.images)(graph.nodes).config(snapshot.config)

    def lock_context(self, target: Configured, locked: Any = None, refresh: tuple[str, ...] = ()) -> LockContext:
        parts = (self.project.root, self.store, self.network, self.images, self.report)
        return Resolving(target, *parts, offline=self.offline, locked=locked, refresh=refresh)

    def _default(self) -> list[Label]:
        project = self.project
        if project.load(project.package) is None:
            return select(["..."], project.package, project.workspace, BUILT)
        spec = project.load(project.package)
        labels = project.workspace.labels(project.package, BUILT)
        outputs = {declaration.name for declaration in (spec.targets if spec else ()) if declaration.section == "outputs"}
        chosen = [label for label in labels if label.name in outputs] or list(labels)
        if not chosen:
            raise mistake(
                f"//{project.package} declares no targets",
                hint="add one to its build.yaml, or name others: //...; `graphbuild test` runs tests",
            )
        return chosen


def _shown(warnings: Sequence[Problem]) -> list[str]:
    if not warnings:
        return []
    from graphbuild.cli.problems import shown

    return [shown(problem) for problem in warnings]


def report(text: str) -> None:
    """Say what takes time, and what was noticed, before a build has a display."""
    sys.stderr.write(f"{text}\n")


@contextlib.contextmanager
def session(
    options: Any, report: Callable[[str], None], cancelled: Callable[[], bool] = never, spec: PackageSpec | None = None
) -> Iterator[Session]:
    """Open the project where the user stands, and its store; a running build's claim on the store is held meanwhile.

    `spec`: a package that no file declares (`build.project`).
    """
    site = find_site(Path.cwd(), options.store)
    offline = bool(getattr(options, "offline", False))
    network: Network = OfflineNetwork() if offline else DeferredNetwork(_http)
    store = Store(site.store)
    try:
        project = Project(site, store.root, variables(options.set), cancelled, spec, platforms(getattr(options, "platforms", ())))
        with store.lease():
            registries = once(lambda: registries_of(site, offline=offline))
            afresh = bool(getattr(options, "pull", False))
            yield Session(project, store, network, registries, report, offline=offline, afresh=afresh)
    finally:
        store.close()


def _http() -> Network:
    from graphbuild.network.http import HttpNetwork

    return HttpNetwork()


def once(make: Callable[[], T]) -> Callable[[], T]:
    """What gives the same as `make`, which is called when it is first asked for: most builds ask for no registry."""
    made: list[T] = []
    lock = threading.Lock()

    def get() -> T:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return get


def images_of(store: Store, registries: Callable[[], "Registries"], *, offline: bool, afresh: bool = False) -> "Images":
    from graphbuild.build.images import Images

    return Images(store, registries, offline=offline, afresh=afresh)


def registries_of(site: Site, *, offline: bool) -> "Registries":
    """The registries, as the workspace's settings and this user's credentials have them."""
    if offline:
        from graphbuild.network.registry import offline_registries

        return offline_registries()
    from graphbuild.network.registry.client import HttpRegistries

    settings = {
        host: msgspec.structs.replace(said, ca=str(site.root / said.ca) if said.ca else "")
        for host, said in site.settings.registries.items()
    }
    return HttpRegistries(settings, os.environ)


def variables(texts: Sequence[str]) -> dict[str, str]:
    """`--set name=value` pairs. GraphbuildError for one that is none."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise mistake(f"--set {text!r} is not NAME=VALUE", hint="for example --set version=1.2")
        found[name] = value
    return found


def platforms(texts: Sequence[str]) -> tuple[str, ...]:
    """`--platform os/arch[/variant]`, several with commas between or the option repeated. GraphbuildError for what is none."""
    found: dict[str, None] = {}
    for text in texts:
        for one in text.split(","):
            try:
                found[normal_platform(one.strip())] = None
            except ValueError as error:
                raise mistake(f"--platform: {error}", hint="for example --platform linux/amd64,linux/arm64") from None
    return tuple(found)


def secrets(texts: Sequence[str]) -> dict[str, bytes]:
    """`--secret id=ID,src=FILE` and `id=ID,env=NAME` (Docker's form). GraphbuildError for a bad one, or a missing source."""
    found: dict[str, bytes] = {}
    for text in texts:
        parts = dict(part.partition("=")[::2] for part in text.split(","))
        name = parts.pop("id", "")
        source = parts.pop("src", "") or parts.pop("source", "")
        variable = parts.pop("env", "")
        parts.pop("type", None)
        if parts:
            raise mistake(f"--secret {text}: unexpected key {next(iter(parts))!r}", hint="it takes id, src or env")
        if not name or (source and variable):
            raise mistake("--secret is id=ID,src=FILE or id=ID,env=NAME", hint="for example --secret id=npmrc,src=$HOME/.npmrc")
        found[name] = _secret(name, source, variable or ("" if source else name))
    return found


def _secret(name: str, source: str, variable: str) -> bytes:
    if source:
        try:
            return Path(os.path.expanduser(source)).read_bytes()
        except OSError as error:
            raise mistake(f"secret {name!r}: cannot read {source}: {error.strerror}") from None
    value = os.environ.get(variable)
    if value is None:
        raise mistake(f"secret {name!r}: the environment has no {variable}", hint=f"name a file: --secret id={name},src=FILE")
    return os.fsencode(value)


def agents(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """`--ssh default` and `--ssh ID=SOCKET` (Docker's form): the socket of an ssh agent by id. GraphbuildError where there is none."""
    found = []
    for text in texts:
        name, _, socket = text.partition("=")
        place = socket or os.environ.get("SSH_AUTH_SOCK", "")
        if not place or not os.path.exists(place):
            raise mistake(f"--ssh {text}: there is no agent's socket", hint="start ssh-agent, or name the socket: --ssh default=SOCKET")
        found.append((name or "default", os.path.abspath(place)))
    return tuple(found)
