"""The Debian example as an ordinary user: dpkg and its scripts run in the sandbox, and the image is root's, byte for byte."""

import urllib.request
from pathlib import Path

import pytest
from workspaces import Workspace

EXAMPLE = Path(__file__).parents[2] / "examples/hello"
MIRROR = "http://deb.debian.org/debian/dists/bookworm/Release"


@pytest.mark.network
def test_the_debian_example_is_roots(full: Workspace, root: Workspace):
    pytest.importorskip("graphbuild_debian", reason="the plugin graphbuild-debian is not installed")
    try:
        urllib.request.urlopen(MIRROR, timeout=20).close()
    except OSError as error:
        pytest.skip(f"{MIRROR} cannot be reached: {error}")
    root.write({"build.yaml": (EXAMPLE / "build.yaml").read_text()})
    root.run()
    full.write({name: (root.root / name).read_text() for name in ("build.yaml", "build.lock")})
    full.run("--locked")
    image = "dist/hello.tar"
    assert (full.root / image).read_bytes() == (root.root / image).read_bytes()
    assert full.ok("cache", "verify").out == "the store is intact\n"
