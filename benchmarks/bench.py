"""`python benchmarks/bench.py [JOB…]`: race graphbuild against Docker, old and new, and print a Markdown table.

Run it as root from the environment that graphbuild is installed in. A peer that this machine lacks is named and left out.
"""

import argparse
import contextlib
import os
import platform
import sys
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # the peers are the tests' own

import builders
import jobs
import race
from bars import HELD, MISSED

from tests import peers

PEERS = ("docker", "modern", "buildah")


@contextlib.contextmanager
def _contestants(wanted: list[str], scratch: Path, *, dockerfile: bool) -> Iterator[tuple[builders.Builder, ...]]:
    """graphbuild and the peers that can be had, for as long as the block lasts."""
    with contextlib.ExitStack() as stack:
        found = [builders.graphbuild(dockerfile=dockerfile)]
        for peer in wanted:
            try:
                if peer == "docker":
                    found.append(builders.docker(stack.enter_context(peers.docker_engine())))
                elif peer == "modern":
                    found.append(builders.docker(stack.enter_context(peers.modern_docker_engine(peers.peer_cache()))))
                else:
                    found.append(builders.buildah(scratch))
            except unittest.SkipTest as missing:
                print(f"without {peer}: {missing}", file=sys.stderr)
        yield tuple(found)


def _machine(contestants: tuple[builders.Builder, ...]) -> str:
    versions = ", ".join(f"{one.name} ({one.version})" for one in contestants)
    return f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}; {versions}. Medians, in turns, page cache hot."


def _rows(result: race.Result, name: str) -> list[str]:
    rows = []
    for verdict in race.verdicts(result, name):
        goal = verdict.goal
        want = f"at least {goal.times:g} times faster" if goal.faster else f"at most {goal.times:g} times that"
        runs = str(len(result.runs[name][goal.phase]))
        seconds = (f"{verdict.ours:.3f}", verdict.who, f"{verdict.theirs:.3f}", f"{verdict.ratio:.2f}")
        rows.append(f"| {' | '.join((result.job, goal.phase, *seconds, want, HELD if verdict.met else MISSED, runs))} |")
    return rows


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="null, a, b, c, e (default: all)")
    parser.add_argument("--peer", action="append", choices=PEERS, help="repeat it for several (default: docker and modern)")
    parser.add_argument("--dockerfile", action="store_true", help="graphbuild builds the Dockerfile, too")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of every job, in place of each one's own number")
    parser.add_argument("--scratch", type=Path, help="a folder on the disk to measure (default: the temporary folder)")
    return parser.parse_args()


def main() -> int:
    """0 when every goal was met, 1 when one was missed."""
    arguments = _arguments()
    if unknown := set(arguments.jobs) - {job.name for job in jobs.JOBS}:
        print(f"no such job: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    wanted = [job for job in jobs.JOBS if not arguments.jobs or job.name in arguments.jobs]
    scratch = Path(tempfile.mkdtemp(prefix="graphbuild-bench-", dir=arguments.scratch))
    table, memories = [], []
    try:
        with _contestants(arguments.peer or ["docker", "modern"], scratch, dockerfile=arguments.dockerfile) as contestants:
            arena = race.Arena(scratch, contestants, arguments.rounds)
            print(_machine(contestants), end="\n\n")
            for job in wanted:
                print(f"{job.title} …", file=sys.stderr)
                result = race.perform(arena, job)
                table += _rows(result, contestants[0].name)
                memories.append(f"| {job.title} | {race.memory(result, contestants[0].name):.0f} MiB |")
    finally:
        race.forget(scratch)
    print("| job | phase | graphbuild, s | peer | peer, s | ratio | bar | | runs |\n|---|---|---|---|---|---|---|---|---|")
    print("\n".join(table))
    print("\n| job | graphbuild's largest process, mapped files included: no bar |\n|---|---|")
    print("\n".join(memories))
    return int(any(MISSED in row for row in table))


if __name__ == "__main__":
    sys.exit(main())
