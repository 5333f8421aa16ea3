"""Ctrl-C, SIGTERM, SIGKILL: an ordinary user's build ends at once too, and no process, mount or half-written file stays."""

import os
import signal
import time

import pytest
from crash_workspace import Site, ended, image_digest, processes, wait_until


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 8), (signal.SIGTERM, 8), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_interrupted_build_leaves_nothing(site: Site, number: int, code: int):
    process = site.start("run")
    wait_until(lambda: any("sleep 1000" in line for line in processes(site.mark)))
    began = time.monotonic()
    os.killpg(process.pid, number)
    found = ended(process)
    assert time.monotonic() - began < 2, found
    assert found.code == code, found
    wait_until(lambda: processes(site.mark) == [], 2)
    assert not (site.root / "dist").exists()
    spec = site.root / "build.yaml"
    spec.write_text(spec.read_text().replace("while true; do sleep 1; done", "true"))
    assert "//:deaf run" in site.good("--progress=plain").err
    image_digest(site.root / "dist/image")
    site.clean()
