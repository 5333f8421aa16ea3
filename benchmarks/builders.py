"""Who takes part: graphbuild, Docker engines, buildah, each as the commands that build, and export, a folder.

A folder holds the same job twice: a `build.yaml` with the target `//:it` for graphbuild, a `Dockerfile` for the others.
"""

import os
import shutil
import subprocess
import sys
import unittest
from collections.abc import Callable
from pathlib import Path

import msgspec
from measure import Command

from tests.peers import Engine


class Builder(msgspec.Struct, frozen=True):
    """`build(folder, cold)` builds a folder's job. `save(folder)` writes what was built to `image.tar`, where that is a step of its own."""

    name: str
    version: str
    build: Callable[[Path, bool], Command]
    save: Callable[[Path], Command] | None = None


def graphbuild(*, dockerfile: bool = False) -> Builder:
    """The graphbuild installed beside this Python, each folder with a store of its own, next to it (so: the same file system).

    It builds the job's build.yaml or, as the peers do, its Dockerfile.
    """
    program = str(Path(sys.executable).with_name("graphbuild"))
    if not Path(program).exists():
        raise unittest.SkipTest(f"{program} is not installed")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]

    def build(folder: Path, _cold: bool) -> Command:
        # bytecode as an installed package has it, whatever the caller's environment says
        env = (("GRAPHBUILD_STORE", f"{folder}.store"), ("PYTHONDONTWRITEBYTECODE", ""))
        if dockerfile:
            return Command((program, "dockerfile", "-j", "10", "-t", "it", *_saved(folder), "."), env)
        return Command((program, "run", "-j", "10", "//:it"), env)

    return Builder("graphbuild dockerfile" if dockerfile else "graphbuild", version, build)


def _saved(folder: Path) -> tuple[str, ...]:
    """Where the job's build.yaml writes an archive, the Dockerfile's build does too."""
    return ("-o", "docker:image.tar") if "docker: image.tar" in (folder / "build.yaml").read_text() else ()


def docker(engine: Engine) -> Builder:
    def build(folder: Path, cold: bool) -> Command:
        cache = ("--no-cache",) if cold else ()
        return Command((*engine.client, "build", "--network=host", *cache, "-t", f"bench:{folder.name}", "."), engine.environment)

    def save(folder: Path) -> Command:
        return Command((*engine.client, "save", "-o", "image.tar", f"bench:{folder.name}"), engine.environment)

    return Builder(f"docker {engine.version.partition('+')[0]}", engine.version, build, save)


def buildah(scratch: Path) -> Builder:
    """Debian's buildah with overlay storage and chroot isolation, which is its fastest."""
    program = shutil.which("buildah")
    if not program or os.geteuid():
        raise unittest.SkipTest("buildah is not installed, or this is not root")
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    store = (program, "--root", f"{scratch}/root", "--runroot", f"{scratch}/run", "--storage-driver", "overlay")

    def build(folder: Path, cold: bool) -> Command:
        cache = ("--no-cache",) if cold else ()
        jobs = ("--jobs", "10", "--layers", "--isolation", "chroot", "--network", "host")
        return Command((*store, "bud", *jobs, *cache, "-t", f"bench:{folder.name}", "."))

    def save(folder: Path) -> Command:
        return Command((*store, "push", f"bench:{folder.name}", "docker-archive:image.tar"))

    return Builder("buildah", version, build, save)
