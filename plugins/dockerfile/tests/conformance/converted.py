"""Converts cases with `graphbuild convert`, builds what came out, and says it in the words of judge.py."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import yaml
from bases import Bases
from case import BASES, Case, Place, lay_out, place_urls, urls_for
from engines import read_archive
from judge import Verdict, verdict_of
from ours import Done

_ROOT = Path(__file__).parents[4]
_CONVERTS = ("--build-arg", "--target", "--label", "--platform")
_RUNS = ("--secret", "--ssh")


def words_for(case: Case, urls: Mapping[str, str]) -> tuple[list[str], list[str], list[str]]:
    """The case's words for `convert`, those for `run`, and those for neither."""
    sides: tuple[list[str], list[str], list[str]] = ([], [], [])
    words = [place_urls(word, urls_for(case, urls)) for word in case.args]
    while words:
        word = words.pop(0)
        flag = word.partition("=")[0]
        side = sides[0 if flag in _CONVERTS else 1 if flag in _RUNS else 2]
        side.append(word)
        if "=" not in word and words:
            side.append(words.pop(0))
    return sides


def build(case: Case, bases: Bases, folder: Path, workspace: Path, urls: Mapping[str, str]) -> tuple[Done, str]:
    """What came of it, and the build.yaml ("" where the file does not convert). `bases` and `folder` are in the workspace."""
    place = lay_out(case, folder, urls)
    file, archive = folder / "build.yaml", folder / "image.tar"
    converts, runs, _ = words_for(case, urls)
    done = _graphbuild(["convert", *_described(place, bases), *converts, "-o", str(file)], case, place, workspace)
    if done.returncode:
        return _done(done), ""
    text = file.read_text()
    (name,) = [name for name, value in yaml.safe_load(text)["outputs"].items() if "tags" not in value]
    file.write_text(re.sub(rf"oci: dist/{re.escape(name)}\b", "docker: image.tar", text))
    label = f"//{folder.relative_to(workspace)}:{name}"
    done = _graphbuild(["run", label, "--progress=plain", *runs], case, place, workspace)
    if done.returncode:
        return _done(done), text
    (image,) = read_archive(archive).values()
    return Done(0, "", verdict_of(case, image, bases)), text


def _described(place: Place, bases: Bases) -> list[str]:
    words = [str(place.dockerfile), "--context", str(place.context)]
    named = {name: path for name in BASES if (path := bases.layouts / name).exists()}
    for name, path in [*((name, f"image:{name}") for name in named), *place.contexts]:
        found = f"oci-layout://{bases.layouts / path.removeprefix('image:')}" if path.startswith("image:") else path
        words += ["--build-context", f"{name}={found}"]
    return words


def _graphbuild(words: list[str], case: Case, place: Place, workspace: Path) -> "subprocess.CompletedProcess[bytes]":
    environment = {"PATH": os.environ["PATH"], "HOME": str(workspace), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(_ROOT), **case.env}
    environment["GRAPHBUILD_STORE"] = str(workspace / "store")
    command = [sys.executable, "-m", "graphbuild", *words]
    return subprocess.run(command, cwd=place.cwd, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=300, check=False)


def _done(done: "subprocess.CompletedProcess[bytes]") -> Done:
    err = done.stderr.decode(errors="replace")
    return Done(done.returncode, err, Verdict(fails=True, said=err))
