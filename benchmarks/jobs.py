"""The jobs: each writes the same work for every builder, and says how it is built and what is a good result.

A goal is either "so many times faster than a peer" or "at most so many times a limit": what the same machine needs, in the
same round, for the part that no builder can avoid.
"""

import sys
import time
from pathlib import Path

import inputs
from builders import Builder
from measure import Command, Run, run
from race import Goal, Job


def _cold_then_null(builder: Builder, folder: Path) -> dict[str, Run]:
    return {"cold": run(builder.build(folder, True), folder), "null": run(builder.build(folder, False), folder)}


def _write_one(folder: Path) -> None:
    inputs.base_tar(folder / "base.tar")
    (folder / "hello.txt").write_text("hello\n")
    (folder / "build.yaml").write_text(
        "bases:\n  base: {tar: base.tar}\n"
        "steps:\n  made: {from: base, run: echo made > /made}\n  hello: {from: made, copy: {files: hello.txt, to: /}}\n"
        "outputs:\n  it: {from: hello, image: {}}\n",
    )
    (folder / "Dockerfile").write_text("FROM scratch\nADD base.tar /\nRUN echo made > /made\nCOPY hello.txt /\n")


def _null(builder: Builder, folder: Path) -> dict[str, Run]:
    run(builder.build(folder, False), folder)
    run(builder.build(folder, False), folder)
    return {"null": run(builder.build(folder, False), folder)}


def _python(folder: Path) -> dict[str, Run]:
    return {"null": run(Command((sys.executable, "-I", "-c", "pass")), folder)}


def _write_chain(folder: Path) -> None:
    inputs.base_tar(folder / "base.tar")
    steps = [f"  s{n}: {{from: {f's{n - 1}' if n else 'base'}, run: echo {n} > /f{n}}}\n" for n in range(20)]
    (folder / "build.yaml").write_text(
        f"bases:\n  base: {{tar: base.tar}}\nsteps:\n{''.join(steps)}outputs:\n  it: {{from: s19, image: {{}}}}\n"
    )
    lines = [f"RUN echo {n} > /f{n}\n" for n in range(20)]
    (folder / "Dockerfile").write_text(f"FROM scratch\nADD base.tar /\n{''.join(lines)}")


def _write_wide(folder: Path) -> None:
    inputs.base_tar(folder / "base.tar")
    names = [f"s{n}" for n in range(10)]
    steps = [f"  {name}: {{from: base, run: sleep 1; echo {name} > /{name}}}\n" for name in names]
    (folder / "build.yaml").write_text(
        f"bases:\n  base: {{tar: base.tar}}\nsteps:\n{''.join(steps)}outputs:\n  it: {{from: [{', '.join(names)}], image: {{}}}}\n",
    )
    stages = [f"FROM base AS {name}\nRUN sleep 1; echo {name} > /{name}\n" for name in names]
    copies = [f"COPY --from={name} /{name} /\n" for name in names]
    (folder / "Dockerfile").write_text(f"FROM scratch AS base\nADD base.tar /\n{''.join(stages)}FROM base\n{''.join(copies)}")


def _wide(builder: Builder, folder: Path) -> dict[str, Run]:
    return {"cold": run(builder.build(folder, True), folder)}


def _one_second(folder: Path) -> dict[str, Run]:
    return {"cold": run(Command(("sleep", "1")), folder)}


def _write_many(folder: Path) -> None:
    inputs.base_tar(folder / "base.tar")
    inputs.many_files(folder / "files")
    (folder / "build.yaml").write_text(
        "bases:\n  base: {tar: base.tar}\nsteps:\n  files: {copy: {files: files, to: /}}\n"
        "outputs:\n  it: {from: [base, files], image: {compression: none}}\n",
    )
    (folder / "Dockerfile").write_text("FROM scratch\nADD base.tar /\nCOPY files /files\n")


def _many(builder: Builder, folder: Path) -> dict[str, Run]:
    phases = _cold_then_null(builder, folder)
    changed = folder / "files" / "package-7" / "part-7" / "file-7.js"
    changed.write_text(f"changed {time.monotonic_ns()}\n")  # new in every round: engines remember across folders
    return {**phases, "one changed": run(builder.build(folder, False), folder)}


def _tar_and_hash(folder: Path) -> dict[str, Run]:
    return {"cold": run(Command(("sh", "-c", "tar c files | sha256sum")), folder)}


def _write_large(folder: Path) -> None:
    inputs.base_tar(folder / "base.tar")
    inputs.large_file(folder / "large")
    (folder / "build.yaml").write_text(
        "bases:\n  base: {tar: base.tar}\nsteps:\n  large: {copy: {files: large, to: /}}\n"
        "outputs:\n  it: {from: [base, large], image: {to: {docker: image.tar}}}\n",
    )
    (folder / "Dockerfile").write_text("FROM scratch\nADD base.tar /\nCOPY large /large\n")
    (folder / ".dockerignore").write_text("image.tar\n")


def _large(builder: Builder, folder: Path) -> dict[str, Run]:
    """Building and saving as one phase; what was written is dropped, for the disk's sake."""
    built = run(builder.build(folder, True), folder)
    saved = run(builder.save(folder), folder) if builder.save else Run(0, 0)
    (folder / "image.tar").unlink()
    return {"build + archive": Run(built.seconds + saved.seconds, max(built.peak, saved.peak))}


_READ_HASH_WRITE = """
import hashlib, sys
digest, buffer = hashlib.sha256(), bytearray(1 << 20)
with open("large", "rb", buffering=0) as source, open("one", "wb", buffering=0) as one, open("two", "wb", buffering=0) as two:
    while size := source.readinto(buffer):
        view = memoryview(buffer)[:size]
        digest.update(view)
        one.write(view)
        two.write(view)
"""


def _read_hash_write(folder: Path) -> dict[str, Run]:
    """One read, one sha256, two writes: the layer in the store and the archive."""
    done = run(Command((sys.executable, "-I", "-c", _READ_HASH_WRITE)), folder)
    for name in ("one", "two"):
        (folder / name).unlink()
    return {"build + archive": done}


_TAR = "tar to sha256sum"
_SLEEP = "sleep 1"
_PYTHON = "python -I -c pass"
_DISK = "read + sha256 + 2 writes"

JOBS = (
    Job(
        "null",
        "null build, one target",
        15,
        _write_one,
        _null,
        (Goal("null", 5, "", True), Goal("null", 1.6, _PYTHON, False)),
        ((_PYTHON, _python),),
    ),
    Job("a", "a: 20 run steps in a row", 5, _write_chain, _cold_then_null, (Goal("cold", 4, "", True), Goal("null", 5, "", True))),
    Job(
        "b",
        "b: 10 steps of 1 s, -j10",
        3,
        _write_wide,
        _wide,
        (Goal("cold", 2, "", True), Goal("cold", 1.15, _SLEEP, False)),
        ((_SLEEP, _one_second),),
    ),
    Job(
        "c",
        "c: copy of 50,000 files, 190 MB",
        3,
        _write_many,
        _many,
        (Goal("cold", 10, "", True), Goal("null", 8, "", True), Goal("one changed", 8, "", True), Goal("cold", 2.5, _TAR, False)),
        ((_TAR, _tar_and_hash),),
    ),
    Job(
        "e",
        "e: copy of 1 GiB",
        3,
        _write_large,
        _large,
        (Goal("build + archive", 3.5, "", True), Goal("build + archive", 1.6, _DISK, False)),
        ((_DISK, _read_hash_write),),
    ),
)
