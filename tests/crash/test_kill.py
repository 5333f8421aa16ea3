"""kill -9 at any moment of a build: the next one succeeds, with the same digest, and nothing is left of the one that died."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import time

import pytest
from crash_workspace import Site, ended, image_digest, processes, wait_until

MOMENTS = int(os.environ.get("GRAPHBUILD_TEST_KILLS", "24"))  # of all the turns together
TURNS = 4
SPEC = """
bases:
  base: {tar: base.tar}
steps:
  a: {from: base, env: {MARK: "@MARK@"}, run: "for i in $(seq 40); do head -c 50000 /dev/urandom > /dev/null; seq $i 2000 > /a$i; done"}
  b: {from: base, env: {MARK: "@MARK@"}, run: "mkdir /b; for i in $(seq 60); do echo $i > /b/$i; usleep 1000; done"}
  c: {from: base, env: {MARK: "@MARK@"}, run: "seq 100000 > /c; (sleep 1000 &) ; chmod 0 /c"}
  code: {copy: {files: ["src/**"], to: /app}}
  whole: {from: [a, b, c, code], run: "cat /a* /b/* > /all; rm -rf /b"}
outputs:
  image: {from: whole, image: {to: {oci: dist/image, docker: dist/image.tar, archive: dist/image.oci.tar}}}
  files: {from: whole, files: {paths: [/app, /all], to: {dir: dist/files}}}
"""


def prepared(site: Site) -> None:
    site.write({"build.yaml": SPEC.replace("@MARK@", site.mark)})
    site.write({f"src/{number}/file": str(number) * 5000 for number in range(80)})


def exported(site: Site) -> tuple[str, ...]:
    """What is in dist/, each a whole: the layout's digest, the other outputs' bytes."""
    dist = site.root / "dist"
    archives = [hashlib.sha256((dist / name).read_bytes()).hexdigest() for name in ("image.tar", "image.oci.tar")]
    files = [f"{path.relative_to(dist)}:{path.stat().st_size}" for path in sorted((dist / "files").rglob("*"))]
    return (image_digest(dist / "image"), *archives, *files)


def partly_exported(site: Site, whole: dict[str, bytes]) -> None:
    """Whatever is in dist/ under its own name is complete."""
    dist = site.root / "dist"
    for name, content in whole.items():
        path = dist / name
        assert not path.exists() or path.read_bytes() == content, name
    if (dist / "image").exists():
        image_digest(dist / "image")


def reset(site: Site, keep_store: bool) -> None:
    """Move outputs out of the way, and the store too where the build is to start from nothing."""
    shutil.rmtree(site.root / "dist", ignore_errors=True)
    if not keep_store and site.store.exists():
        found = site.call("cache", "gc", "--max-size", "0")
        assert found.code == 0, found


@pytest.mark.parametrize("turn", range(TURNS))
def test_kill_9_at_any_moment(site: Site, turn: int) -> None:
    prepared(site)
    began = time.monotonic()
    site.good(":image", ":files")
    whole_build = time.monotonic() - began
    expected = exported(site)
    whole = {name: (site.root / "dist" / name).read_bytes() for name in ("image.tar", "image.oci.tar")}
    chance = random.Random(turn)
    for moment in range(MOMENTS // TURNS):
        reset(site, keep_store=moment % 3 == 2)
        process = site.start("run", ":image", ":files", "--no-cache")
        time.sleep(chance.random() * whole_build * 1.1)
        killed(process)
        partly_exported(site, whole)
        again = site.good(":image", ":files")
        assert exported(site) == expected, again
        if moment % 5 == 4 or MOMENTS >= 100:
            site.clean()
    site.clean()


def killed(process: subprocess.Popen[bytes]) -> None:
    """It was killed, or was quicker."""
    process.kill()
    found = ended(process)
    assert found.code in (0, -signal.SIGKILL), found


def test_steps_of_a_killed_build_die_at_once(site: Site) -> None:
    site.write({"build.yaml": "bases:\n  base: {tar: base.tar}\nsteps:\n"})
    steps = "".join(
        f'  s{number}: {{from: base, env: {{MARK: "{site.mark}"}}, run: "trap \'\' INT TERM HUP; setsid sleep 1000 & sleep 1002{number}"}}\n'
        for number in range(3)
    )
    with (site.root / "build.yaml").open("a") as file:
        file.write(steps)
    process = site.start("run", "-j3", "//...")
    wait_until(lambda: sum("sleep" in line for line in processes(site.mark)) >= 6)
    killed(process)
    wait_until(lambda: processes(site.mark) == [], 2)


def test_kill_9_while_sandboxes_start(site: Site) -> None:
    """A sandbox takes a dozen processes and mounts to start: who dies in between must take all of it along nevertheless."""
    run = 'from: base, env: {{MARK: "{}"}}, run: "sleep {}"'
    steps = "".join(f"  s{number}: {{{run.format(site.mark, 1000 + number)}}}\n" for number in range(2))
    site.write({"build.yaml": f"bases:\n  base: {{tar: base.tar}}\nsteps:\n{steps}"})
    site.good(":base")
    began, chance = time.monotonic(), random.Random(3)
    process = site.start("run", "-j2", "//...")
    wait_until(lambda: any("sleep 100" in line for line in processes(site.mark)))
    whole = time.monotonic() - began
    killed(process)
    for _ in range(10):
        process = site.start("run", "-j2", "//...")
        time.sleep(whole * (0.6 + 0.45 * chance.random()))
        killed(process)
        wait_until(lambda: processes(site.mark) == [], 2)
