"""Patterns to labels: `//web:app`, `:app`, `//web:all`, `//web/...`, `//...`, `-//x:y`, in order, as Bazel reads them."""

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Protocol, TypeVar

from graphbuild.spec.model import SECTIONS
from graphbuild.values.errors import mistake
from graphbuild.values.label import Label, parse_label

T = TypeVar("T")


class Selectable(Protocol):
    """What the selection asks of the workspace."""

    def labels(self, package: str, sections: Container[str]) -> Sequence[Label]:
        """Every target of a package's sections, variants expanded, that is not tagged `manual`."""
        ...

    def expand(self, label: Label) -> Sequence[Label]:
        """The variants a label stands for; a located or plain GraphbuildError when there is no such target."""
        ...

    def packages(self, under: str) -> Iterable[str]:
        """Every package at or below a folder, sorted."""
        ...


def select(patterns: Sequence[str], package: str, workspace: Selectable, sections: Container[str] = SECTIONS) -> list[Label]:
    """The labels that the patterns name, each once, in the order they were first named.

    `package` is where relative patterns start. A leading `-` takes away what was selected before it. A pattern that stands for many
    means those of `sections`; what is named is meant, whatever it is. GraphbuildError for what is no pattern, or names nothing.
    """
    chosen: dict[Label, None] = {}
    for pattern in patterns:
        negative = pattern.startswith("-")
        labels = _expand(pattern.removeprefix("-"), package, workspace, SECTIONS if negative else sections)
        if negative:
            for label in labels:
                chosen.pop(label, None)
        else:
            chosen.update(dict.fromkeys(labels))
    return list(chosen)


def _expand(pattern: str, package: str, workspace: Selectable, sections: Container[str]) -> Sequence[Label]:
    if pattern == "..." or pattern.endswith("/..."):
        return _below(pattern, package, workspace, sections)
    if pattern in ("all", ":all") or pattern.endswith(":all"):
        folder = package if pattern in ("all", ":all") else _parsed(pattern, package).package
        return workspace.labels(folder, sections)
    return workspace.expand(_parsed(pattern, package))


def _below(pattern: str, package: str, workspace: Selectable, sections: Container[str]) -> Sequence[Label]:
    named = pattern[:-3].rstrip("/")
    folder = named.lstrip("/") if pattern.startswith("//") else "/".join(part for part in (package, named) if part)
    packages = list(workspace.packages(folder))
    labels = [label for name in packages for label in workspace.labels(name, sections)]
    if not labels and not any(workspace.labels(name, SECTIONS) for name in packages):
        raise mistake(f"{pattern!r} names no target", hint="a package is a folder with a build.yaml")
    return labels


def _parsed(pattern: str, package: str) -> Label:
    try:
        return parse_label(pattern, package)
    except ValueError as error:
        raise mistake(str(error), hint=_meant(pattern, package) or "for example //web:app, :app, //web:all, //svc/..., -//x:y") from None


def _meant(pattern: str, package: str) -> str:
    """The label of what reads like a path from here: `web/app:image`."""
    absolute = f"//{package}/{pattern}" if package else f"//{pattern}"
    try:
        return f"did you mean '{parse_label(absolute, package)}'?" if "/" in pattern and not pattern.startswith("/") else ""
    except ValueError:
        return ""


def closure_of(start: Iterable[T], needs: Callable[[T], Iterable[T]]) -> set[T]:
    """Everything reachable from `start`, itself included."""
    seen = set(start)
    stack = list(seen)
    while stack:
        for need in needs(stack.pop()):
            if need not in seen:
                seen.add(need)
                stack.append(need)
    return seen
