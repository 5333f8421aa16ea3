"""`python benchmarks/monorepo.py FOLDER [PACKAGES [FILES]]`: a generated monorepo, the same at every call.

Five bases in one package, and services that build on them: each has a `code` step (its own files), a `conf` step (files that
every tenth service shares the look of) and an `image` output. 1,000 packages have 3,000 targets and 100,000 source files. A part of
the services may inherit all that from a template instead, with variables and a `select`.
"""

import random
import sys
from pathlib import Path

PACKAGES = 1_000
FILES = 100_000
BASES = ("python", "node", "go", "java", "static")
_FOLDERS = 2  # of sources, a service


_TEMPLATE = """\
vars: {base: static, port: "8080"}
steps:
  code: {copy: {files: src, to: {select: {stage=test: /srv/app, default: /app}}}}
  conf: {copy: {files: conf.ini, to: /etc/service}}
outputs:
  image:
    from: ["//bases:${base}", code, conf]
    image: {OUTPUTconfig: {cmd: [/opt/runtime, "${port}"], labels: {service: "${package}", stage: "${stage}"}}}
"""


def write(root: Path, packages: int = PACKAGES, files: int = FILES, *, extends: int = 0, output: str = "") -> None:
    """Make it in `root`, which is created. Every so many-th service `extends` a template. `output`: what each image says besides."""
    chance = random.Random(packages)  # noqa: S311, RUF100 - reproducible, not secret
    root.mkdir(parents=True)
    (root / "graphbuild.yaml").write_text("jobs: 2\nvars: {stage: prod}\n")
    (root / ".gitignore").write_text("dist/\n")
    _bases(root / "bases")
    (root / "templates").mkdir()
    (root / "templates/service.yaml").write_text(_TEMPLATE.replace("OUTPUT", output))
    for number in range(packages):
        folder = root / "svc" / f"group-{number // 50:02}" / f"service-{number:04}"
        base = BASES[number % len(BASES)]
        _service(folder, files // packages, chance)
        inherits = extends and not number % extends
        (folder / "build.yaml").write_text(inherited(base) if inherits else declared(base, folder.name, output))


def _bases(folder: Path) -> None:
    folder.mkdir()
    text = "visibility: public\nbases:\n  none: scratch\nsteps:\n"
    for base in BASES:
        (folder / base).mkdir()
        (folder / base / "runtime").write_text(f"the runtime of {base}\n" * 50)
        text += f"  {base}: {{from: none, copy: {{files: {base}, to: /opt}}}}\n"
    (folder / "build.yaml").write_text(text)


def _service(folder: Path, files: int, chance: random.Random) -> None:
    for part in range(_FOLDERS):
        place = folder / "src" / f"part{part}"
        place.mkdir(parents=True)
        for number in range((files - 1) // _FOLDERS):
            (place / f"module_{number:03}.py").write_text(f"# {chance.random()}\n" * chance.randint(1, 40))
    (folder / "conf.ini").write_text(f"[service]\nname = {folder.name}\n")


def declared(base: str, name: str, output: str = "") -> str:
    """A service's build.yaml that says everything itself."""
    return (
        f"steps:\n"
        f"  code: {{copy: {{files: src, to: /app}}}}\n"
        f"  conf: {{copy: {{files: conf.ini, to: /etc/service}}}}\n"
        f"outputs:\n"
        f"  image:\n"
        f"    from: [//bases:{base}, code, conf]\n"
        f"    image: {{{output}config: {{cmd: [/opt/runtime, /app/src], labels: {{service: {name}}}}}}}\n"
    )


def inherited(base: str) -> str:
    """A service's build.yaml that has everything from the template."""
    return f"extends: //templates/service.yaml\nvars: {{base: {base}}}\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]), *map(int, sys.argv[2:]))
