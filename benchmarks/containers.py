"""Containers: `exec true`, and a container's whole life, against the Docker engine's in the same run, in turns.

`python benchmarks/containers.py [ROUNDS]`, as root; the engine is a private one that ends with it. Prints a table in Markdown.
"""

import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

import peers  # noqa: E402 - found where the tests are
from bars import table, verdict, within  # noqa: E402
from measure import Command, Run, interleaved, median, peak, run  # noqa: E402

# At most so many times what Docker takes. `ps` is our command line's start, where Docker's client is a compiled program.
BARS = {"exec true": 1.25, "run -d": 1, "ps": 4, "rm -f": 1.25, "run --rm true": 1}

_TAKE = """
import sys
from pathlib import Path
from graphbuild.engine.library import Library, full_name
from graphbuild.sandbox.namespace import enter
from graphbuild.store.forms import Forms
from graphbuild.store.store import Store
from graphbuild.values.digest import parse_digest
ids = enter().ids
class Source:
    document = Path(sys.argv[2]).read_bytes()
    diff_ids = (parse_digest(sys.argv[4]),)
    def kept(self, index):
        return None
    def open_layer(self, index):
        return open(sys.argv[3], "rb")
store = Store(Path(sys.argv[1]))
with store.lease():
    Library(store, Forms(store, 0, ids)).take(Source(), [full_name("bench")], "bench")
store.close()
"""


def _tar(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    busybox = Path(shutil.which("busybox") or "/bin/busybox").read_bytes()
    layer = _tar({f"bin/{name}": busybox for name in ("busybox", "sh", "true", "sleep")})
    diff_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = {"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sleep", "100000"]}}
    document = json.dumps({**config, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["bench:latest"], "Layers": ["layer.tar"]}]).encode()
    folder = Path(tempfile.mkdtemp(prefix="graphbuild-bench-", dir="/var/tmp"))
    with peers.docker_engine() as docker:
        docker.run("load", data=_tar({"config.json": document, "layer.tar": layer, "manifest.json": manifest}))
        for name, data in (("document", document), ("layer", layer)):
            (folder / name).write_bytes(data)
        ours = (("GRAPHBUILD_STORE", str(folder / "store")),)
        words = [sys.executable, "-c", _TAKE, str(folder / "store"), str(folder / "document"), str(folder / "layer"), diff_id]
        run(Command(tuple(words), ours), folder)
        program = (str(Path(sys.executable).parent / "graphbuild"), "container")

        def turn(client: tuple[str, ...], env: tuple[tuple[str, str], ...], number: int) -> dict[str, Run]:
            def one(*words: str) -> Run:
                return run(Command((*client, *words), env), folder)

            name = f"life{number}"
            return {
                "exec true": one("exec", "held", "true"),
                "run -d": one("run", "-d", "--network", "none", "--name", name, "bench"),
                "ps": one("ps"),
                "rm -f": one("rm", "-f", name),
                "run --rm true": one("run", "--rm", "--network", "none", "bench", "true"),
            }

        contestants = {"graphbuild": (program, ours), f"docker {docker.version}": (docker.client, docker.environment)}
        for client, env in contestants.values():
            run(Command((*client, "run", "-d", "--network", "none", "--name", "held", "bench"), env), folder)
        try:
            turns = {name: lambda number, client=client, env=env: turn(client, env, number) for name, (client, env) in contestants.items()}
            found = interleaved(turns, rounds)
        finally:
            run(Command((*program, "rm", "-f", "held"), ours), folder)
    shutil.rmtree(folder)
    mine, (name, theirs) = found["graphbuild"], next(item for item in found.items() if item[0] != "graphbuild")
    rows = [within(phase, median(mine[phase]), name, median(theirs[phase]), times) for phase, times in BARS.items()]
    print(
        f"Medians of {rounds} rounds in turns; load average {os.getloadavg()[0]:.1f}\n\n{table(rows)}\n\n| | peak MiB of the command | |\n|---|---|---|"
    )
    for phase in BARS:
        print(f"| {phase} | {peak(mine[phase]):.0f} | {name} {peak(theirs[phase]):.0f} |")
    return verdict(rows)


if __name__ == "__main__":
    sys.exit(main())
