"""Commands that look and do not build: check, explain, graph, lock, schema, completion."""

import contextlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from graphbuild.build.keys import decode_fields
from graphbuild.cli.origin import origin
from graphbuild.cli.session import Session, report, session
from graphbuild.graph.analyze import Node
from graphbuild.graph.configure import Configured, configure_all
from graphbuild.spec.model import PackageSpec
from graphbuild.values.errors import EXIT_FAILED, EXIT_OK, GraphbuildError, Problem
from graphbuild.values.label import Label


def _quiet(_text: str) -> None:
    """What the build has said already."""


def _everything(opened: Session) -> list[Label]:
    """Every target of the workspace, `manual` ones too. GraphbuildError with the mistakes of all packages at once."""
    labels: list[Label] = []
    problems: list[Problem] = []
    for package in opened.project.packages(""):
        try:
            spec = opened.project.load(package)
            for declaration in spec.targets if spec else ():
                labels.extend(opened.project.workspace.expand(Label(package, declaration.name)))
        except GraphbuildError as error:
            problems.extend(error.problems)
    if problems:
        raise GraphbuildError(*problems)
    return labels


def check(options: Any) -> int:
    """Parse, type and analyse everything; what is not locked is checked up to where the lock is needed."""
    with session(options, report) as opened:
        labels = opened.selected(options.labels) if options.labels else _everything(opened)
        configured = configure_all(opened.project.workspace, labels)
        unlocked = _unlocked(configured, opened)
        opened.analyze([label for label in labels if label not in unlocked])
        opened.project.saved()
        packages = len({label.package for label in configured})
        sys.stdout.write(f"{len(configured)} targets in {packages} packages are well formed\n")
        if unlocked:
            sys.stdout.write(f"{len(unlocked)} of them wait for `graphbuild lock`\n")
    return EXIT_OK


def _unlocked(configured: dict[Label, Configured], opened: Session) -> set[Label]:
    """Targets that are not locked, and all that is built on them."""
    found = {label for label, target in configured.items() if opened.project.lock.missing(target, opened.lock_context)}
    size = -1
    while size != len(found):
        size = len(found)
        found |= {label for label, target in configured.items() if found.intersection(target.needs())}
    return found


def explain(options: Any, spec: PackageSpec | None = None) -> int:
    """Say of each action of the targets how the last run dealt with it, and why.

    `spec`: a package that no file declares; then of all that its targets need, for nobody can ask about those by themselves.
    """
    known = False
    with session(options, _quiet if spec else report, spec=spec) as opened:
        for label in opened.selected(options.labels):
            nodes = opened.graph([label], locked=True).nodes.values()
            said = [_explained(node, opened) for node in nodes if spec or node.ref.label == label]
            known = known or any(said)
            sys.stdout.write("".join(said))
            if not known:
                sys.stderr.write(f"{label} was never built from this workspace with this store\n")
    return EXIT_OK if known else EXIT_FAILED


def _explained(node: Node, opened: Session) -> str:
    """How the last run dealt with an action; "" where none did."""
    last = opened.store.last(str(opened.project.root), str(node.ref))
    if last is None:
        return ""
    took = f" in {last.seconds:.1f} s" if last.status == "built" else ""
    lines = [f"{node.ref.label} {node.ref.action}: {last.status}{took}", *(f"  {line}" for line in origin(node, opened.project.root))]
    lines += [f"  because {reason}" if not index else f"      and {reason}" for index, reason in enumerate(last.reasons)]
    if last.fields:  # of a failure there are none
        lines.append(f"  key {last.key.short}: {', '.join(field.name for field in decode_fields(last.fields))}")
    return "\n".join(lines) + "\n"


def graph(options: Any) -> int:
    """Draw the targets and what they need."""
    from graphbuild.cli.draw import draw

    with session(options, report) as opened:
        labels = opened.selected(options.labels or ["//..."])
        configured = configure_all(opened.project.workspace, labels)
        opened.project.saved()
    edges = {label: target.needs() for label, target in configured.items()}
    rules = {label: target.rule.name for label, target in configured.items()}
    sys.stdout.write(draw(edges, rules, options.format))
    return EXIT_OK


def lock(options: Any) -> int:
    """Resolve what comes from outside, and pin it."""
    from graphbuild.build.resolving import resolve

    with session(options, report) as opened:
        project = opened.project
        labels = opened.selected(options.labels) if options.labels else _everything(opened)
        configured = configure_all(project.workspace, labels)
        changes = resolve(configured, project.lock, opened.lock_context, update=options.update)
        gone = 0 if options.labels else project.lock.prune(configured.values(), opened.lock_context)
        sys.stdout.writelines(f"{change}\n" for change in changes)
        if gone:
            sys.stdout.write(f"{gone} entries that nothing asks for any more\n")
        if not changes and not gone:
            sys.stdout.write("build.lock is up to date\n")
        elif options.dry_run:
            sys.stdout.write("nothing was written\n")
        elif project.lock.save():
            sys.stdout.write("wrote build.lock\n")
    return EXIT_OK


def schema(options: Any) -> int:
    """Print the JSON Schema, for the rules that are here."""
    from graphbuild.spec.schema import schema as build_schema
    from graphbuild.spec.schema import settings_schema

    if options.settings:
        found = settings_schema()
    else:
        with session(options, report) as opened:
            found = build_schema(list(opened.project.rules.values()))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return EXIT_OK


def completion(options: Any) -> int:
    from graphbuild.cli.completion import script

    sys.stdout.write(script(options.shell))
    return EXIT_OK


def complete_words(words: list[str]) -> int:
    """What the completion scripts ask: candidates for the last word, a line each. Silent about everything that is wrong."""
    if words[:1] == ["container"] and len(words) > 1:
        from graphbuild.cli.container import complete as complete_container

        sys.stdout.write("".join(f"{candidate}\n" for candidate in complete_container(words[1:])))
        return EXIT_OK
    from graphbuild.cli.completion import complete
    from graphbuild.cli.parser import flags, parser

    for candidate in complete(words, flags(parser()), _labels, _images):
        sys.stdout.write(f"{candidate}\n")
    return EXIT_OK


def _images() -> Iterable[str]:
    """The names of the store's images, as Docker shows them."""
    from graphbuild.build.project import find_site
    from graphbuild.engine.library import familiar
    from graphbuild.store.store import Store

    try:
        with contextlib.closing(Store(find_site(Path.cwd(), None).store)) as store:
            return [familiar(name) for name in store.images.names()]
    except GraphbuildError:
        return ()


def _labels() -> Iterable[str]:
    """Labels of this package by their short names, and of the workspace by their long ones."""
    from graphbuild.build.project import Project, find_site

    try:
        site = find_site(Path.cwd(), None)
        project = Project(site, site.store, {})
        found = [f":{declaration.name}" for declaration in getattr(project.load(project.package), "targets", ())]
        for package in project.packages(""):
            found.append(f"//{package}:all")
            found.extend(str(label) for label in project.workspace.labels(package))
    except GraphbuildError:
        return ()
    return ["//...", *found]
