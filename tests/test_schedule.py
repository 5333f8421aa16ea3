"""The schedule's invariants, on random graphs with random failures."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.schedule import Schedule, State, longest_chain


@st.composite
def dags(draw):
    """Dependencies of a random DAG whose numbering is shuffled, so that order gives nothing away."""
    count = draw(st.integers(0, 24))
    names = draw(st.permutations(range(count)))
    dependencies = [[] for _ in range(count)]
    for position in range(1, count):
        needs = draw(st.lists(st.integers(0, position - 1), max_size=4))
        dependencies[names[position]] = [names[need] for need in needs]
    return dependencies


def ancestors(dependencies, node):
    seen, stack = set(), [node]
    while stack:
        for need in dependencies[stack.pop()]:
            if need not in seen:
                seen.add(need)
                stack.append(need)
    return seen


def drive(schedule, dependencies, failing, width, choose):
    """Run a schedule with `width` workers; returns the nodes in the order they were handed out."""
    started, running = [], []
    while not schedule.finished:
        while len(running) < width and (node := schedule.take()) is not None:
            assert all(schedule.state(need) is State.DONE for need in dependencies[node])
            started.append(node)
            running.append(node)
        assert running, "nothing runs and nothing is finished: stuck"
        node = running.pop(choose(len(running)))
        if node in failing:
            schedule.fail(node)
        else:
            schedule.succeed(node)
    return started


@given(dags(), st.sets(st.integers(0, 23), max_size=6), st.integers(1, 6), st.data())
def test_keep_going_skips_exactly_what_depends_on_a_failure(dependencies, failing, width, data):
    schedule = Schedule(dependencies, keep_going=True)
    started = drive(schedule, dependencies, failing, width, lambda n: data.draw(st.integers(0, n - 1)))
    assert len(started) == len(set(started))
    failed = {node for node in started if node in failing}
    for node in range(len(dependencies)):
        expected = State.SKIPPED if ancestors(dependencies, node) & failed else State.FAILED if node in failed else State.DONE
        assert schedule.state(node) is expected


@given(dags(), st.sets(st.integers(0, 23), min_size=1, max_size=3), st.integers(1, 6))
def test_without_keep_going_nothing_starts_after_a_failure(dependencies, failing, width):
    schedule = Schedule(dependencies)
    started = drive(schedule, dependencies, failing, width, lambda n: 0)
    states = {schedule.state(node) for node in range(len(dependencies)) if node not in started}
    assert states <= {State.SKIPPED}
    assert not states or any(node in failing for node in started)


@given(dags(), st.integers(1, 6))
def test_without_failures_everything_runs(dependencies, width):
    schedule = Schedule(dependencies)
    started = drive(schedule, dependencies, set(), width, lambda n: n - 1)
    assert sorted(started) == list(range(len(dependencies)))


def test_a_failure_that_stops_nothing_takes_its_dependents_alone():
    schedule = Schedule([[], [0], []])
    assert schedule.take() == 0
    assert schedule.fail(0, stops=False) == [1]
    assert schedule.take() == 2
    schedule.succeed(2)
    assert schedule.finished


def test_the_longest_chain_starts_first():
    #   0   1 <- 2 <- 3: node 1 has the longer way to go
    schedule = Schedule([[], [], [1], [2]])
    assert [schedule.take(), schedule.take(), schedule.take()] == [1, 0, None]


def test_a_cycle_is_refused():
    with pytest.raises(ValueError, match="cycle"):
        Schedule([[1], [0]])


def test_stop_skips_what_has_not_started_and_lets_the_rest_end():
    schedule = Schedule([[], [], [0]])
    first = schedule.take()
    assert schedule.stop() == [1, 2]
    assert schedule.take() is None
    assert not schedule.finished
    schedule.succeed(first)
    assert schedule.finished


def test_a_node_ends_once():
    schedule = Schedule([[]])
    with pytest.raises(ValueError, match="not RUNNING"):
        schedule.succeed(0)


@given(dags(), st.data())
def test_the_longest_chain_is_one_and_none_is_longer(dependencies, data):
    order = sorted(range(len(dependencies)), key=lambda node: len(ancestors(dependencies, node)))
    weights = {node: data.draw(st.integers(0, 9)) for node in order}
    chain = longest_chain(weights, dependencies)
    assert all(before in dependencies[node] for before, node in itertools.pairwise(chain))
    longest = {}
    for node in order:
        longest[node] = weights[node] + max((longest[need] for need in dependencies[node]), default=0)
    assert sum(weights[node] for node in chain) == max(longest.values(), default=0)
