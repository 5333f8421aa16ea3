"""Where to draw the targets of a graph: in layers, by the longest way down from each. Pure, and the same for the same graph.

Layers go from left to right; in each, a target is near those it has to do with (the barycentre heuristic of Sugiyama, Tagawa and
Toda, 1981, without dummy nodes). A layer that is much higher than the picture is wide is folded into several columns.
"""

import math
from collections.abc import Mapping, Sequence

from graphbuild.values.label import Label

Edges = Mapping[Label, Sequence[Label]]

WIDTH, HEIGHT = 260, 34  # of a target's place, in pixels
_SWEEPS = 6
_LOW = 24  # targets that a column may always have


def layout(edges: Edges) -> dict[Label, tuple[int, int]]:
    """The middle of each target, in pixels around 0. What a target needs and is not in `edges` is left out. O(sweeps · edges)."""
    needs = {label: [need for need in edges[label] if need in edges] for label in sorted(edges)}
    users: dict[Label, list[Label]] = {label: [] for label in needs}
    for label, found in needs.items():
        for need in found:
            users[need].append(label)
    layers = _layers(needs, users)
    place = {label: index - len(layer) / 2 for layer in layers for index, label in enumerate(layer)}
    for sweep in range(_SWEEPS):
        neighbours = users if sweep % 2 else needs
        for layer in reversed(layers) if sweep % 2 else layers:
            _arrange(layer, neighbours, place)
    return _placed(layers, max(_LOW, math.ceil(1.5 * math.sqrt(len(needs)))))


def _layers(needs: Edges, users: Edges) -> list[list[Label]]:
    left = {label: len(found) for label, found in needs.items()}
    layers: list[list[Label]] = []
    ready = [label for label, count in left.items() if not count]
    while ready:
        layers.append(sorted(ready))
        following = []
        for label in ready:
            for user in users[label]:
                left[user] -= 1
                if not left[user]:
                    following.append(user)
        ready = following
    return layers


def _arrange(layer: list[Label], neighbours: Edges, place: dict[Label, float]) -> None:
    """Order a layer by where its neighbours are; what has none stays where it was."""
    wish = {label: sum(place[one] for one in found) / len(found) if (found := neighbours[label]) else place[label] for label in layer}
    layer.sort(key=lambda label: (wish[label], label))
    for index, label in enumerate(layer):
        place[label] = index - len(layer) / 2


def _placed(layers: Sequence[Sequence[Label]], most: int) -> dict[Label, tuple[int, int]]:
    found: dict[Label, tuple[int, int]] = {}
    column = 0
    for layer in layers:
        columns = -(-len(layer) // most)
        rows = -(-len(layer) // columns)
        for index, label in enumerate(layer):
            side, row = divmod(index, rows)
            count = min(rows, len(layer) - side * rows)
            found[label] = ((column + side) * WIDTH, round((row - (count - 1) / 2) * HEIGHT))
        column += columns
    return found
