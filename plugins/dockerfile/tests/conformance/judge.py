"""Lets a Docker engine build cases, and says what came out.

Cases are built in folders of their own and without the engine's cache, so none sees another. What an engine refuses is a verdict too.
"""

import contextlib
import os
import re
import shutil
import tempfile
import unittest
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from bases import Bases, below
from case import Case, Place, lay_out, place_urls, urls_for
from engines import Engine, difference, read_archive

_BATCH = 40  # cases whose images are saved together
_WORKERS = 2


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a build came to: the difference to the case's base and the whole config, or what was said when it failed."""

    fails: bool = False
    said: str = ""
    tree: dict[str, str] = {}
    config: dict[str, Any] = {}


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk that goes away. Names are short: they are part of what engines print."""
    folder = Path(tempfile.mkdtemp(prefix="conformance-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        _writable(folder)
        shutil.rmtree(folder)


def _writable(folder: Path) -> None:
    """Cases have folders without rights."""
    for root, folders, _ in os.walk(folder):
        for name in folders:
            with contextlib.suppress(OSError):
                Path(root, name).chmod(0o700, follow_symlinks=True) if not Path(root, name).is_symlink() else None


def judge(engine: Engine, cases: Iterable[Case], bases: Bases, urls: Mapping[str, str] = {}) -> Iterator[tuple[Case, Verdict]]:
    """Every case's verdict, in batches."""
    engine.run("load", "-i", str(bases.archive))
    wanted = list(cases)
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        with scratch() as folder:
            with ThreadPoolExecutor(_WORKERS) as pool:
                said = dict(
                    zip(batch_names(batch), pool.map(lambda case: build(engine, case, folder / case.name, urls), batch), strict=True)
                )
            yield from _taken_out(engine, batch, said, bases, folder / "saved.tar")


def batch_names(batch: Iterable[Case]) -> list[str]:
    return [case.name for case in batch]


def build(engine: Engine, case: Case, folder: Path, urls: Mapping[str, str]) -> str:
    """Build the case as the image case/NAME; what the engine said when it failed, or ""."""
    place = lay_out(case, folder, urls)
    old = _old(engine)
    command = ["build"] if old else ["buildx", "build", "--provenance=false"]
    words = [*command, "--network=host", "--no-cache", "--progress=plain", "-t", f"case/{case.name}", "-f", str(place.dockerfile)]
    words += [word for name, path in place.contexts for word in ("--build-context", f"{name}={_context(path)}")]
    words += [place_urls(word, urls_for(case, urls)) for word in case.args]
    done = _run_in(engine, place, [*words, str(place.context)], case.env)
    return "" if done is None else done


def _context(path: str) -> str:
    return f"docker-image://{path.removeprefix('image:')}" if path.startswith("image:") else path


def _old(engine: Engine) -> bool:
    return int(engine.version.split(".")[0]) < 23


def _run_in(engine: Engine, place: Place, words: list[str], env: Mapping[str, str]) -> str | None:
    moved = msgspec.structs.replace(engine, client=("env", "-C", str(place.cwd), *engine.client))
    done = moved.run(*words, check=False, env={"DOCKER_BUILDKIT": "1", **env})
    if done.returncode == 0:
        return None
    return said(done.stderr.decode(errors="replace")) or f"exit code {done.returncode}"


def said(text: str) -> str:
    """The last error of a client's output, without what differs each time."""
    errors = [line for line in text.strip().splitlines() if re.match(r"(?i)(error|failed|unknown)", line)] or text.strip().splitlines()[-1:]
    line = errors[-1] if errors else ""
    line = re.sub(r"/var/tmp/conformance-[^/ ]+/[^/ ]+/", "…/", line)
    line = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "REF", line)
    line = re.sub(r"\b[a-z0-9]{25}\b", "REF", line)
    line = re.sub(r"REF(::REF)+", "REF", line)
    line = re.sub(r"[^ :]*/data/buildkit/containerd-overlayfs/cachemounts/buildkit[0-9]+", "", line)
    line = re.sub(r"[^ :]*/data/overlay2/[^/ ]+/(merged|diff)", "", line)
    return re.sub(r"127\.0\.0\.1:[0-9]+", "127.0.0.1:PORT", line)


def _taken_out(engine: Engine, batch: list[Case], said: Mapping[str, str], bases: Bases, archive: Path) -> Iterator[tuple[Case, Verdict]]:
    built = [f"case/{case.name}:latest" for case in batch if not said[case.name]]
    images = {}
    if built:
        engine.run("save", "-o", str(archive), *built)
        images = read_archive(archive)
        engine.run("rmi", "--force", *built)
    for case in batch:
        if said[case.name]:
            yield case, Verdict(fails=True, said=said[case.name])
        else:
            yield case, verdict_of(case, images[f"case/{case.name}:latest"], bases)


def verdict_of(case: Case, image: Any, bases: Bases) -> Verdict:
    tree = difference(image, below(bases, case.base), case.varies, case.unseen)
    return Verdict(tree=tree, config=dict(sorted(image.config.items())))


def need(bases: Bases, case: Case) -> None:
    """SkipTest where the case stands on an image that is not made here."""
    text = case.dockerfile if isinstance(case.dockerfile, str) else case.dockerfile.decode(errors="replace")
    if "debian" not in bases.images and (case.base == "debian" or re.search(r"(?im)^\s*FROM\s+debian\b", text)):
        raise unittest.SkipTest("the base debian is not made: run `python bases.py` in this folder once")
