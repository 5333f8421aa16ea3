"""The graph as one HTML page that needs nothing else and loads nothing: to search, zoom and click through thousands of targets.

Labels are text of others. They are in the page as data, in JSON without a `<`, and reach the document as text alone; the page's policy
runs no script but its own, whose hash it names, and reaches no network.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from graphbuild.graph.layout import HEIGHT, WIDTH, layout
from graphbuild.values.label import Label


def graph_page(edges: Mapping[Label, Sequence[Label]], rules: Mapping[Label, str], places: Mapping[Label, str]) -> str:
    """The page. `places`: `file:line` of each target."""
    spots = layout(edges)
    labels = sorted(edges)
    numbers = {label: number for number, label in enumerate(labels)}
    targets = [
        {
            "name": str(label),
            "rule": rules[label],
            "place": places.get(label, ""),
            "x": spots[label][0],
            "y": spots[label][1],
            "needs": [numbers[need] for need in edges[label] if need in numbers],
        }
        for label in labels
    ]
    style, script = (Path(__file__).with_name(f"graph.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    graph = {"width": WIDTH, "height": HEIGHT, "targets": targets}
    data = json.dumps(graph, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    policy = f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width">\n<title>graphbuild graph</title>\n<style>{style}</style>\n</head>\n{_BODY}'
        f'<script type="application/json" id="data">{data}</script>\n<script>{script}</script>\n</html>\n'
    )


def _hash(text: str) -> str:
    """A source of a Content Security Policy: what has this content, and nothing else."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_BODY = """<body>
<header><input id="search" type="search" placeholder="search: part of a label, a rule or a file" autofocus><small id="said"></small></header>
<canvas id="canvas"></canvas>
<aside id="panel"></aside>
"""
