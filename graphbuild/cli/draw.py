"""The graph of targets as text, Graphviz dot, Mermaid, or one HTML page. Pure."""

import html
from collections.abc import Mapping, Sequence

from graphbuild.values.label import Label

Edges = Mapping[Label, Sequence[Label]]


def draw(edges: Edges, rules: Mapping[Label, str], places: Mapping[Label, str], format_: str) -> str:
    """The graph: each target with what it needs. `rules` says by which rule each is made, `places` the `file:line` that declares it."""
    if format_ == "html":
        from graphbuild.cli.graph_page import graph_page

        return graph_page(edges, rules, places)
    return {"dot": _dot, "mermaid": _mermaid, "text": _text}[format_](edges, rules)


def _text(edges: Edges, rules: Mapping[Label, str]) -> str:
    """A tree from what nothing needs; what was shown before is not unfolded again."""
    needed = {need for needs in edges.values() for need in needs}
    lines: list[str] = []
    seen: set[Label] = set()
    for root in sorted(label for label in edges if label not in needed):
        stack = [(root, 0)]
        while stack:
            label, depth = stack.pop()
            again = label in seen and edges[label]
            lines.append(f"{'  ' * depth}{label} ({rules[label]}){' …' if again else ''}")
            if label not in seen:
                seen.add(label)
                stack.extend((need, depth + 1) for need in reversed(edges[label]))
    return "".join(f"{line}\n" for line in lines)


def _dot(edges: Edges, rules: Mapping[Label, str]) -> str:
    lines = [f"  {_quoted(str(label))} [label={_quoted(str(label) + chr(92) + 'n' + rules[label])}];" for label in sorted(edges)]
    lines += [f"  {_quoted(str(label))} -> {_quoted(str(need))};" for label in sorted(edges) for need in edges[label]]
    return "\n".join(["digraph graphbuild {", '  rankdir="LR";', "  node [shape=box];", *lines, "}", ""])


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def _mermaid(edges: Edges, rules: Mapping[Label, str]) -> str:
    names = {label: f"t{number}" for number, label in enumerate(sorted(edges))}
    lines = [f'  {names[label]}["{html.escape(str(label))}<br/>{html.escape(rules[label])}"]' for label in sorted(edges)]
    lines += [f"  {names[need]} --> {names[label]}" for label in sorted(edges) for need in edges[label]]
    return "\n".join(["flowchart LR", *lines, ""])
