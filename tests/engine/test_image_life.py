"""Images over time: collections, containers, damage, kill -9, two processes at once, and ordinary users."""

import concurrent.futures
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from accounts import ordinary_user
from archives_by_hand import config, docker_archive, tar
from tarballs import TARBALLS
from workspaces import BASE, Workspace, spec_of

KILLS = int(os.environ.get("GRAPHBUILD_TEST_KILLS", "24")) // 3


def names(ws: Workspace) -> list[str]:
    return ws.ok("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").out.split()


def imported(ws: Workspace, name: str, files: dict[str, bytes]) -> str:
    path = f"{name.replace(':', '-') or 'none'}.tar"
    ws.write({path: tar(files)})
    return ws.ok("image", "import", path, *([name] if name else []), SOURCE_DATE_EPOCH="1700000000").out.strip()


def built(ws: Workspace, tag: str = "built:1", content: str = "1") -> None:
    outputs = {"web": {"from": "made", "image": {"tags": [tag]}}}
    steps = {"made": {"from": "base", "copy": {"files": ["f"], "to": "/d"}}}
    ws.write({"build.yaml": BASE + spec_of(steps=steps, outputs=outputs), "f": content})
    ws.run(":web")


def intact(ws: Workspace) -> None:
    ws.ok("image", "verify")
    assert ws.ok("cache", "verify").out == "the store is intact\n"
    for name in ("tmp", "trash", "leases"):
        assert os.listdir(ws.store / name) == [], name


def test_a_collection_takes_what_can_be_built_again(ws: Workspace):
    imported(ws, "kept:1", {"a": b"1" * 10_000})
    built(ws)
    built(ws, "pinned:1")
    ws.ok("image", "tag", "built:1", "by-hand:1")
    built(ws, "other:1", "2")
    imported(ws, "", {"a": b"dangling"})
    assert sorted(names(ws)) == ["<none>:<none>", "built:1", "by-hand:1", "kept:1", "other:1", "pinned:1"]
    ws.ok("cache", "gc", "--max-size", "0")
    assert sorted(names(ws)) == ["<none>:<none>", "built:1", "by-hand:1", "kept:1", "pinned:1"]
    intact(ws)
    for name in ("kept:1", "by-hand:1"):
        ws.ok("image", "save", name, "-o", "saved.tar")
        ws.ok("image", "tree", name)
    built(ws, "other:1", "2")
    assert "other:1" in names(ws)
    ws.ok("image", "rm", "-f", *names(ws)[1:])
    ws.ok("image", "prune", "-a", "-f")
    ws.ok("cache", "gc", "--max-size", "0")
    assert list((ws.store / "blobs/sha256").iterdir()) == []
    assert list((ws.store / "layers").iterdir()) == []


def test_an_image_in_use(ws: Workspace):
    """A container is a row that holds an image's config and layers."""
    image = imported(ws, "used:1", {"a": b"1"})
    with sqlite3.connect(ws.store / "db.sqlite") as rows:
        (refs,) = rows.execute("SELECT refs FROM images").fetchone()
        rows.execute("INSERT INTO containers (id, name, body, refs) VALUES ('c', 'happy', x'00', ?)", (refs,))
    assert "container happy is made of image used:1" in ws.fails("image", "rm", "used:1", code=2)
    assert "Deleted" not in ws.ok("image", "prune", "-a", "-f").out
    ws.ok("image", "tag", "used:1", "again:1")
    assert ws.ok("image", "rm", "used:1").out == "Untagged: used:1\n"
    assert f"Deleted: {image}" in ws.ok("image", "rm", "-f", "again:1").out
    ws.ok("cache", "gc", "--max-size", "0")
    assert len(list((ws.store / "blobs/sha256").iterdir())) == 2  # what the container stands on
    with sqlite3.connect(ws.store / "db.sqlite") as rows:
        rows.execute("DELETE FROM containers")
    ws.ok("cache", "gc", "--max-size", "0")
    assert list((ws.store / "blobs/sha256").iterdir()) == []


def flip(path: Path) -> None:
    """One bit of a file, whatever its mode says."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


@pytest.mark.parametrize("what", ["blobs/sha256", "index", "layers", "gone"])
def test_damage_is_found(ws: Workspace, what: str):
    imported(ws, "good:1", {"other": b"good" * 100})
    before = {path for path in ws.store.rglob("*") if path.is_file()}
    image = imported(ws, "hurt:1", {"a": b"1" * 1000, "d/b": b"2" * 1000})
    mine = [path for path in files_of(ws.store / (what if what != "gone" else "blobs/sha256")) if path not in before]
    assert mine
    for path in mine:
        data = path.read_bytes()
        if what == "gone":
            path.unlink()
        else:
            flip(path)
        done = ws("image", "verify")
        assert done.code == 1, (path, done)
        assert all(line.startswith(image[7:19]) for line in done.out.splitlines()[:-1]), done
        assert done.out.endswith("1 damaged\n")
        assert sorted(names(ws)) == ["good:1", "hurt:1"]  # it is listed all the same
        ws.ok("image", "verify", "good:1")
        for words in (
            ("inspect", "hurt:1"),
            ("history", "hurt:1"),
            ("tree", "hurt:1"),
            ("whose", "hurt:1:/a"),
            ("diff", "good:1", "hurt:1"),
        ):
            done = ws("image", *words)
            assert done.code in (0, 2), (path, words, done)
            assert "Traceback" not in done.err
        path.write_bytes(data)
    ws.ok("image", "verify")


def test_what_repair_takes_away_can_be_loaded_again(ws: Workspace):
    image = imported(ws, "hurt:1", {"a": b"1" * 1000})
    ws.ok("image", "save", "hurt:1", "-o", "saved.tar")
    (layer,) = [path for path in files_of(ws.store / "blobs/sha256") if path.name != image[7:]]
    flip(layer)
    said = ws.ok("cache", "verify", "--repair").out
    assert "hurt:1" in said
    assert names(ws) == []
    ws.ok("image", "load", "saved.tar")
    assert names(ws) == ["hurt:1"]
    intact(ws)


def start(ws: Workspace, *words: str) -> subprocess.Popen[bytes]:
    environment = {**ws.environment, "GRAPHBUILD_STORE": str(ws.store), "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [*ws.prefix, sys.executable, "-m", "graphbuild", *words]
    return subprocess.Popen(
        command,
        cwd=ws.root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.parametrize("action", ["load", "import", "prune"])
def test_kill(ws: Workspace, action: str):
    layers = [tar({f"{number}/{file}": os.urandom(2000) for file in range(300)}) for number in range(4)]
    images = [(config(layers[: number + 1]), layers[: number + 1], [f"big:{number}"]) for number in range(4)]
    ws.write({"big.tar": docker_archive(*images), "root.tar": tar({str(file): os.urandom(3000) for file in range(1500)})})
    imported(ws, "kept:1", {"a": b"1"})
    words = {"load": ("load", "big.tar"), "import": ("import", "root.tar", "it:1"), "prune": ("prune", "-a", "-f")}[action]
    if action == "prune":
        ws.ok("image", "load", "big.tar")
    began = time.monotonic()
    ws.ok("image", *words)
    whole = time.monotonic() - began
    generator = random.Random(action)
    for _ in range(KILLS):
        ws.ok("image", "load" if action == "prune" else "prune", *(["big.tar"] if action == "prune" else ["-a", "-f"]))
        process = start(ws, "image", *words)
        time.sleep(generator.uniform(0.1, 1) * whole)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert ws.ok("image", "verify").code == 0
        ws.ok("cache", "verify")
        ws.ok("image", "verify")
    ws.ok("image", *words)
    ws.ok("image", "prune", "-a", "-f")
    ws.ok("cache", "gc", "--max-size", "0")
    intact(ws)
    assert list((ws.store / "blobs/sha256").iterdir()) == []


def test_many_at_once(ws: Workspace):
    """Loads, imports, removals and collections side by side: every name leads to a whole image."""
    layers = [tar({f"{number}": os.urandom(20_000)}) for number in range(4)]
    ws.write(
        {f"{number}.tar": docker_archive((config(layers[: number + 1]), layers[: number + 1], [f"it:{number}"])) for number in range(4)}
    )
    ws.write({"root.tar": layers[0]})

    def go(number: int) -> None:
        ws.ok("image", "load", f"{number % 4}.tar")
        ws.ok("image", "import", "root.tar", f"root:{number % 2}")
        ws("image", "rm", f"it:{(number + 1) % 4}", f"root:{number % 2}")
        ws.ok("cache", "gc", "--max-size", "0")
        ws.ok("image", "ls")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(go, range(12)))
    intact(ws)
    for number in range(4):
        ws.ok("image", "load", f"{number}.tar")
    assert {f"it:{number}" for number in range(4)} <= set(names(ws))
    intact(ws)


@pytest.mark.parametrize("kind", ["full", "single"])
def test_an_ordinary_user(folder: Path, ws: Workspace, kind: str):
    """The same ids as root's, the same files, and the same answers."""
    if os.geteuid():
        pytest.skip("needs root, to compare with")
    prefix, uid = ordinary_user(folder, kind)
    home = folder / "home"
    home.mkdir()
    os.chown(home, uid, uid)
    mine = Workspace(home / "ws", home / "store", prefix=prefix, owner=uid)

    results = []
    tars = [make() for make in TARBALLS.values()]  # GNU tar's sparse files are named by its process
    for each in (ws, mine):
        said = []
        each.write({f"{number}.tar": data for number, data in enumerate(tars)})
        for number, name in enumerate(TARBALLS):
            said.append((name, each.ok("image", "import", f"{number}.tar", f"it:{number}", SOURCE_DATE_EPOCH="1700000000").out))
        for name in ("it:2", "it:9", "it:10", "it:11", "it:17"):
            said.append((name, each.ok("image", "squash", name, SOURCE_DATE_EPOCH="1700000000").out))
            said.append((name, each.ok("image", "tree", name, "--json").out))
        said.append(("diff", each.ok("image", "diff", "it:0", "it:10").out))
        said.append(("whose", each.ok("image", "whose", "it:0:/etc/hello").out))
        each.ok("image", "save", "it:9", "it:10", "-o", "saved.tar")
        said.append(("saved", str(hash((each.root / "saved.tar").read_bytes()))))
        each.ok("image", "verify")
        each.ok("image", "prune", "-a", "-f")
        each.ok("image", "load", "saved.tar")
        intact(each)
        each.ok("image", "rm", "it:9", "it:10")
        each.ok("cache", "gc", "--max-size", "0")
        results.append(said)
    assert results[0] == results[1]
    shutil.rmtree(mine.store, ignore_errors=True)


def test_skopeo(ws: Workspace):
    """What skopeo copies is what we load, and what we save it reads."""
    if not shutil.which("skopeo"):
        pytest.skip("needs skopeo")
    image = imported(ws, "web:1", {"a": b"1" * 5000, "d/b": b"2"})

    def skopeo(*words: str) -> str:
        done = subprocess.run(["skopeo", "--tmpdir", str(ws.root), *words], cwd=ws.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    same = ws.ok("image", "inspect", "-f", "{{.RootFS.Layers}} {{.Config}}", "web:1").out
    for format_, transport in (("docker", "docker-archive"), ("oci-archive", "oci-archive"), ("oci", "oci")):
        ws.ok("image", "save", "web:1", "-o", f"{format_}.out", "--format", format_)
        assert '"a"' not in skopeo("inspect", f"{transport}:{format_}.out")
        skopeo("copy", f"{transport}:{format_}.out", f"oci:copied-{format_}:web:2")
        skopeo("copy", f"{transport}:{format_}.out", f"oci-archive:copied-{format_}.tar:web:3")
        skopeo("copy", f"{transport}:{format_}.out", f"docker-archive:copied-{format_}.docker:web:4")
        for path, name in ((f"copied-{format_}", "web:2"), (f"copied-{format_}.tar", "web:3"), (f"copied-{format_}.docker", "web:4")):
            assert ws.ok("image", "load", path).out == f"Loaded image: {name}\n"
            # where it turns Docker's shape into OCI's or back, it writes the config anew
            assert ws.ok("image", "inspect", "-f", "{{.RootFS.Layers}} {{.Config}}", name).out == same
        if format_ != "docker":
            assert ws.ok("image", "inspect", "-f", "{{.Id}}", "web:2").out.strip() == image
    for codec, words in (("gz", ["gzip", "-k"]), ("xz", ["xz", "-k"]), ("bz2", ["bzip2", "-k"]), ("zst", ["zstd", "-q", "-k"])):
        if shutil.which(words[0]):
            subprocess.run([*words, "docker.out"], cwd=ws.root, check=True)
            ws.ok("image", "rm", "-f", image)
            assert ws.ok("image", "load", f"docker.out.{codec}").out == "Loaded image: web:1\n"
    intact(ws)
