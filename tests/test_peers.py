"""The engines and the registry that other tests lean on really work, and leave nothing behind."""

import urllib.request
from pathlib import Path

import pytest
from peers import Engine, docker_engine, modern_docker_engine, peer_cache, registry


def _builds(engine: Engine, tmp_path: Path) -> None:
    busybox = Path("/bin/busybox")
    if not busybox.exists():
        pytest.skip("busybox-static is not installed")
    (tmp_path / "busybox").write_bytes(busybox.read_bytes())
    (tmp_path / "Dockerfile").write_text('FROM scratch\nADD --chmod=755 busybox /busybox\nRUN ["/busybox", "touch", "/made"]\n')
    engine.run("build", "--network=host", "-t", "made:1", str(tmp_path))
    assert engine.run("run", "--rm", "--network=none", "made:1", "/busybox", "ls", "/made").stdout == b"/made\n"


def _left(engine: Engine) -> list[str]:
    """Mounts and processes that still name the engine's folder."""
    folder = dict(engine.environment)["DOCKER_CONFIG"].removesuffix("/client")
    mounts = [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if folder in line]
    commands = [path for path in Path("/proc").glob("[0-9]*/cmdline") if folder in _read(path)]
    return [*mounts, *map(str, commands), *([folder] if Path(folder).exists() else [])]


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""  # it ended meanwhile


def test_the_machines_own_engine_builds_and_leaves_nothing_behind(tmp_path: Path):
    with docker_engine() as engine:
        _builds(engine, tmp_path)
    assert _left(engine) == []


def test_the_modern_engine_builds_and_leaves_nothing_behind(tmp_path: Path):
    if not (peer_cache() / "debian-unstable-docker").exists():
        pytest.skip("the root of the modern engine is not made: run `python tests/peers.py` once")
    with modern_docker_engine(peer_cache()) as engine:
        _builds(engine, tmp_path)
        assert int(engine.version.split(".")[0]) >= 28
    assert _left(engine) == []


def test_the_registry_answers_on_loopback():
    with registry() as peer, urllib.request.urlopen(f"http://{peer.address}/v2/") as answer:
        assert answer.status == 200
