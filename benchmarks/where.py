"""Which of 300 images on three bases hold a package, and which a file: `graphbuild images` beside opening every image.

`python benchmarks/where.py [ROUNDS]`. A base has 12,000 files and 400 Debian packages; an image adds a file. Prints a table in Markdown.
"""

import io
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

IMAGES, BASES, FILES, PACKAGES = 300, 3, 12_000, 400
_GRAPHBUILD = str(Path(sys.executable).with_name("graphbuild"))


def base_tar(path: Path, number: int) -> None:
    """A root file system such as debootstrap's, as far as a search sees it."""
    status = "".join(
        f"Package: package-{index}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {index}.{number}-1\nDescription: one of many\n\n"
        for index in range(PACKAGES)
    )
    status += f"Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nVersion: 3.0.{13 + number}-1~deb12u1\n\n"
    with tarfile.open(path, "w") as tar:
        for name, content in (
            ("var/lib/dpkg/status", status),
            *((f"usr/share/doc/package-{i % PACKAGES}/file-{i}", f"{i}") for i in range(FILES)),
        ):
            entry = tarfile.TarInfo(name)
            data = content.encode()
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))


def write(root: Path) -> None:
    root.mkdir()
    (root / "graphbuild.yaml").touch()
    for number in range(BASES):
        base_tar(root / f"base{number}.tar", number)
    (root / "build.yaml").write_text("bases:\n" + "".join(f"  base{number}: {{tar: base{number}.tar}}\n" for number in range(BASES)))
    for number in range(IMAGES):
        folder = root / f"svc/s{number:03}"
        folder.mkdir(parents=True)
        (folder / "app").write_text(f"application {number}\n")
        (folder / "build.yaml").write_text(
            f"steps:\n  code: {{copy: {{files: app, to: /srv}}}}\n"
            f"outputs:\n  it: {{from: [//:base{number % BASES}, code], image: {{tags: [svc-{number}]}}}}\n"
        )


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    scratch = Path(tempfile.mkdtemp(prefix="graphbuild-where-"))
    environment = {**os.environ, "GRAPHBUILD_STORE": str(scratch / "store")}
    searches = {
        "all": [],
        "one package": ["--containing", "libssl3<3.0.15"],
        "a file": ["--with-file", "/srv/app"],
        "a glob": ["--with-file", "/usr/share/**/file-777"],
    }
    try:
        root = scratch / "workspace"
        write(root)
        subprocess.run([_GRAPHBUILD, "run", "//...", "--progress=quiet"], cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
        print(f"{IMAGES} images on {BASES} bases; medians of {rounds}\n\n| what | seconds | rows |\n|---|---|---|")
        for what, words in searches.items():
            times, rows = [], 0
            for _ in range(rounds):
                begun = time.monotonic()
                done = subprocess.run(
                    [_GRAPHBUILD, "images", *words],
                    cwd=root,
                    env=environment,
                    check=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
                times.append(time.monotonic() - begun)
                rows = done.stdout.count(b"\n") - 1
            print(f"| {what} | {statistics.median(times):.2f} | {rows} |")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
