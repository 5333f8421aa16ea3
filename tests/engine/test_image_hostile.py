"""Archives that lie, end early, lead elsewhere or mean too much: an error that names them, exit code 2, and nothing of them under a name."""

import gzip
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from archives_by_hand import blob, config, docker_archive, layout, oci_image, sha256, tar
from workspaces import Workspace

from graphbuild.layers.compression import decompress
from graphbuild.values.errors import GraphbuildError

LAYER = tar({"a": b"one", "d/b": b"two" * 1000})
GOOD = config([LAYER])


def swapped(archive: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    assert old in archive
    return archive.replace(old, new)


def listing(*entries: dict) -> bytes:
    return json.dumps(entries).encode()


def archive(document: bytes, *layers: bytes, **files: bytes) -> bytes:
    return docker_archive((document, layers, ["evil:1"]), **files)


def manifest(**fields: object) -> bytes:
    """An archive whose manifest.json says that."""
    entry = {"Config": f"{sha256(GOOD)}.json", "RepoTags": ["evil:1"], "Layers": [f"{sha256(LAYER)}/layer.tar"], **fields}
    return archive(GOOD, LAYER, **{"manifest.json": listing(entry)})


def layer(files: dict) -> bytes:
    """An archive whose layer is that."""
    made = tar(files)
    return archive(config([made]), made)


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "a text": lambda: b"hello " * 1000,
    "zeros": lambda: bytes(1 << 16),
    "a root file system": lambda: LAYER,
    "gzip of nothing": lambda: gzip.compress(b""),
    "a damaged gzip": lambda: gzip.compress(archive(GOOD, LAYER))[:-200],
    "a bomb": lambda: gzip.compress(bytes(64 << 20)) * 40,
    "cut in a header": lambda: archive(GOOD, LAYER)[:700],
    "cut in a layer": lambda: docker_archive((GOOD, [LAYER], ["evil:1"]))[:2500],
    "no manifest": lambda: tar({"x.json": GOOD}),
    "a manifest of nothing": lambda: tar({"manifest.json": b""}),
    "a manifest that is a folder": lambda: tar({"manifest.json": (tarfile.DIRTYPE, "")}),
    "a manifest that is a link out": lambda: tar({"manifest.json": (tarfile.SYMTYPE, "/etc/passwd")}),
    "a manifest that is a link up": lambda: tar({"manifest.json": (tarfile.SYMTYPE, "../../../etc/passwd")}),
    "a manifest of 9 MB": lambda: tar({"manifest.json": b" " * (9 << 20)}),
    "a deep manifest": lambda: tar({"manifest.json": b"[" * 100_000}),
    "a manifest of numbers": lambda: tar({"manifest.json": b"[1, 2]"}),
    "a circle of links": lambda: tar({"manifest.json": (tarfile.SYMTYPE, "other"), "other": (tarfile.SYMTYPE, "manifest.json")}),
    "a config elsewhere": lambda: manifest(Config="/etc/hostname"),
    "a config above": lambda: manifest(Config="../../../../etc/hostname"),
    "a config that is missing": lambda: manifest(Config="no.json"),
    "a layer elsewhere": lambda: manifest(Layers=["/etc/passwd"]),
    "a layer that is missing": lambda: manifest(Layers=["no"]),
    "too few layers": lambda: manifest(Layers=[]),
    "too many layers": lambda: manifest(Layers=[f"{sha256(LAYER)}/layer.tar"] * 3),
    "a config of another digest": lambda: swapped(archive(GOOD, LAYER), b'"amd64"', b'"arm64"'),
    "a layer of another digest": lambda: swapped(archive(GOOD, LAYER), b"twotwo", b"TWOtwo"),
    "a config without layers": lambda: archive(b'{"architecture": "amd64", "os": "linux"}'),
    "a diff_id that is none": lambda: docker_archive(
        (b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["../../x"]}}', [LAYER], ["evil:1"])
    ),
    "a config with a NUL": lambda: archive(config([LAYER], config={"Env": ["A=\0"]}), LAYER),
    "a layer that is no tar": lambda: archive(config([b"no tar" * 100]), b"no tar" * 100),
    "a layer that goes up": lambda: layer({"../../../../tmp/evil": b"x"}),
    "a layer through a link": lambda: layer({"l": (tarfile.SYMTYPE, "/tmp"), "l/evil": b"x"}),
    "a layer with a link up": lambda: layer({"h": (tarfile.LNKTYPE, "../../../../etc/passwd")}),
    "a layer that takes away what is above": lambda: layer({"../.wh.x": b""}),
    "a layer whose link is missing": lambda: layer({"h": (tarfile.LNKTYPE, "nothing")}),
    "a layer that is packed, by another diff_id": lambda: archive(config([gzip.compress(LAYER)]), gzip.compress(LAYER)),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive(ws: Workspace, name: str):
    ws.write({"evil.tar": ARCHIVES[name](), "root.tar": tar({"good": b"1"})})
    ws.ok("image", "import", "root.tar", "good:1")
    began = time.monotonic()
    done = ws("image", "load", "evil.tar")
    assert time.monotonic() - began < 30
    if name == "a layer through a link" and done.code == 0:  # legal: the link is followed inside
        assert not Path("/tmp/evil").exists()
        return
    assert done.code == 2, done
    assert "evil.tar" in done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    assert not Path("/tmp/evil").exists()
    kept(ws)


def kept(ws: Workspace) -> None:
    """The good image is there, alone and whole."""
    assert ws.ok("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").out == "good:1\n"
    ws.ok("image", "verify")
    ws.ok("cache", "verify")
    for name in ("tmp", "trash", "leases"):
        assert os.listdir(ws.store / name) == [], name


def with_descriptor(change: Callable[[Path], object]) -> Callable[[Path], None]:
    """A layout of one good image, changed."""

    def make(folder: Path) -> None:
        layout(folder, oci_image(folder, GOOD, [LAYER]))
        change(folder)

    return make


def _first(folder: Path, data: bytes) -> Path:
    return folder / "blobs" / "sha256" / sha256(data)


def _size(folder: Path) -> None:
    descriptor = oci_image(folder, GOOD, [LAYER])
    layout(folder, {**descriptor, "size": descriptor["size"] + 1})


def _nested(folder: Path) -> None:
    below = oci_image(folder, GOOD, [LAYER])
    for _ in range(20):
        below = blob(folder, json.dumps({"schemaVersion": 2, "manifests": [below]}).encode(), "index.v1+json")
    layout(folder, below)


def _many(folder: Path) -> None:
    inner = [
        {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": f"sha256:{number:064}", "size": 1} for number in range(5000)
    ]
    layout(folder, blob(folder, json.dumps({"schemaVersion": 2, "manifests": inner}).encode(), "index.v1+json"))


def _link(folder: Path) -> None:
    path = _first(folder, LAYER)
    path.unlink()
    path.symlink_to("/etc/passwd")


def _fifo(folder: Path) -> None:
    path = _first(folder, LAYER)
    path.unlink()
    os.mkfifo(path)


LAYOUTS: dict[str, Callable[[Path], None]] = {
    "an empty index": layout,
    "no index": lambda folder: (folder / "oci-layout").write_text("{}"),
    "an empty folder": lambda folder: None,
    "another size": _size,
    "a layer of other bytes": with_descriptor(lambda folder: _first(folder, LAYER).write_bytes(LAYER[:-1] + b"x")),
    "a layer that is short": with_descriptor(lambda folder: _first(folder, LAYER).write_bytes(LAYER[:-1])),
    "a layer that is gone": with_descriptor(lambda folder: _first(folder, LAYER).unlink()),
    "a config of other bytes": with_descriptor(lambda folder: _first(folder, GOOD).write_bytes(GOOD.replace(b"amd64", b"arm64"))),
    "a layer that is a link": with_descriptor(_link),
    "a layer that is a pipe": with_descriptor(_fifo),
    "nested too deep": _nested,
    "too many": _many,
    "an artifact": lambda folder: layout(
        folder,
        blob(
            folder,
            json.dumps({"schemaVersion": 2, "config": blob(folder, b"{}", "empty.v1+json"), "layers": []}).encode(),
            "manifest.v1+json",
        ),
    ),
    "a digest that leads away": lambda folder: layout(
        folder, {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:../../../../etc/passwd", "size": 1}
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout(ws: Workspace, name: str):
    folder = ws.root / "evil"
    folder.mkdir()
    LAYOUTS[name](folder)
    ws.write({"root.tar": tar({"good": b"1"})})
    ws.ok("image", "import", "root.tar", "good:1")
    done = ws("image", "load", "evil")
    assert done.code in (0, 2) if name == "an empty index" else done.code == 2, done
    assert "Traceback" not in done.err
    assert done.out == ""
    kept(ws)


def test_names_that_nobody_can_type(ws: Workspace):
    """They are dropped; the image is there by its id."""
    names = ["\x1b[2J", "a b", "UPPER:1", "", "../../x", "x:y:z", "ok:1", "a" * 300, "web@sha256:" + "0" * 64, "0" * 64]
    ws.write({"evil.tar": docker_archive((GOOD, [LAYER], names))})
    done = ws.ok("image", "load", "evil.tar")
    assert done.out == "Loaded image: ok:1\n"
    assert ws.ok("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").out == "ok:1\n"
    ws.write({"none.tar": docker_archive((config([LAYER], author="x"), [LAYER], ["\x1b[2J"]))})
    assert ws.ok("image", "load", "none.tar").out.startswith("Loaded image ID: sha256:")


def test_a_thousand_names_and_a_thousand_images(ws: Workspace):
    ws.write({"names.tar": docker_archive((GOOD, [LAYER], [f"web:{number}" for number in range(1000)]))})
    assert ws.ok("image", "load", "names.tar").out.count("Loaded image") == 1000
    assert len(ws.ok("image", "ls").out.splitlines()) == 1001
    assert ws.ok("image", "rm", "-f", sha256(GOOD)).out.count("Untagged") == 1000
    documents = [config([LAYER], author=str(number)) for number in range(1000)]
    ws.write({"images.tar": docker_archive(*((document, [LAYER], [f"web:{n}"]) for n, document in enumerate(documents)))})
    began = time.monotonic()
    ws.ok("image", "load", "images.tar")
    assert time.monotonic() - began < 60
    began = time.monotonic()
    assert len(ws.ok("image", "ls").out.splitlines()) == 1001
    assert time.monotonic() - began < 3
    ws.ok("image", "prune", "-a", "-f")


def test_one_image_named_by_two_entries(ws: Workspace):
    ws.write({"it.tar": docker_archive((GOOD, [LAYER], ["a:1"]), (GOOD, [LAYER], ["b:1"]), (GOOD, [LAYER], None))})
    assert ws.ok("image", "load", "it.tar").out == "Loaded image: a:1\nLoaded image: b:1\n"


def test_what_came_before_the_damage_stays(ws: Workspace):
    other = tar({"x": b"unlike"})
    data = docker_archive((GOOD, [LAYER], ["first:1"]), (config([other]), [other], ["second:1"]))
    ws.write({"it.tar": swapped(data, b"unlike", b"UNLIKE")})
    done = ws("image", "load", "it.tar")
    assert (done.code, done.out) == (2, "Loaded image: first:1\n")
    ws.ok("image", "verify")


def test_a_layer_that_another_machine_has(ws: Workspace):
    """A foreign layer that the archive does not hold is an error that names it."""
    folder = ws.root / "evil"
    folder.mkdir()
    foreign = {
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": "sha256:" + "1" * 64,
        "size": 5,
        "urls": ["http://x/"],
    }
    document = config([LAYER])
    body = {"schemaVersion": 2, "config": blob(folder, document, "config.v1+json"), "layers": [foreign]}
    layout(folder, blob(folder, json.dumps(body).encode(), "manifest.v1+json"))
    assert "1" * 64 in ws.fails("image", "load", "evil", code=2)


ROOTS: dict[str, Callable[[], bytes]] = {
    "up": lambda: tar({"../../../../../tmp/evil": b"x"}),
    "a link up": lambda: tar({"h": (tarfile.LNKTYPE, "../../../../../etc/passwd")}),
    "no tar": lambda: b"x" * 2000,
    "cut": lambda: tar({"a": b"x" * 5000})[:3000],
    "damaged": lambda: gzip.compress(tar({"a": os.urandom(5000)}))[:4000],
}


@pytest.mark.parametrize("name", ROOTS)
def test_a_root_file_system(ws: Workspace, name: str):
    ws.write({"evil.tar": ROOTS[name](), "root.tar": LAYER})
    ws.ok("image", "import", "root.tar", "good:1")
    began = time.monotonic()
    done = ws("image", "import", "evil.tar", "evil:1")
    assert done.code == 2, done
    assert time.monotonic() - began < 60
    assert "Traceback" not in done.err
    assert not Path("/tmp/evil").exists()
    kept(ws)


def test_a_bomb_ends_before_it_fills_the_disk(tmp_path: Path):
    bomb = gzip.compress(bytes(64 << 20)) * 4
    with (tmp_path / "out").open("wb") as out:
        with pytest.raises(GraphbuildError, match="200 times its size"):
            decompress(io.BytesIO(bomb), out.fileno(), unsuspected=1 << 20)
        assert out.tell() < 70 << 20
        assert decompress(io.BytesIO(bomb), out.fileno(), unsuspected=1 << 30)[1] == 256 << 20


def test_memory_is_bounded(ws: Workspace):
    """A large layer goes through in little memory."""
    ws.write({"root.tar": tar({"big": bytes(200 << 20)})})
    environment = {**ws.environment, "GRAPHBUILD_STORE": str(ws.store), "PYTHONPATH": str(Path(__file__).parents[2])}
    for words in (
        ["import", "root.tar", "a:1"],
        ["save", "a:1", "-o", "a.tar"],
        ["load", "a.tar"],
        ["squash", "a:1"],
        ["verify"],
        ["tree", "a:1"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "graphbuild", "image", *words],
            cwd=ws.root,
            env=environment,
            capture_output=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (150 << 20, 150 << 20)),
        )
        assert done.returncode == 0, (words, done.stderr[-500:])
