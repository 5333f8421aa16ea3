"""Which targets are not what they were at another revision: both graphs are evaluated, and compared by what goes into them.

A target is affected if an action that it takes differs: in what the spec says, in the content of a source, or in what it stands on. That
is a little more than what comes out differently, for a step may make the same of other inputs; only a build tells that. Nothing is
built, and of files only names of their content are looked at. What git ignores counts as the same everywhere.
"""

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from blake3 import blake3

from graphbuild.build.glob import ignore_matcher, matcher
from graphbuild.build.inputs import IGNORE_FILE, Inputs, starts
from graphbuild.build.lockfile import NAME as LOCK_NAME
from graphbuild.build.lockfile import LockFile
from graphbuild.build.project import Project
from graphbuild.build.reading import WorkspaceReader
from graphbuild.build.revisions import Tree
from graphbuild.graph.analyze import Graph, Node, Surroundings, analyze
from graphbuild.graph.configure import Builtin, Workspace
from graphbuild.network import Network
from graphbuild.rules.actions import Action, Folder, Image, ImageIndex, Pick
from graphbuild.rules.refs import Ref, Sources, WorkspaceFile, found_in
from graphbuild.spec.extend import Specs
from graphbuild.spec.model import BUILD_FILE, WORKSPACE_FILE
from graphbuild.spec.workspace import Settings, parse_settings, walk_packages
from graphbuild.store.layout import unique_name
from graphbuild.store.store import Store
from graphbuild.values.errors import GraphbuildError
from graphbuild.values.label import Label
from graphbuild.values.patterns import Patterns, is_wild

if TYPE_CHECKING:
    from graphbuild.build.images import Images

Prints = Mapping[Label, bytes]  # of a target: a digest of all that goes into it
ReaderOf = Callable[[Tree], Callable[[Mapping[Ref, Node]], WorkspaceReader]]


class Affected(msgspec.Struct, frozen=True):
    """`changed`: targets that are now and were not, or were others, sorted; `gone`: those that are not any more. `why`: why all count as changed, or ""."""

    changed: tuple[Label, ...]
    gone: tuple[Label, ...]
    why: str = ""


def affected(before: Tree, now: Tree, project: Project, commit: str, reader: ReaderOf) -> Affected:
    """Compare. `project` is the workspace as it is now, whose rules serve for both. GraphbuildError where what is now is broken."""
    newer = _prints(_Revision(now, project, project.settings, project.builtins, project.lock), reader)
    if before.below(b"plugins") != now.below(b"plugins") or any(before.files[path] != now.files[path] for path in now.below(b"plugins")):
        return Affected(tuple(sorted(newer)), (), "the workspace's plugins changed")
    try:
        settings = parse_settings(before.read(WORKSPACE_FILE) or b"", WORKSPACE_FILE)
        older = _prints(
            _Revision(before, project, settings, _builtins_at(project, commit), LockFile(project.root, before.read(LOCK_NAME) or b"")),
            reader,
        )
    except GraphbuildError as error:
        return Affected(tuple(sorted(newer)), (), f"what was there could not be read: {error.problems[0].message}")
    changed = sorted(label for label, print_ in newer.items() if older.get(label) != print_)
    return Affected(tuple(changed), tuple(sorted(older.keys() - newer.keys())))


class _Revision:
    """A workspace at a revision (`graph.configure.Packages`)."""

    def __init__(self, tree: Tree, project: Project, settings: Settings, builtins: Builtin, lock: LockFile) -> None:
        self.tree = tree
        self.lock = lock
        self.project = project
        self._settings = settings
        self.load = Specs(tree.read, project.parsed).load
        self.workspace = Workspace(self, project.rules, {}, settings, builtins, project.workspace.platforms)

    def packages(self, under: str) -> Iterable[str]:
        return list(walk_packages(self._look, under, self._settings.ignore))

    def labels(self) -> Iterator[Label]:
        """Every target, `manual` ones too."""
        for package in self.packages(""):
            spec = self.load(package)
            for declaration in spec.targets if spec else ():
                yield from self.workspace.expand(Label(package, declaration.name))

    def _look(self, folder: str) -> tuple[bool, Iterable[str]]:
        files, folders = self.tree.children(folder)
        return os.fsencode(BUILD_FILE) in files, map(os.fsdecode, folders)


class TreeReader(WorkspaceReader):
    """What rules look at while they analyse, at a revision. `scratch`: an empty folder, where images are written to be opened."""

    def __init__(
        self,
        tree: Tree,
        scratch: Path,
        inputs: Inputs,
        store: Store,
        network: Network,
        images: Callable[[], "Images"],
        nodes: Mapping[Ref, Node],
    ) -> None:
        super().__init__(inputs, store, network, images, nodes)
        self._tree = tree
        self._scratch = scratch

    def read(self, path: str) -> bytes | None:
        return self._tree.read(posixpath.normpath(path))

    def _place(self, path: str) -> Path:
        place = self._scratch / unique_name()
        self._tree.write_below(path, place)
        return place


def _prints(revision: _Revision, reader: ReaderOf) -> Prints:
    surroundings = Surroundings(revision.lock.get, reader(revision.tree), revision.project.surroundings)
    return prints(analyze(revision.workspace, list(revision.labels()), surroundings), revision.tree)


def prints(graph: Graph, tree: Tree) -> Prints:
    """A digest of all that goes into each target, at a revision. Pure."""
    own: dict[Label, list[bytes]] = {}
    for ref, print_ in action_prints(graph, tree).items():
        own.setdefault(ref.label, []).append(print_)
    found: dict[Label, bytes] = {}
    for label in graph.targets:  # dependencies first
        below = [found[need] for need in graph.configured[label].needs()]
        found[label] = blake3(msgspec.msgpack.encode((own.get(label, []), below))).digest()
    return found


def action_prints(graph: Graph, tree: Tree) -> dict[Ref, bytes]:
    """The same of each action. Graphs of one revision that differ in their lock alone compare by a tree of nothing."""
    known: dict[Ref, bytes] = {}
    for ref, node in graph.nodes.items():  # dependencies first
        sources = [(path, tree.files[path].mode, tree.files[path].name) for path in _sources(node.action, tree)]
        needs = sorted(known[need] for need in node.needs)
        known[ref] = blake3(msgspec.msgpack.encode((_essence(node.action), sources, needs))).digest()
    return known


def _essence(action: Action) -> Action:
    """An action without what is in no digest: where it is written to, and under which names."""
    return msgspec.structs.replace(action, tags=(), exports=()) if isinstance(action, Image | ImageIndex) else action


def _sources(action: Action, tree: Tree) -> list[bytes]:
    """The files of the workspace that an action reads, sorted."""
    found: set[bytes] = set()
    for sources in found_in(action, Sources):
        found.update(_chosen(sources, tree))
    for file in found_in(action, WorkspaceFile):
        found.update(tree.below(os.fsencode(file.path)))
    picked = list(found_in(action, Pick))
    for pick in picked:
        if isinstance(pick.tree, Folder):
            found.update(_picked(pick, pick.tree, tree))
    inside = {pick.tree for pick in picked}
    for folder in found_in(action, Folder):
        if folder not in inside:
            found.update(tree.below(os.fsencode(folder.path)))
    return sorted(found)


def _chosen(sources: Sources, tree: Tree) -> Iterator[bytes]:
    """What `build.inputs` finds on disk."""
    prefix = os.fsencode(sources.folder) + b"/" if sources.folder else b""
    chosen = matcher(sources.patterns)
    tests = [(b"", ignore_matcher(_lines(tree, IGNORE_FILE)))]
    if sources.folder:
        tests.append((prefix, ignore_matcher(_lines(tree, f"{sources.folder}/{IGNORE_FILE}"))))
    positive = [pattern.strip("/") for pattern in sources.patterns if not pattern.startswith("!")]
    for start in starts(positive):
        for path in tree.below(prefix.rstrip(b"/") if not start else prefix + os.fsencode(start)):
            if chosen(path[len(prefix) :]) and not any(_ignored(path[len(base) :], test) for base, test in tests):
                yield path


def _lines(tree: Tree, path: str) -> list[str]:
    return (tree.read(path) or b"").decode(errors="surrogateescape").splitlines()


def _ignored(path: bytes, test: Callable[[bytes, bool], bool]) -> bool:
    """Whether a file is ignored, or a folder that it is in."""
    at = path.find(b"/")
    while at >= 0:
        if test(path[:at], True):
            return True
        at = path.find(b"/", at + 1)
    return test(path, False)


def _picked(pick: Pick, folder: Folder, tree: Tree) -> Iterator[bytes]:
    """What of a folder a COPY may take: all below what it names, as far as that is said without wildcards."""
    names: list[str] = []
    for name in posixpath.normpath("/" + pick.path).strip("/").split("/"):
        if is_wild(name):
            break
        names.append(name)
    base = os.fsencode(posixpath.normpath(folder.path)) if folder.path not in ("", ".") else b""
    hidden = Patterns(folder.ignore)
    for path in tree.below(b"/".join(filter(None, (base, *map(os.fsencode, names))))):
        if not hidden.matches(path[len(base) :].lstrip(b"/")):
            yield path


def _builtins_at(project: Project, commit: str) -> Builtin:
    """The built-in variables as they were: git's are those of that commit."""
    known = {"git.commit": commit, "git.short": commit[:12]}
    return lambda name, package, platform: known.get(name) or project.builtins(name, package, platform)
