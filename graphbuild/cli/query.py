"""`graphbuild query EXPRESSION`: which targets there are, what they need, and why."""

import json
import sys
from collections.abc import Iterable
from typing import Any

import msgspec

from graphbuild.cli.session import Session, report, session
from graphbuild.graph.configure import Configured
from graphbuild.graph.query import evaluate, parse
from graphbuild.graph.select import select
from graphbuild.values.errors import EXIT_OK
from graphbuild.values.label import Label


class _Targets:
    """The workspace as a query sees it; a target is configured when something is asked of it."""

    def __init__(self, opened: Session) -> None:
        self._opened = opened
        self._plain: dict[Label, dict[str, Any]] = {}

    def select(self, pattern: str) -> Iterable[Label]:
        project = self._opened.project
        return select([pattern], project.package, project.workspace)

    def needs(self, label: Label) -> Iterable[Label]:
        return self.configured(label).needs()

    def kind(self, label: Label) -> str:
        target = self.configured(label)
        return f"{target.rule.name} {target.declaration.section.removesuffix('s')}"

    def attribute(self, label: Label, name: str) -> str | None:
        target = self.configured(label)
        if name == "name":
            return label.name
        value = target.declaration.common.get(name, _ABSENT)
        if value is _ABSENT:
            value = msgspec.to_builtins(target.attributes).get(name, _ABSENT)
        return None if value is _ABSENT else _text(value)

    def configured(self, label: Label) -> Configured:
        return self._opened.project.workspace.configure(label)


_ABSENT = object()


def query(options: Any) -> int:
    """Print what an expression names."""
    expression = parse(options.expression)
    with session(options, report) as opened:
        targets = _Targets(opened)
        found = evaluate(expression, targets)
        opened.project.saved()
        sys.stdout.write(_shown(found, targets, options.output))
    return EXIT_OK


def _shown(found: list[Label], targets: _Targets, output: str) -> str:
    chosen = set(found)
    edges = {label: [need for need in targets.needs(label) if need in chosen] for label in found} if output != "label" else {}
    if output == "label":
        return "".join(f"{label}\n" for label in found)
    if output == "json":
        return "".join(json.dumps(_fields(label, targets, edges[label])) + "\n" for label in found)
    from graphbuild.cli.draw import draw

    declarations = {label: targets.configured(label).declaration for label in found}
    places = {label: f"{declaration.file}:{declaration.line}" for label, declaration in declarations.items()}
    return draw(edges, {label: targets.configured(label).rule.name for label in found}, places, output)


def _fields(label: Label, targets: _Targets, needs: list[Label]) -> dict[str, Any]:
    declaration = targets.configured(label).declaration
    place = f"{declaration.file}:{declaration.line}"
    return {"label": str(label), "kind": targets.kind(label), "place": place, "needs": [str(need) for need in needs]}


def _text(value: object) -> str:
    """A value as `attr` sees it: lists as `[a, b]`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return json.dumps(value)
