"""The graph of targets as text, Graphviz dot, Mermaid, or one HTML page. Pure."""

import html
import json
from collections.abc import Mapping, Sequence

from graphbuild.values.label import Label

Edges = Mapping[Label, Sequence[Label]]


def draw(edges: Edges, rules: Mapping[Label, str], format_: str) -> str:
    """The graph: each target with what it needs. `rules` says by which rule each is made."""
    return {"dot": _dot, "mermaid": _mermaid, "text": _text, "html": _html}[format_](edges, rules)


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


def _html(edges: Edges, rules: Mapping[Label, str]) -> str:
    """One page that needs nothing else: search, and a click shows what a target needs and what needs it."""
    targets = [{"name": str(label), "rule": rules[label], "needs": [str(need) for need in edges[label]]} for label in sorted(edges)]
    data = json.dumps(targets).replace("</", "<\\/")
    return _PAGE.replace("DATA", data)


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>graphbuild</title>
<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 2em; color: #222 }
input { font: inherit; width: 30em; padding: .3em }
main { display: grid; grid-template-columns: 1fr 1fr 1fr; gap: 2em; margin-top: 1em }
a { display: block; color: #0550ae; cursor: pointer } small { color: #777 } h2 { font-size: 1em }
</style>
<input id="search" placeholder="search targets" autofocus>
<main><section><h2>targets</h2><div id="all"></div></section>
<section><h2>needs</h2><div id="needs"></div></section><section><h2>is needed by</h2><div id="users"></div></section></main>
<script>
const targets = DATA, byName = new Map(targets.map(t => [t.name, t]));
const put = (id, names) => { const box = document.getElementById(id); box.replaceChildren(...names.map(name => {
  const link = document.createElement("a"), rule = document.createElement("small");
  link.textContent = name + " "; rule.textContent = byName.get(name).rule; link.append(rule);
  link.onclick = () => show(name); return link; })); };
const show = name => { location.hash = encodeURIComponent(name);
  put("needs", byName.get(name).needs); put("users", targets.filter(t => t.needs.includes(name)).map(t => t.name)); };
const search = document.getElementById("search");
const filter = () => put("all", targets.map(t => t.name).filter(name => name.includes(search.value)));
search.oninput = filter; filter();
const start = decodeURIComponent(location.hash.slice(1)); if (byName.has(start)) show(start);
</script>
</html>
"""
