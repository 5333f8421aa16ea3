"""Real peers for tests and benchmarks: Docker engines of two generations and a registry, each in a folder of its own.

A daemon runs in mount and pid namespaces of its own: when it ends, by whatever way, its mounts and every process below it
are gone with them. Nothing listens but on a unix socket in that folder, or on loopback. What is missing here raises
`unittest.SkipTest` with its name, which pytest reports as a skip. Knows nothing of graphbuild.
"""

import contextlib
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

_DAEMON = ("--iptables=false", "--ip-forward=false", "--bridge=none", "--log-level=error")
_MIRROR = "http://deb.debian.org/debian"
_MODERN = ("docker.io", "docker-buildx", "docker-cli", "mount")
_START_SECONDS = 60


class Engine(msgspec.Struct, frozen=True):
    """A running Docker engine. `version` is the server's; `client` the command that talks to it."""

    version: str
    client: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]

    def run(
        self, *args: str, check: bool = True, env: Mapping[str, str] | None = None, data: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """`docker ARGS`, output captured. With `check`, AssertionError carries what it printed."""
        environment = {**os.environ, **dict(self.environment), **(env or {})}
        done = subprocess.run([*self.client, *args], capture_output=True, check=False, env=environment, input=data)
        if check and done.returncode:
            raise AssertionError(
                f"docker {shlex.join(args)}: exit {done.returncode}\n{(done.stdout + done.stderr).decode(errors='replace')}"
            )
        return done


class Registry(msgspec.Struct, frozen=True):
    """A running registry (Docker Distribution). `address` is 127.0.0.1:PORT."""

    address: str
    version: str
    folder: Path


def _need(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed")


def _need_root() -> None:
    if os.geteuid():
        raise unittest.SkipTest("a Docker engine needs root")


@contextlib.contextmanager
def _scratch(name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"graphbuild-{name}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _process(command: list[str], log: Path, stop: Callable[[int], None]) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose output goes to `log`; at the end `stop` gets its pid, and 20 seconds later it is killed."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield process
    finally:
        stop(process.pid)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _terminate(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


def _terminate_child(pid: int) -> None:
    """End what `unshare --fork` started: unshare itself ignores SIGTERM and ends with its child."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), signal.SIGTERM)


def _wait(process: subprocess.Popen[bytes], log: Path, probe: Callable[[], str]) -> str:
    """What `probe` returns once it is not empty; SkipTest with the end of the log when the process ends before."""
    limit = time.monotonic() + _START_SECONDS
    while not (answer := probe()):
        if process.poll() is not None or time.monotonic() > limit:
            raise unittest.SkipTest(f"{process.args!r} did not start: {log.read_text(errors='replace')[-600:]}")
        time.sleep(0.05)
    return answer


@contextlib.contextmanager
def _engine(script: str, client: tuple[str, ...], folder: Path, environment: dict[str, str]) -> Iterator[Engine]:
    """The engine that the shell script starts in new namespaces, listening on `folder`/docker.sock."""
    log = folder / "dockerd.log"
    command = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", script]
    environment = {"DOCKER_HOST": f"unix://{folder}/docker.sock", "DOCKER_CONFIG": f"{folder}/client", **environment}
    (folder / "client").mkdir(exist_ok=True)
    engine = Engine("", client, tuple(sorted(environment.items())))
    with _process(command, log, _terminate_child) as process:
        version = _wait(process, log, lambda: engine.run("version", "-f", "{{.Server.Version}}", check=False).stdout.decode().strip())
        yield msgspec.structs.replace(engine, version=version)


@contextlib.contextmanager
def docker_engine() -> Iterator[Engine]:
    """This machine's own Docker (Debian's docker.io), as a private engine. Builds take `--network=host`."""
    _need_root()
    _need("dockerd", "containerd", "unshare")
    client = next((path for path in ("/usr/bin/docker", shutil.which("docker")) if path and Path(path).exists()), None)
    if client is None:
        raise unittest.SkipTest("docker is not installed")
    with _scratch("docker") as folder:
        script = f"exec dockerd {shlex.join(_DAEMON)} {_places(str(folder))}"
        with _engine(script, (client,), folder, {"DOCKER_BUILDKIT": "1"}) as engine:
            yield engine


def _places(folder: str) -> str:
    places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    options = [f"--{option}={folder}/{name}" for option, name in places.items()]
    return shlex.join([*options, f"--host=unix://{folder}/docker.sock"])


def peer_cache() -> Path:
    """Where the root of the modern engine is kept between runs: 460 MB, may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graphbuild-peers"


def modern_root(cache_dir: Path) -> Path:
    """A Debian unstable root with Docker and BuildKit as packaged there, made once and kept in `cache_dir`.

    It is made aside and renamed, so an interrupted try leaves nothing that looks finished. Debian's signature is checked;
    the Release file's expiry is not, for a mirror may be frozen and this root serves tests only.
    """
    root = cache_dir / "debian-unstable-docker"
    if root.exists():
        return root
    _need("mmdebstrap")
    cache_dir.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=cache_dir))
    option = '--aptopt=Acquire::Check-Valid-Until "false"'
    made = subprocess.run(
        ["mmdebstrap", "--variant=apt", option, f"--include={','.join(_MODERN)}", "unstable", f"{draft}/root", _MIRROR],
        capture_output=True,
        check=False,
    )
    try:
        if made.returncode:
            raise unittest.SkipTest(f"mmdebstrap could not make Debian unstable: {made.stderr.decode(errors='replace')[-600:]}")
        for name in ("engine", "outside"):
            (draft / "root" / name).mkdir()
        with contextlib.suppress(OSError):  # another process was faster
            (draft / "root").rename(root)
    finally:
        shutil.rmtree(draft)
    return root


# pivot_root, because dockerd refuses to unpack layers where `/` is no mount point.
_ENTER = """
mount --bind {root} {root}
cd {root}
for each in sys dev; do mount --rbind /$each $each; done
mount -t proc proc proc
mount -t tmpfs tmpfs run
mount --bind {folder} engine
pivot_root . outside
umount -l /outside
exec dockerd {options}
"""


def _foreign(root: Path, program: str) -> list[str]:
    """A dynamic program of another root, started on this one with its own loader and libraries."""
    libraries = f"{root}/usr/lib/{platform.machine()}-linux-gnu"
    loader = next((root / "usr" / "lib64").glob("ld-linux*"), None) or next(Path(libraries).glob("ld-linux*"))
    return [str(loader), "--library-path", libraries, f"{root}{program}"]


@contextlib.contextmanager
def modern_docker_engine(cache_dir: Path) -> Iterator[Engine]:
    """The Docker of Debian unstable (28.x with buildx), from a root that is made in `cache_dir` at the first call."""
    _need_root()
    _need("unshare", "pivot_root")
    root = modern_root(cache_dir.resolve())
    with _scratch("docker") as folder:
        plugin = folder / "client" / "cli-plugins" / "docker-buildx"
        plugin.parent.mkdir(parents=True)
        plugin.write_text(f'#!/bin/sh\nexec {shlex.join(_foreign(root, "/usr/libexec/docker/cli-plugins/docker-buildx"))} "$@"\n')
        plugin.chmod(0o755)
        options = f"{shlex.join(_DAEMON)} --ip6tables=false {_places('/engine')}"
        script = _ENTER.format(root=shlex.quote(str(root)), folder=shlex.quote(str(folder)), options=options)
        with _engine(script, tuple(_foreign(root, "/usr/bin/docker")), folder, {}) as engine:
            yield engine


class Containerd(msgspec.Struct, frozen=True):
    """A running containerd; `environment` leads `ctr` to it."""

    environment: tuple[tuple[str, str], ...]

    def ctr(self, *words: str) -> str:
        """What `ctr WORDS` prints."""
        return subprocess.run(
            ["ctr", *words], env={**os.environ, **dict(self.environment)}, capture_output=True, text=True, check=True
        ).stdout


@contextlib.contextmanager
def containerd() -> Iterator[Containerd]:
    """This machine's own containerd, as a private one."""
    _need_root()
    _need("containerd", "ctr", "unshare")
    with _scratch("containerd") as folder:
        config = folder / "config.toml"
        config.write_text(
            f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{folder}/sock"\n'
        )
        peer = Containerd((("CONTAINERD_ADDRESS", f"{folder}/sock"),))
        script = f"exec containerd --config {config}"
        command = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", script]
        environment = {**os.environ, **dict(peer.environment)}

        def answers() -> str:
            return subprocess.run(["ctr", "version"], env=environment, capture_output=True, text=True, check=False).stdout.partition(
                "Server:"
            )[2]

        with _process(command, folder / "log", _terminate_child) as process:
            _wait(process, folder / "log", answers)
            yield peer


@contextlib.contextmanager
def registry(more: str = "") -> Iterator[Registry]:
    """Debian's docker-registry on a free port of loopback; manifests and blobs can be deleted. `more`: lines of its configuration."""
    with _scratch("registry") as folder:
        yield from _registry(folder, "http: {addr: '127.0.0.1:0'}\n" + more)


@contextlib.contextmanager
def secure_registry(user: str, password: str) -> Iterator[Registry]:
    """The same over TLS, for one user. Its certificate, and CA, is `cert.pem` in its folder."""
    from tls import certificate

    _need("htpasswd")
    with _scratch("registry") as folder:
        cert, key = certificate(folder)
        line = subprocess.run(["htpasswd", "-niB", "-C", "5", user], input=password.encode(), capture_output=True, check=True).stdout
        (folder / "htpasswd").write_bytes(line)
        tls = f"http: {{addr: '127.0.0.1:0', tls: {{certificate: '{cert}', key: '{key}'}}}}\n"
        yield from _registry(folder, f"{tls}auth: {{htpasswd: {{realm: here, path: '{folder}/htpasswd'}}}}\n")


def _registry(folder: Path, more: str) -> Iterator[Registry]:
    _need("docker-registry")
    version = subprocess.run(["docker-registry", "--version"], capture_output=True, text=True, check=False).stdout.split()[-1]
    log = folder / "log"
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\n"
        "log: {accesslog: {disabled: true}, level: info}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder}/data'}}, delete: {{enabled: true}}}}\n{more}",
    )
    with _process(["docker-registry", "serve", str(config)], log, _terminate) as process:
        address = _wait(process, log, lambda: _listening(log))
        yield Registry(address, version, folder)


def _listening(log: Path) -> str:
    found = re.search(r"listening on (127\.0\.0\.1:[0-9]+)", log.read_text(errors="replace"))
    return found[1] if found else ""


if __name__ == "__main__":
    print(modern_root(peer_cache()))
