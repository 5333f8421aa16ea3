"""The race: every builder gets the job in a fresh folder, in turns, and the medians are held against the job's goals."""

import itertools
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from builders import Builder
from measure import Run, interleaved, median, peak

Turn = Callable[[int], Mapping[str, Run]]


class Goal(msgspec.Struct, frozen=True):
    """`faster`: graphbuild wants to be that many times faster than `than`; else at most that many times slower."""

    phase: str
    times: float
    than: str  # a limit's name, or "" for every peer
    faster: bool


class Result(msgspec.Struct, frozen=True):
    """What a job measured: contestant → phase → runs."""

    job: str
    runs: dict[str, dict[str, list[Run]]]
    goals: tuple[Goal, ...]


class Arena(msgspec.Struct, frozen=True):
    """Where the jobs run, and who runs them: graphbuild first. `rounds`: 0 for each job's own number."""

    scratch: Path
    builders: tuple[Builder, ...]
    rounds: int = 0


class Job(msgspec.Struct, frozen=True):
    """`write` fills a fresh folder with the job; `phases` builds it, once or several times, in that folder."""

    name: str
    title: str
    rounds: int
    write: Callable[[Path], None]
    phases: Callable[[Builder, Path], Mapping[str, Run]]
    goals: tuple[Goal, ...]
    limits: tuple[tuple[str, Callable[[Path], Mapping[str, Run]]], ...] = ()


_folders = itertools.count()


def _fresh(arena: Arena, job: Job) -> Path:
    """A new folder with the job in it: nobody has seen its path, its inodes or its times before."""
    folder = arena.scratch / f"{job.name}-{next(_folders)}"
    folder.mkdir()
    job.write(folder)
    os.sync()  # a builder that syncs what it made should not be charged for what it was given
    return folder


def perform(arena: Arena, job: Job) -> Result:
    """All contestants, in turns. A limit works on the folder of its round that graphbuild had."""
    latest: list[Path] = []

    def turn(builder: Builder) -> Turn:
        def once(_number: int) -> Mapping[str, Run]:
            folder = _fresh(arena, job)
            if builder is arena.builders[0]:
                latest[:] = [folder]
            return job.phases(builder, folder)

        return once

    contestants = {builder.name: turn(builder) for builder in arena.builders}
    for name, limit in job.limits:
        contestants[name] = lambda _number, limit=limit: limit(latest[0])
    return Result(job.title, interleaved(contestants, arena.rounds or job.rounds), job.goals)


def forget(folder: Path) -> None:
    """Delete all that the jobs wrote. Only at the very end: deleting slows the next files' creation down on ext4."""
    shutil.rmtree(folder)


class Verdict(msgspec.Struct, frozen=True):
    """A goal held against one contestant; seconds are medians."""

    who: str
    theirs: float
    ours: float
    goal: Goal

    @property
    def ratio(self) -> float:
        """How many times faster graphbuild is or, against a limit, how many times slower."""
        return self.theirs / self.ours if self.goal.faster else self.ours / self.theirs

    @property
    def met(self) -> bool:
        return self.ratio >= self.goal.times if self.goal.faster else self.ratio <= self.goal.times


def verdicts(result: Result, graphbuild: str) -> list[Verdict]:
    """One for each goal and contestant that the goal speaks of."""
    limits = {goal.than for goal in result.goals if goal.than}
    found = []
    for goal in result.goals:
        ours = median(result.runs[graphbuild][goal.phase])
        for who, phases in result.runs.items():
            meant = who == goal.than if goal.than else who != graphbuild and who not in limits
            if meant:
                found.append(Verdict(who, median(phases[goal.phase]), ours, goal))
    return found


def memory(result: Result, graphbuild: str) -> float:
    """graphbuild's largest resident size in the job, in MiB."""
    return max(peak(runs) for runs in result.runs[graphbuild].values())
