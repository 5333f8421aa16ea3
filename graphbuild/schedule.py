"""The schedule: which node may start, what a failure takes with it, when all is over.

A pure state machine over integers: it owns each node's state and knows neither actions, threads nor clocks. Invariants,
property-tested: a node is handed out once, after all its dependencies succeeded; a node is skipped exactly when
something it depends on failed, or when the schedule was stopped before it started; in the end every node is in one
final state. Nodes are handed out highest first (the longest chain above them), then in order of number.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from heapq import heappop, heappush


class State(IntEnum):
    WAITING = 0  # dependencies are not done
    READY = 1
    RUNNING = 2
    DONE = 3
    FAILED = 4
    SKIPPED = 5


_WAITING, _READY, _RUNNING = State.WAITING, State.READY, State.RUNNING  # an enum's look-up costs as much as what is decided by it


class Schedule:
    """A schedule of the nodes 0…n-1; `dependencies[i]` are the nodes that i needs (duplicates allowed).

    ValueError when the dependencies have a cycle. O(nodes + edges), plus a heap operation a node.
    """

    def __init__(self, dependencies: Sequence[Sequence[int]], *, keep_going: bool = False) -> None:
        count = self._count = len(dependencies)
        self._keep_going = keep_going
        self._state = [State.WAITING] * count
        self._missing = [len(needs) for needs in dependencies]  # dependencies that are not done: one that is there twice counts twice
        self._dependents: list[list[int]] = [[] for _ in range(count)]
        for node, needs in enumerate(dependencies):
            for need in needs:
                self._dependents[need].append(node)
        height = _heights(dependencies, self._dependents)
        highest = max(height, default=0)
        # (depth below the highest, node) in one number: a heap of numbers is faster than one of pairs
        self._rank = [(highest - own) * count + node for node, own in enumerate(height)]
        self._ready: list[int] = []
        self._open = count  # nodes in no final state
        for node, missing in enumerate(self._missing):
            if not missing:
                self._make_ready(node)

    @property
    def finished(self) -> bool:
        """Every node is in a final state."""
        return self._open == 0

    def state(self, node: int) -> State:
        return self._state[node]

    def take(self) -> int | None:
        """The next node to start, which is RUNNING from now on; None when nothing is ready."""
        while self._ready:
            node = heappop(self._ready) % self._count
            if self._state[node] is _READY:  # else it was skipped while it waited here
                self._state[node] = _RUNNING
                return node
        return None

    def succeed(self, node: int) -> None:
        """A running node is done; what waited for it alone becomes ready."""
        self._end(node, State.DONE)
        missing = self._missing
        for dependent in self._dependents[node]:
            missing[dependent] = left = missing[dependent] - 1
            if not left and self._state[dependent] is _WAITING:
                self._make_ready(dependent)

    def fail(self, node: int, *, stops: bool = True) -> list[int]:
        """A running node failed. Returns what is skipped for it: its dependents, or all that did not start where it `stops` what does not
        keep going.
        """
        self._end(node, State.FAILED)
        return self._skip_dependents(node) if self._keep_going or not stops else self.stop()

    def stop(self) -> list[int]:
        """Start nothing more: skips and returns all nodes that have not started."""
        skipped = [node for node, state in enumerate(self._state) if state <= State.READY]
        for node in skipped:
            self._skip(node)
        return skipped

    def _skip_dependents(self, node: int) -> list[int]:
        skipped: list[int] = []
        stack = [node]
        while stack:
            for dependent in self._dependents[stack.pop()]:
                if self._state[dependent] is State.WAITING:
                    self._skip(dependent)
                    skipped.append(dependent)
                    stack.append(dependent)
        return sorted(skipped)

    def _make_ready(self, node: int) -> None:
        self._state[node] = _READY
        heappush(self._ready, self._rank[node])

    def _skip(self, node: int) -> None:
        self._state[node] = State.SKIPPED
        self._open -= 1

    def _end(self, node: int, state: State) -> None:
        if self._state[node] is not _RUNNING:
            raise ValueError(f"node {node} is {self._state[node].name}, not RUNNING")
        self._state[node] = state
        self._open -= 1


def _heights(dependencies: Sequence[Sequence[int]], dependents: Sequence[Sequence[int]]) -> list[int]:
    """The longest chain above each node, by Kahn's algorithm from the top. ValueError for a cycle."""
    left = [len(above) for above in dependents]
    height = [0] * len(left)
    order = [node for node, count in enumerate(left) if not count]
    for node in order:  # grows while it is walked, by height: so the last of a node's dependents is the highest of them
        for need in dependencies[node]:
            left[need] -= 1
            if not left[need]:
                height[need] = height[node] + 1
                order.append(need)
    if len(order) != len(left):
        raise ValueError("the dependencies have a cycle")
    return height


def longest_chain(weights: Mapping[int, float], dependencies: Sequence[Sequence[int]]) -> list[int]:
    """The chain of nodes, each of which needs the one before, whose weights sum to most.

    `weights` is in an order in which what a node needs comes before it; what is in `dependencies` alone is in no chain.
    """
    sums: dict[int, float] = {}
    before: dict[int, int] = {}
    for node, weight in weights.items():
        known = [need for need in dependencies[node] if need in sums]
        last = max(known, key=sums.__getitem__, default=None)
        sums[node] = weight + (sums[last] if last is not None else 0.0)
        if last is not None:
            before[node] = last
    chain = [max(sums, key=sums.__getitem__)] if sums else []
    while chain and chain[-1] in before:
        chain.append(before[chain[-1]])
    return chain[::-1]
