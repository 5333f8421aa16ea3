"""The query language: against an independent evaluation by networkx on random graphs and expressions, and its mistakes."""

import itertools
import re

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphbuild.graph.query import evaluate, parse
from graphbuild.values.errors import GraphbuildError
from graphbuild.values.label import Label, parse_label

EXAMPLES = 1_000
KINDS = ("scratch base", "run step", "copy step", "image output")


class Fixed:
    """Targets that are numbers of a graph: `//p0:t0` needs `//p1:t3`."""

    def __init__(self, graph: nx.DiGraph) -> None:
        self.graph = graph

    def select(self, pattern: str) -> list[Label]:
        if pattern == "//...":
            return sorted(self.graph)
        found = parse_label(pattern, "")
        return [found] if found in self.graph else []

    def needs(self, label: Label) -> list[Label]:
        return list(self.graph.successors(label))

    def kind(self, label: Label) -> str:
        return KINDS[int(label.name[1:]) % len(KINDS)]

    def attribute(self, label: Label, name: str) -> str | None:
        number = int(label.name[1:])
        return str(number) if name == "number" and number % 3 else None


def label(number: int) -> Label:
    return Label(f"p{number % 3}", f"t{number}")


@st.composite
def graphs(draw) -> nx.DiGraph:
    size = draw(st.integers(1, 9))
    graph = nx.DiGraph()
    graph.add_nodes_from(label(number) for number in range(size))
    pairs = [(one, other) for one in range(size) for other in range(one + 1, size)]
    graph.add_edges_from(
        (label(one), label(other)) for one, other in draw(st.lists(st.sampled_from(pairs), max_size=16)) if pairs
    ) if pairs else None
    return graph


# An expression as text, with a function that says what it stands for by networkx alone.
def leaves() -> st.SearchStrategy:
    one = st.integers(0, 9).map(lambda n: (str(label(n)), lambda g: {label(n)} & set(g)))
    return one | st.just(("//...", set))


def reached(graph: nx.DiGraph, start: set, depth: int | None) -> set:
    found = set()
    for node in start:
        found |= set(nx.single_source_shortest_path_length(graph, node, cutoff=depth))
    return found


def induced(graph: nx.DiGraph, start: set) -> nx.DiGraph:
    return graph.subgraph(reached(graph, start, None))


def allpaths(graph: nx.DiGraph, starts: set, ends: set) -> set:
    """Nodes that a start reaches and that reach an end."""
    below = induced(graph, starts)
    return {node for node in below if reached(graph, {node}, None) & ends}


def composed(inner: st.SearchStrategy) -> st.SearchStrategy:
    signs = {
        "+": set.union,
        "union": set.union,
        "-": set.difference,
        "except": set.difference,
        "^": set.intersection,
        "intersect": set.intersection,
    }

    def binary(one, other, sign):
        return f"({one[0]} {sign} {other[0]})", lambda g: signs[sign](set(one[1](g)), other[1](g))

    def deps(one, depth):
        text = f"deps({one[0]})" if depth is None else f"deps({one[0]}, {depth})"
        return text, lambda g: reached(g, one[1](g), depth)

    def rdeps(universe, one, depth):
        def expected(g):
            part = induced(g, universe[1](g))
            return reached(part.reverse(), set(one[1](g)) & set(part), depth)

        return f"rdeps({universe[0]}, {one[0]}{'' if depth is None else f', {depth}'})", expected

    def paths(one, other):
        return f"allpaths({one[0]}, {other[0]})", lambda g: allpaths(g, one[1](g), other[1](g))

    def kind(one, word):
        return f"kind('{word}', {one[0]})", lambda g: {n for n in one[1](g) if re.search(word, Fixed(g).kind(n))}

    def filtered(one, word):
        return f'filter("{word}", {one[0]})', lambda g: {n for n in one[1](g) if re.search(word, str(n))}

    def attributed(one, word):
        return f"attr(number, '{word}', {one[0]})", lambda g: {
            n for n in one[1](g) if (v := Fixed(g).attribute(n, "number")) and re.search(word, v)
        }

    def let(one, sign):
        return f"let v = {one[0]} in ($v {sign} //p0:t0)", lambda g: signs[sign](set(one[1](g)), {label(0)} & set(g))

    depths = st.none() | st.integers(0, 3)
    return st.one_of(
        st.builds(binary, inner, inner, st.sampled_from(sorted(signs))),
        st.builds(deps, inner, depths),
        st.builds(rdeps, inner, inner, depths),
        st.builds(paths, inner, inner),
        st.builds(kind, inner, st.sampled_from(["run", "step$", "^image"])),
        st.builds(filtered, inner, st.sampled_from(["p1", "t[0-4]$"])),
        st.builds(attributed, inner, st.sampled_from(["^[1-4]$", "7"])),
        st.builds(let, inner, st.sampled_from(["+", "-", "^"])),
    )


@given(graphs(), st.recursive(leaves(), composed, max_leaves=6))
@settings(max_examples=EXAMPLES, deadline=None)
def test_it_agrees_with_an_independent_evaluation(graph, expression):
    text, expected = expression
    assert evaluate(parse(text), Fixed(graph)) == sorted(expected(graph))


@given(graphs(), st.integers(0, 8), st.integers(0, 8))
@settings(max_examples=300, deadline=None)
def test_somepath_is_a_shortest_path_or_nothing(graph, one, other):
    found = evaluate(parse(f"somepath({label(one)}, {label(other)})"), Fixed(graph))
    if label(one) not in graph or label(other) not in graph or not nx.has_path(graph, label(one), label(other)):
        assert found == []
        return
    assert found[0] == label(one)
    assert found[-1] == label(other)
    assert all(graph.has_edge(*pair) for pair in itertools.pairwise(found))
    assert len(found) == nx.shortest_path_length(graph, label(one), label(other)) + 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "ends where"),
        ("deps(", "ends where"),
        ("deps(//a:b", "')' is expected"),
        ("deps(//a:b, many)", "not a number"),
        ("//a:b //c:d", "not expected here"),
        ("//a:b +", "ends where"),
        ("frobnicate(//a:b)", "no function"),
        ("let = //a:b in $x", "a word is expected"),
        ("let x = //a:b", "'in' is expected"),
        ("$nobody", "$nobody is not defined"),
        ("kind('(', //...)", "no regular expression"),
        ("some(//a:b)", "some() of nothing"),
        ("(" * 5000 + "//a:b" + ")" * 5000, "nested too deeply"),
        ('"', "ends where|word"),
    ],
)
def test_mistakes_say_what_and_where(text, said):
    with pytest.raises(GraphbuildError) as caught:
        evaluate(parse(text), Fixed(nx.DiGraph()))
    assert re.search(said if "|" in said else re.escape(said), caught.value.problems[0].message)


@pytest.mark.parametrize("pattern", ["//web:app[py=3.11,os=a]", "//x-y+z:all", "//...", ":a", "'//quoted, with: everything'", "//a/b:c.d"])
def test_words(pattern):
    parsed = parse(f"deps({pattern}, 2)")
    assert parsed.arguments[0].pattern == pattern.strip("'")
