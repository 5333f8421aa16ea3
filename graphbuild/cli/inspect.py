"""Commands that look and do not build: check, explain, graph, schema, completion."""

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
from graphbuild.graph.configure import configure_all
from graphbuild.spec.model import PackageSpec
from graphbuild.values.errors import EXIT_FAILED, EXIT_OK, GraphbuildError


def _quiet(_text: str) -> None:
    """What the build has said already."""


def check(options: Any) -> int:
    """Parse, type and analyse everything; what is not locked is checked up to where the lock is needed."""
    with session(options, report) as opened:
        labels = opened.selected(options.labels) if options.labels else opened.everything()
        configured = configure_all(opened.project.workspace, labels)
        unlocked = opened.unlocked(configured)
        opened.analyze([label for label in labels if label not in unlocked])
        opened.project.saved()
        packages = len({label.package for label in configured})
        sys.stdout.write(f"{len(configured)} targets in {packages} packages are well formed\n")
        if unlocked:
            sys.stdout.write(f"{len(unlocked)} of them wait for `graphbuild lock`\n")
    return EXIT_OK


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
    places = {label: f"{target.declaration.file}:{target.declaration.line}" for label, target in configured.items()}
    sys.stdout.write(draw(edges, rules, places, options.format))
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

    arguments = _locked if words[:1] == ["lock"] and "--update" in words else _labels
    for candidate in complete(words, flags(parser()), arguments, _images):
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


def _locked() -> Iterable[str]:
    """What `lock --update` takes: labels, and the names of what is locked."""
    from graphbuild.build.project import Project, find_site
    from graphbuild.build.updating import names_in

    try:
        site = find_site(Path.cwd(), None)
        project = Project(site, site.store, {})
        return [*_labels(), *names_in(project.lock.entries(), project.rules.values())]
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
