"""The seed session: a Debian base, a package installed by hand, a commit, and the new image run."""

import io
import os
import shutil
import subprocess
import tarfile
import urllib.request
from pathlib import Path

import pytest
from container_engine import Engine, diff_id, document

MIRROR = "http://deb.debian.org/debian"
_CONFIG = '{"Cmd":["bash"],"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}'


@pytest.fixture(scope="session")
def debian_tar(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Debian's root file system, made by mmdebstrap."""
    if shutil.which("mmdebstrap") is None or os.geteuid():
        pytest.skip("needs mmdebstrap, and root")
    try:
        urllib.request.urlopen(f"{MIRROR}/dists/bookworm/Release", timeout=20).close()
    except OSError as error:
        pytest.skip(f"{MIRROR} cannot be reached: {error}")
    made = tmp_path_factory.mktemp("debian") / "root.tar"
    option = '--aptopt=Acquire::Check-Valid-Until "false"'
    subprocess.run(["mmdebstrap", "--variant=apt", option, "bookworm", str(made), MIRROR], check=True, capture_output=True)
    stream = io.BytesIO()  # device nodes are what an ordinary user cannot make
    with tarfile.open(made) as read, tarfile.open(fileobj=stream, mode="w") as tar:
        for member in read:
            if not member.isdev():
                tar.addfile(member, read.extractfile(member) if member.isreg() else None)
    made.unlink()
    return stream.getvalue()


@pytest.mark.network
@pytest.mark.parametrize("kind", ["root", "full"])
def test_the_seed_session(kind: str, make_engine, debian_tar: bytes):
    engine: Engine = make_engine(kind)
    base = engine.take("debian", document(diff_id(debian_tar), config=_CONFIG), debian_tar)
    proxies = {name: os.environ[name] for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY") if name in os.environ}
    env = [word for name, value in proxies.items() for word in ("-e", f"{name}={value}")]
    id_ = engine.ok("create", "--name", "work", *env, "debian", "sleep", "100000").strip()
    engine.ok("start", "work")
    assert engine("exec", "work", "sh", "-c", "command -v ifconfig").code == 127
    engine.ok("exec", "work", "sh", "-c", "rm /usr/share/doc/base-files/README; apt-get update && apt-get install -y net-tools")
    assert engine("exec", "work", "test", "-e", "/usr/share/doc/base-files/README").code == 1
    image = engine.ok("commit", "-m", "net-tools", "-a", "a tester", "work", "debian:tools").strip()
    assert image != base
    assert "/usr/sbin/ifconfig" in engine.ok(
        "run", "--rm", "debian:tools", "sh", "-c", "command -v ifconfig || ls /usr/sbin/ifconfig /sbin/ifconfig"
    )
    assert engine.ok("run", "--rm", "debian", "ls", "/usr/share/doc/base-files/README").strip().endswith("README")
    assert engine.inspect(id_, ".State.Status") == "running"
    assert len(Path(engine.store / "containers" / id_).name) == 64
    engine.ok("rm", "-f", "work")
    assert engine.left() == []
