"""Configured targets to a graph of actions: rules are called, in order of dependency, and what they return is checked.

Pure: the same declarations and lock give the same graph. Nothing is read, run or fetched here.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from graphbuild.graph.configure import Configured, Workspace, configure_all, each_once
from graphbuild.graph.select import closure_of
from graphbuild.rules.actions import Action, Union, exported, is_test
from graphbuild.rules.api import Analysis, Context, Origin, Reader, Settings, Snapshot, Target, workspace_path
from graphbuild.rules.mounts import Mount, SourceMount, StackMount
from graphbuild.rules.refs import Ref, WorkspaceFile, references
from graphbuild.spec.extend import blamed
from graphbuild.spec.model import BindMount, Common, FilledCache
from graphbuild.values.config import ConfigPatch
from graphbuild.values.errors import EXIT_BUG, EXIT_USAGE, GraphbuildError, Problem, SpecPath, mistake
from graphbuild.values.label import Label


class Node(msgspec.Struct, frozen=True):
    """An action in the graph: `needs` are the actions that must have succeeded before it.

    `file` and `line` say where it was written down, or `path` of the file, whose line is not looked for yet; `text` is what people know
    it by ("" where its label says enough).
    """

    ref: Ref
    action: Action
    needs: tuple[Ref, ...]
    file: str
    line: int
    text: str = ""
    path: SpecPath | None = None


class Graph(msgspec.Struct, frozen=True):
    """What is to be built: the actions of the targets that were asked for, with all that these need; every target, configured and analysed.

    A target that is only stood on has those of its actions here that are needed: an output's files, but not what it writes out.
    """

    nodes: dict[Ref, Node]
    targets: dict[Label, Target]
    configured: dict[Label, Configured]
    selected: tuple[Label, ...]
    warnings: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()


Lock = Callable[[Configured], Any]  # the locked data of a target whose rule has `lock`


class Surroundings(msgspec.Struct, frozen=True):
    """What analysis is given besides the declarations."""

    lock: Lock
    reader: Callable[[Mapping[Ref, Node]], Reader]  # given the actions known so far, which it may look up
    settings: Settings = Settings()


def analyze(workspace: Workspace, selected: Iterable[Label], surroundings: Surroundings) -> Graph:
    """The graph that builds `selected`. GraphbuildError with every mistake; a cycle is shown whole."""
    chosen = tuple(selected)
    configured = configure_all(workspace, chosen)
    targets: dict[Label, Target] = {}
    nodes: dict[Ref, Node] = {}
    reader = surroundings.reader(nodes)
    problems: list[Problem] = []
    codes: set[int] = set()
    warnings: list[Problem] = []
    notices: dict[str, None] = {}
    broken: set[Label] = set()
    for label in order(configured):
        target = configured[label]
        if broken.intersection(target.needs()):
            broken.add(label)
            continue
        try:
            analysis, needs = _analyze(target, targets, reader, surroundings)
        except GraphbuildError as error:
            problems.extend(blamed(error, target.declaration, label.package).problems)
            codes.add(error.exit_code)
            broken.add(label)
            continue
        targets[label] = Target(label, analysis.providers)
        warnings.extend(analysis.warnings)
        notices.update(dict.fromkeys(analysis.notices))
        nodes.update(_nodes(target, analysis, needs))
    problems = problems or [*_dangling(nodes, configured), *_colliding(nodes, configured)]
    if problems:
        raise GraphbuildError(*each_once(problems), exit_code=codes.pop() if len(codes) == 1 else EXIT_USAGE)
    return Graph(_needed(nodes, targets, chosen), targets, configured, chosen, tuple(warnings), tuple(notices))


def _needed(nodes: Mapping[Ref, Node], targets: Mapping[Label, Target], chosen: Iterable[Label]) -> dict[Ref, Node]:
    """The actions of the chosen targets, and what these targets offer, with all that they need."""
    labels = set(chosen)
    offered = (ref for label in labels for ref in references(targets[label].providers))
    wanted = closure_of([*offered, *(ref for ref in nodes if ref.label in labels)], lambda ref: nodes[ref].needs)
    return {ref: node for ref, node in nodes.items() if ref in wanted}


def order(configured: Mapping[Label, Configured]) -> list[Label]:
    """Labels, dependencies first. GraphbuildError that shows a cycle whole, at the target that closes it."""
    done: dict[Label, bool] = {}  # False while its dependencies are walked
    path: list[Label] = []
    result: list[Label] = []
    for start in configured:
        stack = [(start, iter(configured[start].needs()))] if start not in done else []
        while stack:
            label, needs = stack[-1]
            if label not in done:
                done[label] = False
                path.append(label)
            need = next(needs, None)
            if need is None:
                stack.pop()
                path.pop()
                done[label] = True
                result.append(label)
            elif need not in done:
                stack.append((need, iter(configured[need].needs())))
            elif not done[need]:
                circle = [*path[path.index(need) :], need]
                shown = "".join(f"\n    {at} needs {needed}" for at, needed in itertools.pairwise(circle))
                raise mistake(f"targets depend on each other in a circle:{shown}", configured[label].place, "take one of them away")
    return result


def _analyze(
    target: Configured, targets: Mapping[Label, Target], reader: Reader, surroundings: Surroundings
) -> tuple[Analysis, tuple[Ref, ...]]:
    """Call the target's rule. Returns what it gave, its own union check included, and what all its actions must wait for."""
    snapshot, checks = _union(target, [_snapshot(target, targets[parent]) for parent in target.parents])
    named = tuple((text, targets[label]) for text, label in target.named)
    mounts = tuple(_mounts(target, dict(named)))
    mounted = tuple(need for _, dependency in named for need in _needs(dependency))
    context = Context(
        label=target.label,
        snapshot=msgspec.structs.replace(snapshot, config=(*snapshot.config, *_patch(target.common))),
        has_from=bool(target.parents),
        mounts=mounts,
        network=target.common.network,
        timeout=target.common.timeout,
        dependencies=named,
        lock=surroundings.lock(target) if target.rule.lock or target.rule.pins else None,
        file=target.declaration.file,
        spec_path=target.declaration.path,
        reader=reader,
        settings=msgspec.structs.replace(surroundings.settings, platform=target.platform),
        is_part=target.is_part,
        inherited=snapshot.config,
    )
    if target.parents and target.rule.kind == "base":
        raise context.mistake("a base stands on nothing: it takes no `from`", "from", hint="declare it as a step")
    if target.parts and target.rule.index:
        analysis = target.rule.index(context, target.attributes, [(platform, targets[label]) for platform, label in target.parts])
    else:
        analysis = target.rule.analyze(context, target.attributes)
    check_analysis(target, analysis)
    return msgspec.structs.replace(analysis, actions=(*checks, *analysis.actions)), (*snapshot.needs, *mounted)


def _snapshot(target: Configured, parent: Target) -> Snapshot:
    snapshot = parent.get(Snapshot)
    if snapshot is None:
        place = SpecPath(target.declaration.file, (*target.declaration.path, "from"))
        raise mistake(f"{parent.label} offers no files to build on", place, "name a base, a step or an output")
    return snapshot


def _needs(dependency: Target) -> tuple[Ref, ...]:
    snapshot = dependency.get(Snapshot)
    return snapshot.needs if snapshot else ()


def _union(target: Configured, parents: list[Snapshot]) -> tuple[Snapshot, tuple[tuple[str, Action], ...]]:
    """The parents seen as one: the first's layers, then those of each other that are not in it; config from the first."""
    if not parents:
        return Snapshot(), ()
    if len(parents) == 1:
        return parents[0], ()
    layers = tuple(dict.fromkeys(layer for parent in parents for layer in parent.layers))
    needs = tuple(dict.fromkeys(need for parent in parents for need in parent.needs))
    stacks = tuple((str(label), parent.layers) for label, parent in zip(target.parents, parents, strict=True))
    check = Union(stacks, target.common.overlap)
    return Snapshot(layers, parents[0].config, (*needs, Ref(target.label, "union"))), (("union", check),)


def _patch(common: Common) -> tuple[ConfigPatch, ...]:
    """What the target's own attributes change in the config that comes down."""
    patch = ConfigPatch(env=common.env, user=common.user, workdir=common.workdir, shell=common.shell)
    return () if patch == ConfigPatch() else (patch,)


def _mounts(target: Configured, named: Mapping[str, Target]) -> Iterable[Mount]:
    for index, mount in enumerate(target.common.mounts):
        if isinstance(mount, BindMount):
            place = SpecPath(target.declaration.file, (*target.declaration.path, "mounts", index))
            yield _bind(target, mount, named, place)
        elif isinstance(mount, FilledCache):
            layers = _snapshot(target, named[mount.from_]).layers
            yield msgspec.structs.replace(mount.cache, layers=layers, path=mount.path, by_stack=True)
        else:
            yield mount


def _bind(target: Configured, mount: BindMount, named: Mapping[str, Target], place: SpecPath) -> Mount:
    if not mount.from_:
        try:
            path = workspace_path(mount.path, target.label.package)
        except ValueError as error:
            raise mistake(str(error), place, "paths are relative to the package; // starts at the workspace root") from None
        return SourceMount(WorkspaceFile(path), mount.to, mount.writable)
    if not mount.path.startswith("/"):
        raise mistake(f"{mount.path!r}: a path in another target is absolute", place, f"write /{mount.path}")
    return StackMount(_snapshot(target, named[mount.from_]).layers, mount.path, mount.to, mount.writable)


def _nodes(target: Configured, analysis: Analysis, needs: tuple[Ref, ...]) -> Iterable[tuple[Ref, Node]]:
    origins = dict(analysis.origins)
    own = Origin(target.declaration.file, target.declaration.line, "")
    for name, action in analysis.actions:
        ref = Ref(target.label, name)
        wanted = dict.fromkeys((*references(action), *(() if isinstance(action, Union) else needs)))
        origin = origins.get(name, own)
        yield ref, Node(ref, action, tuple(wanted), origin.file, origin.line, origin.text, origin.path)


def _dangling(nodes: Mapping[Ref, Node], configured: Mapping[Label, Configured]) -> Iterable[Problem]:
    """References to actions that no rule returned: a bug of the rule that made them."""
    for node in nodes.values():
        for need in node.needs:
            if need not in nodes:
                target = configured[node.ref.label]
                yield Problem(f"rule {target.rule.name!r} refers to {need}, which is no action", target.place)


def _colliding(nodes: Mapping[Ref, Node], configured: Mapping[Label, Configured]) -> Iterable[Problem]:
    """Outputs that would overwrite each other: one at the path of another, or inside of it."""
    places = sorted((place.strip("/") + "/", ref) for ref, node in nodes.items() for place in exported(node.action))
    for (one, owner), (other, ref) in itertools.pairwise(places):
        if other.startswith(one):
            target = configured[ref.label]
            yield Problem(
                f"{ref.label} writes {other[:-1]}, and {owner.label} writes {one[:-1]}", target.place, "give each a path of its own"
            )


def check_analysis(target: Configured, analysis: object) -> None:
    """Blame a rule by name for what it must not return. GraphbuildError, exit code 37: it is the plugin's bug."""
    wrong = ""
    if not isinstance(analysis, Analysis):
        wrong = f"returned a {type(analysis).__name__}, not an Analysis"
    else:
        names = [name for name, _ in analysis.actions]
        repeated = next((name for name in names if names.count(name) > 1), "")
        foreign = next((name for name, action in analysis.actions if not isinstance(action, Action)), "")
        if repeated:
            wrong = f"returned two actions named {repeated!r}"
        elif foreign:
            wrong = f"returned something else than an action as {foreign!r}"
        elif (testing := [name for name, action in analysis.actions if is_test(action)]) and target.rule.kind != "test":
            wrong = f"returned the test {testing[0]!r}, and is no rule of `tests`"
        elif not testing and target.rule.kind == "test":
            wrong = "returned no test"
        elif len({type(provider) for provider in analysis.providers}) != len(analysis.providers):
            wrong = "returned two providers of one type"
    if wrong:
        raise GraphbuildError(Problem(f"rule {target.rule.name!r} {wrong}", target.place), exit_code=EXIT_BUG)
