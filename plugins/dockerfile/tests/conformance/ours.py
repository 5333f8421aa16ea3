"""Lets graphbuild build cases as a user would, and says what came out, in the words of judge.py."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
from bases import Bases, below
from case import BASES, Case, lay_out, place_urls, urls_for
from engines import read_archive
from judge import Verdict, verdict_of
from record import Recorded, stale

_ROOT = Path(__file__).parents[4]


class Done(msgspec.Struct, frozen=True):
    """How graphbuild ended: what it printed, and the verdict where it made an image."""

    code: int
    err: str
    verdict: Verdict


def build(case: Case, bases: Bases, folder: Path, store: Path, urls: Mapping[str, str]) -> Done:
    place = lay_out(case, folder, urls)
    archive = folder / "image.tar"
    words = [sys.executable, "-m", "graphbuild", "dockerfile", str(place.context), "-f", str(place.dockerfile), "-o", f"docker:{archive}"]
    words += ["--progress=plain"]
    named = {name: path for name in BASES if (path := bases.layouts / name).exists()}
    words += [word for name, path in named.items() for word in ("--build-context", f"{name}=oci-layout://{path}")]
    words += [word for name, path in place.contexts for word in ("--build-context", f"{name}={_context(path, bases)}")]
    words += [place_urls(word, urls_for(case, urls)) for word in case.args]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(_ROOT), **case.env}
    environment["GRAPHBUILD_STORE"] = str(store)
    done = subprocess.run(words, cwd=place.cwd, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=300, check=False)
    err = done.stderr.decode(errors="replace")
    if done.returncode:
        return Done(done.returncode, err, Verdict(fails=True, said=err))
    (image,) = read_archive(archive).values()
    return Done(0, err, verdict_of(case, image, bases))


def _context(path: str, bases: Bases) -> str:
    return f"oci-layout://{bases.layouts / path.removeprefix('image:')}" if path.startswith("image:") else path


def expectation(case: Case, recorded: Mapping[str, Recorded], bases: Bases) -> Verdict:
    """What must come out: what the engine was recorded to make, or what is written by hand."""
    if case.fails:
        return Verdict(fails=True)
    if case.skip_engine or case.differs:
        config = {**below(bases, case.base).config, **case.config}
        return Verdict(tree=dict(case.tree), config={name: value for name, value in config.items() if value})
    if stale(case, dict(recorded)):
        raise AssertionError(f"{case.name} is not recorded as it is now: run record.py {case.name}")
    return recorded[case.name].verdict


def complaints(case: Case, done: Done, expected: Verdict) -> list[str]:
    """How what graphbuild did is not what it should have done, a line each."""
    if "Traceback" in done.err:
        return ["a traceback", done.err]
    if expected.fails:
        return _about_failure(case, done)
    if done.code:
        return [f"it fails, exit code {done.code}", done.err]
    return _differences(expected.tree, done.verdict.tree) + _differences(_flat(expected.config), _flat(done.verdict.config))


def _about_failure(case: Case, done: Done) -> list[str]:
    if done.code == 0:
        return ["it builds", *_differences({}, done.verdict.tree)]
    found = [] if done.code in {1, 2} else [f"exit code {done.code}"]
    if case.fails not in done.err:
        found.append(f"it does not say {case.fails!r}")
    name = re.escape(Path(case.file).name)
    if case.line >= 0 and not re.search(rf"{name}:{case.line or '[0-9]+'}\b", done.err):
        found.append(f"it does not point at line {case.line or 'N'}")
    return [*found, done.err] if found else []


def _differences(expected: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    lines = []
    for name in sorted({*expected, *found}):
        if expected.get(name) != found.get(name):
            lines += [f"{sign} {name!r} {side[name]}" for sign, side in (("-", expected), ("+", found)) if name in side]
    return lines


def _flat(config: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in config.items() if value}
