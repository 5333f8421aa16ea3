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

from bars import Row, below, table, verdict

IMAGES, BASES, FILES, PACKAGES = 300, 3, 12_000, 400
SECONDS = 2  # the bar, for each search
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
    (root / "build.yaml").write_text(
        "visibility: public\nbases:\n" + "".join(f"  base{number}: {{tar: base{number}.tar}}\n" for number in range(BASES))
    )
    for number in range(IMAGES):
        folder = root / f"svc/s{number:03}"
        folder.mkdir(parents=True)
        (folder / "app").write_text(f"application {number}\n")
        (folder / "build.yaml").write_text(
            f"steps:\n  code: {{copy: {{files: app, to: /srv}}}}\n"
            f"outputs:\n  it: {{from: [//:base{number % BASES}, code], image: {{tags: [svc-{number}]}}}}\n"
        )


def main() -> int:
    """0 when every bar is held, 1 when one is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    scratch = Path(tempfile.mkdtemp(prefix="graphbuild-where-"))
    environment = {**os.environ, "GRAPHBUILD_STORE": str(scratch / "store")}
    searches = {  # what is asked for, and how many images have it
        "all": ([], IMAGES),
        "one package": (["--containing", "libssl3<3.0.15"], IMAGES // BASES * 2),
        "a file": (["--with-file", "/srv/app"], IMAGES),
        "a glob": (["--with-file", "/usr/share/**/file-777"], IMAGES),
    }
    found: list[Row] = []
    try:
        root = scratch / "workspace"
        write(root)
        subprocess.run([_GRAPHBUILD, "run", "//...", "--progress=quiet"], cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
        for what, (words, images) in searches.items():
            times = []
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
                assert done.stdout.count(b"\n") - 1 == images, done.stdout
            found.append(below(f"{what}: {images} of {IMAGES} images", statistics.median(times), SECONDS, "s"))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{IMAGES} images on {BASES} bases; medians of {rounds}\n\n{table(found)}")
    return verdict(found)


if __name__ == "__main__":
    sys.exit(main())
