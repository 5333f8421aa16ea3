"""Turns: short pieces of work follow each other, and a long one keeps nobody."""

import threading
import time

import pytest

from graphbuild.build.turns import Turns


def test_short_work_is_done_one_after_the_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("graphbuild.build.turns._PATIENCE", 20)  # work is not long because a thread gets no processor
    turns, inside, most = Turns(), 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with turns.turn():
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inside == 0
    assert most == 1


def test_who_takes_long_goes_on_beside_the_next_and_does_not_slow_those_after_it_down():
    turns, done = Turns(), threading.Event()

    def long() -> None:
        with turns.turn():
            done.wait(20)

    thread = threading.Thread(target=long)
    thread.start()
    with turns.turn():
        pass
    begun = time.monotonic()
    for _ in range(2000):  # each would wait if the long one still had the turn: four seconds
        with turns.turn():
            pass
    assert time.monotonic() - begun < 2
    assert thread.is_alive()
    done.set()
    thread.join()


def test_an_error_gives_the_turn_back():
    turns = Turns()
    with pytest.raises(KeyError), turns.turn():
        raise KeyError
    begun = time.monotonic()
    with turns.turn():
        pass
    assert time.monotonic() - begun < 1
