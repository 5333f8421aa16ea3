"""A monorepo: nothing changed and one file changed among 100,000, beside `git status`, where the packages say everything and where they extend
a template; and a hundred images on one base, beside BuildKit.

`python benchmarks/scale.py [ROUNDS]`; the last part needs root, for the engine is a private one. Prints a table in Markdown.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

import inputs  # noqa: E402 - found where this is
import monorepo  # noqa: E402
from bars import Row, below, faster, more, table, verdict, within  # noqa: E402
from measure import Command, Run, interleaved, median, peak, run  # noqa: E402

from tests import peers  # noqa: E402

IMAGES = 100
NULL, OVERHEAD, MEMORY = 2, 0.1, 400  # the bars: times `git status`; seconds over the null build and the steps; MiB
_GRAPHBUILD = str(Path(sys.executable).with_name("graphbuild"))


def _ours(store: Path) -> Command:
    return Command((_GRAPHBUILD, "run", "//..."), (("GRAPHBUILD_STORE", str(store)), ("PYTHONDONTWRITEBYTECODE", "")))


def large(scratch: Path, rounds: int, *, extends: int) -> list[Row]:
    """1,000 packages, 3,000 targets, 100,000 files. `extends` as the monorepo takes it."""
    root = scratch / f"monorepo-{extends}"
    monorepo.write(root, extends=extends)
    for words in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "gc.auto=0", "commit", "-q", "-m", "all"],
    ):
        subprocess.run(["git", "-C", str(root), *words], check=True)
    build = _ours(scratch / f"store-{extends}")
    cold = run(build, root)
    run(build, root)

    def change(number: int) -> None:
        changed = root / f"svc/group-03/service-{150 + number:04}/src/part0/module_003.py"
        changed.write_text(f"# {time.monotonic_ns()}\n")
        time.sleep(0.1)  # as long as an editor takes: what is fresher cannot be told from a later change by its stat

    def ours(number: int) -> Mapping[str, Run]:
        nothing = run(build, root)
        change(number)
        one = run(build, root)
        time.sleep(0.1)
        run(build, root)
        return {"null": nothing, "one changed": one}

    found = interleaved({"graphbuild": ours, "git status": lambda _: {"null": run(Command(("git", "status")), root)}}, rounds)
    null, one, git = (
        median(found[name][phase]) for name, phase in (("graphbuild", "null"), ("graphbuild", "one changed"), ("git status", "null"))
    )
    change(rounds)
    steps = _steps(build, root)
    what = f"3,000 targets, 100,000 files{', all from a template' if extends else ''}"
    return [
        within(f"{what}: null", null, "git status", git, NULL),
        more(f"{what}: one changed", one, f"the null build and {steps:.3f} s of its own steps", null + steps, OVERHEAD),
        below(f"{what}: memory, {cold.seconds:.1f} s cold", max(peak([cold]), peak(found["graphbuild"]["one changed"])), MEMORY, "MiB"),
    ]


def _steps(build: Command, root: Path) -> float:
    """The seconds that the steps of a build took, by its events."""
    argv = (*build.argv, "--progress=quiet", "--events=-")
    done = subprocess.run(argv, cwd=root, env={**os.environ, **dict(build.env)}, capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return sum(event["seconds"] for event in events if event["event"] == "action" and event["status"] == "built")


def _write_hundred(root: Path, *, steps: bool) -> None:
    root.mkdir()
    inputs.base_tar(root / "base.tar")
    (root / "graphbuild.yaml").touch()
    (root / "build.yaml").write_text("visibility: public\nbases:\n  base: {tar: base.tar}\n")
    for number in range(IMAGES):
        folder = root / f"s{number:03}"
        folder.mkdir()
        (folder / "app").write_text(f"application {number}\n" * 100)
        step = "  made: {from: [//:base, code], run: echo made > /made}\n" if steps else ""
        start = "made" if steps else "[//:base, code]"
        (folder / "build.yaml").write_text(
            f"steps:\n  code: {{copy: {{files: app, to: /srv}}}}\n{step}outputs:\n  it: {{from: {start}, image: {{}}}}\n"
        )
        (folder / "Dockerfile").write_text("FROM benchbase\nCOPY app /srv/app\n" + ("RUN echo made > /made\n" if steps else ""))


def hundred(engine: peers.Engine, scratch: Path, *, steps: bool) -> list[Row]:
    """The same images by Dockerfiles, four builds at once."""
    root = scratch / f"hundred-{steps}"
    _write_hundred(root, steps=steps)
    ours = _ours(scratch / f"store-{steps}")
    client, environment = engine.client, engine.environment
    with (root / "base.tar").open("rb") as tar:
        engine.run("import", "-", "benchbase", data=tar.read())
    builds = f"ls -d s* | xargs -P 4 -I N {' '.join(client)} build -q --network=host -t bench-N N"
    theirs = Command(("sh", "-c", builds), environment)

    def phases(command: Command) -> dict[str, float]:
        times = {"cold": run(command, root).seconds}
        time.sleep(0.1)
        run(command, root)
        times["null"] = run(command, root).seconds
        (root / "s007/app").write_text(f"{time.monotonic_ns()}\n")
        time.sleep(0.1)
        times["one changed"] = run(command, root).seconds
        return times

    mine, other = phases(ours), phases(theirs)
    what = "copy and run" if steps else "copy only"
    goals = {"cold": 6} if steps else {"cold": 30, "null": 100, "one changed": 80}
    name = f"docker {engine.version.partition('+')[0]}"
    return [faster(f"100 images, {what}: {phase}", mine[phase], name, other[phase], times) for phase, times in goals.items()]


def main() -> int:
    """0 when every bar is held, 1 when one is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    scratch = Path(tempfile.mkdtemp(prefix="graphbuild-scale-"))
    rows: list[Row] = []
    try:
        for extends in (0, 1):
            rows += large(scratch, rounds, extends=extends)
        for start in (peers.docker_engine, lambda: peers.modern_docker_engine(peers.peer_cache())):
            try:
                with contextlib.ExitStack() as held:
                    engine = held.enter_context(start())
                    place = scratch / engine.version
                    place.mkdir()
                    for steps in (False, True):
                        rows += hundred(engine, place, steps=steps)
            except unittest.SkipTest as missing:
                print(f"without a peer: {missing}", file=sys.stderr)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{os.cpu_count()} cores; medians of {rounds}, in turns, page cache hot\n")
    print(table(rows))
    return verdict(rows)


if __name__ == "__main__":
    sys.exit(main())
