"""Whole images through the command line: like mmdebstrap's, working, and the same each time."""

import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest
from compare import differences, entries
from mirror import MIRROR, need_mirror

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]
SECURITY = "http://deb.debian.org/debian-security"


def build(workspace: Path, suite: str, packages: str, variant: str, check: str = "test -e /etc/passwd") -> tuple[Path, str]:
    """The base's tree as a tar, and the digest of an image of it, from a store of its own. `check` runs on it as a step."""
    need_mirror()
    workspace.mkdir()
    (workspace / "graphbuild.yaml").touch()
    (workspace / "build.yaml").write_text(
        f"""
bases:
  base:
    debian: {{suite: {suite}, packages: [{packages}], variant: {variant}}}
steps:
  check:
    from: base
    run: {check}
outputs:
  tree:
    from: base
    files: {{to: {{tar: out/tree.tar}}}}
  image:
    from: check
    image: {{to: {{oci: out/image}}}}
"""
    )
    program = Path(sys.executable).with_name("graphbuild")
    if not program.exists():
        pytest.skip("the command graphbuild is not installed beside this Python")
    command = [str(program), "run", "--store", str(workspace / "store"), "//..."]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)
    if done.returncode == 36:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr[-4000:]
    digest = next(word for line in done.stdout.splitlines() for word in line.split() if word.startswith("sha256:"))
    return workspace / "out/tree.tar", digest


@pytest.mark.skipif(which("mmdebstrap") is None, reason="mmdebstrap, the oracle, is missing")
@pytest.mark.parametrize(
    ("suite", "packages"),
    [
        ("bookworm", ""),
        ("bookworm", "python3"),
        ("bookworm", "python3,python3-venv,ca-certificates"),
        ("bookworm", "nginx-light"),
        ("trixie", "python3,python3-venv,ca-certificates"),
    ],
)
def test_the_tree_is_that_of_mmdebstrap(tmp_path: Path, suite: str, packages: str):
    ours, _digest = build(tmp_path / "ws", suite, packages, "essential")
    theirs = tmp_path / "theirs.tar"
    sources = (f"{MIRROR} {suite}", f"{MIRROR} {suite}-updates", f"{SECURITY} {suite}-security")
    # Without the hook, bookworm's init-system-helpers brings in usrmerge and with it all of perl; see docs/debian.md.
    hook = ["--hook-dir=/usr/share/mmdebstrap/hooks/maybe-merged-usr"] if suite == "bookworm" else []
    include = [f"--include={packages}"] if packages else []
    subprocess.run(
        ["mmdebstrap", "--variant=essential", *hook, *include, suite, str(theirs), *(f"deb {source} main" for source in sources)],
        env={"SOURCE_DATE_EPOCH": "0", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
        check=True,
        capture_output=True,
    )
    assert list(differences(entries(str(ours)), entries(str(theirs)))) == []


@pytest.mark.parametrize("suite", ["bookworm", "trixie"])
def test_a_minimal_python_works_and_is_the_same_twice(tmp_path: Path, suite: str):
    packages = "python3, python3-venv, ca-certificates"
    check = "python3 -c 'import ssl, venv; assert ssl.create_default_context().cert_store_stats()[\"x509_ca\"] > 100'"
    first, digest = build(tmp_path / "one", suite, packages, "minimal", check)
    _second, again = build(tmp_path / "two", suite, packages, "minimal", check)
    assert digest == again
    tree = entries(str(first))
    assert "usr/bin/python3" in tree
    assert tree["usr/bin/sh"].content == "dash"
    assert not {"usr/bin/perl", "usr/bin/bash", "usr/bin/apt", "usr/sbin/policy-rc.d", "var/log/dpkg.log"} & tree.keys()
    dangling = [
        path
        for path, entry in tree.items()
        if entry.kind == "symlink" and path.startswith("etc/alternatives/") and entry.content[1:] not in tree
    ]
    assert [path for path in dangling if not path.endswith(".gz")] == []
