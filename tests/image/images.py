"""Small images for the tests: layers as blobs, layouts with anything wrong in them, and the real tools."""

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile

import pytest

from graphbuild.image.write import ImageContent, ImageLayer
from graphbuild.values.config import Config, Healthcheck, Past
from graphbuild.values.digest import sha256

CONFIG = Config(
    env=(("PATH", "/bin"), ("EMPTY", "")),
    user="1000:1000",
    workdir="/srv",
    entrypoint=("/bin/web",),
    cmd=("--port", "8080"),
    shell=("/bin/bash", "-c"),
    expose=("53/udp", "8080/tcp"),
    volumes=("/data",),
    labels=(("a", "1"), ("b", "ü")),
    stop_signal="SIGINT",
    healthcheck=Healthcheck(("CMD", "true"), interval=1_000_000_000, retries=2),
    author="someone",
    architecture="amd64",
)


def digest_of(data):
    return sha256(hashlib.sha256(data).hexdigest())


def tar_of(files):
    """An uncompressed tar: name → bytes, or a TarInfo's type and link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                tar.addfile(info)
    return out.getvalue()


def layer(folder, files):
    data = tar_of(files)
    packed = gzip.compress(data, 1, mtime=0)
    folder.mkdir(exist_ok=True)
    blob, compressed = folder / digest_of(data).hex, folder / digest_of(packed).hex
    blob.write_bytes(data)
    compressed.write_bytes(packed)
    return ImageLayer(digest_of(data), len(data), blob, (digest_of(packed), len(packed), compressed))


def content(folder, **changes):
    layers = (layer(folder, {"a": b"one"}), layer(folder, {"b": b"two" * 10_000, "c": (tarfile.SYMTYPE, "b")}))
    history = (Past("copy a"), Past("run <b>"))
    return ImageContent(
        **{"config": CONFIG, "layers": layers, "history": history, "tags": ("registry.example/web:1",), "created": 1_700_000_000, **changes}
    )


def add_blob(folder, data):
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digest_of(data).hex).write_bytes(data)
    return digest_of(data)


def add_json(folder, kind, value, **more):
    """A document as a blob; its descriptor."""
    data = json.dumps(value).encode()
    return {"mediaType": kind, "digest": str(add_blob(folder, data)), "size": len(data), **more}


def add_image(folder, *, architecture="amd64", variant=None, text=b"x", descriptor=None, manifest=None, config=None):
    """An image of one uncompressed layer in a layout; its descriptor."""
    data = tar_of({"file": text})
    image = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": [str(digest_of(data))]}}
    image |= ({"variant": variant} if variant else {}) | (config or {})
    body = {
        "schemaVersion": 2,
        "config": add_json(folder, "application/vnd.oci.image.config.v1+json", image),
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": str(add_blob(folder, data)), "size": len(data)}],
    } | (manifest or {})
    return add_json(folder, "application/vnd.oci.image.manifest.v1+json", body, **(descriptor or {}))


def set_index(folder, *descriptors):
    folder.mkdir(exist_ok=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": descriptors}))


def run(*argv):
    """Run a real tool, or skip where its package is missing."""
    if not shutil.which(str(argv[0])):
        pytest.skip(f"needs the package {argv[0]}")
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
