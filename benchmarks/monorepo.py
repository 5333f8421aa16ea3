"""`python benchmarks/monorepo.py FOLDER [PACKAGES [FILES]]`: a generated monorepo, the same at every call.

Five bases in one package, and services that build on them: each has a `code` step (its own files), a `conf` step (files that
every tenth service shares the look of) and an `image` output. 1,000 packages have 3,000 targets and 100,000 source files.
"""

import random
import sys
from pathlib import Path

PACKAGES = 1_000
FILES = 100_000
BASES = ("python", "node", "go", "java", "static")
_FOLDERS = 2  # of sources, a service


def write(root: Path, packages: int = PACKAGES, files: int = FILES) -> None:
    """Make it in `root`, which is created."""
    chance = random.Random(packages)  # noqa: S311, RUF100 - reproducible, not secret
    root.mkdir(parents=True)
    (root / "graphbuild.yaml").write_text("jobs: 2\n")
    (root / ".gitignore").write_text("dist/\n")
    _bases(root / "bases")
    for number in range(packages):
        folder = root / "svc" / f"group-{number // 50:02}" / f"service-{number:04}"
        _service(folder, BASES[number % len(BASES)], files // packages, chance)


def _bases(folder: Path) -> None:
    folder.mkdir()
    text = "visibility: public\nbases:\n  none: scratch\nsteps:\n"
    for base in BASES:
        (folder / base).mkdir()
        (folder / base / "runtime").write_text(f"the runtime of {base}\n" * 50)
        text += f"  {base}: {{from: none, copy: {{files: {base}, to: /opt}}}}\n"
    (folder / "build.yaml").write_text(text)


def _service(folder: Path, base: str, files: int, chance: random.Random) -> None:
    for part in range(_FOLDERS):
        place = folder / "src" / f"part{part}"
        place.mkdir(parents=True)
        for number in range((files - 1) // _FOLDERS):
            (place / f"module_{number:03}.py").write_text(f"# {chance.random()}\n" * chance.randint(1, 40))
    (folder / "conf.ini").write_text(f"[service]\nname = {folder.name}\n")
    (folder / "build.yaml").write_text(
        f"steps:\n"
        f"  code: {{copy: {{files: src, to: /app}}}}\n"
        f"  conf: {{copy: {{files: conf.ini, to: /etc/service}}}}\n"
        f"outputs:\n"
        f"  image:\n"
        f"    from: [//bases:{base}, code, conf]\n"
        f"    image: {{config: {{cmd: [/opt/runtime, /app/src], labels: {{service: {folder.name}}}}}}}\n"
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
