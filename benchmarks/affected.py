"""Whether `affected` and `diff` are exact: random edits of a generated monorepo, each judged by a build; and how long `affected` takes of a large one.

`python benchmarks/affected.py [EDITS [PACKAGES [SEED]]]`. Prints each edit that was told wrong, and a table in Markdown.
"""

import collections
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

import monorepo  # noqa: E402 - found where this is
from bars import Row, below, table, verdict  # noqa: E402
from measure import Command, median, run  # noqa: E402
from monorepo_edits import EDITS, Edits, git, walk, written  # noqa: E402 - found where the tests are
from workspaces import Workspace  # noqa: E402

FILES = 8  # a package, where each edit is judged by a build
SECONDS = 3  # of `affected` on 3,000 targets and 100,000 files
_GRAPHBUILD = str(Path(sys.executable).with_name("graphbuild"))


def exact(scratch: Path, edits: int, packages: int, seed: int) -> Row:
    """Every edit there is, as often as it takes, in a random order."""
    ws = written(Workspace(scratch / "small", scratch / "store"), packages, FILES)
    chance = random.Random(seed)  # noqa: S311, RUF100 - reproducible, not secret
    names = [EDITS[number % len(EDITS)] for number in range(edits)]
    chance.shuffle(names)
    wrong: collections.Counter[str] = collections.Counter()
    named = different = 0
    for judged in walk(ws, Edits(ws.root, chance), names):
        named, different = named + judged.named, different + judged.different
        if judged.wrong:
            wrong[judged.edit] += 1
            print(f"{judged.edit}: {judged.wrong}", file=sys.stderr, flush=True)
    what = f"{edits} edits of {packages} packages: {different} images became others, {named} targets were named"
    return Row(what, f"{wrong.total()} told wrong", "a build of each", "none", not wrong)


def large(scratch: Path, rounds: int) -> Row:
    """One changed file among 100,000."""
    root = scratch / "large"
    monorepo.write(root, extends=2)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        git(root, *words)
    command = Command((_GRAPHBUILD, "affected", "--since", "HEAD"), (("GRAPHBUILD_STORE", str(scratch / "large-store")),))
    run(command, root)
    runs = []
    for number in range(rounds):
        (root / f"svc/group-03/service-{150 + number:04}/src/part0/module_003.py").write_text("changed\n")
        runs.append(run(command, root))
        assert len(runs[-1].said.split()) == 2 * (number + 1), runs[-1].said
    return below("affected, of 3,000 targets and 100,000 files", median(runs), SECONDS, "s")


def main() -> int:
    """0 when every bar is held, 1 when one is missed."""
    edits, packages, seed = (*map(int, sys.argv[1:4]), *(200, 60, 1)[len(sys.argv[1:4]) :])
    scratch = Path(tempfile.mkdtemp(prefix="graphbuild-affected-"))
    try:
        rows = [exact(scratch, edits, packages, seed), large(scratch, 5)]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(
        f"{os.cpu_count()} cores; medians of 5; {subprocess.run(['git', '--version'], capture_output=True, text=True, check=True).stdout}\n{table(rows)}"
    )
    return verdict(rows)


if __name__ == "__main__":
    sys.exit(main())
