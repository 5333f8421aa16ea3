"""The images that cases stand on, the same bytes wherever busybox is the same.

`base` is a small system with users, odd directories and links; `configured` and `onbuild` are `base` with a full config and with
triggers; `debian` is a minimal Debian bookworm for the cases of the real world, made once by `python bases.py` and kept beside the
root of the modern engine. Each is written as an OCI layout, for graphbuild, and as a docker archive, for the engines.
"""

import gzip
import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path
from typing import Any

import msgspec
from engines import Image, Node, apply, config_of, peer_cache

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_TIME = 1_600_000_000
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DEBIAN = "http://deb.debian.org/debian"

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
bob:x:1000:1000:Bob:/home/bob:/bin/sh
ann:x:1001:1002:Ann:/home/ann:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
GROUP = """\
root:x:0:
audio:x:29:bob
staff:x:50:bob,ann
bob:x:1000:
people:x:1002:
nogroup:x:65534:
"""
# path -> (mode, uid, gid); what ends in no slash is a file
_FOLDERS = {
    "bin": (0o755, 0, 0),
    "dev": (0o755, 0, 0),
    "etc": (0o755, 0, 0),
    "home": (0o755, 0, 0),
    "home/ann": (0o700, 1001, 1002),
    "home/bob": (0o755, 1000, 1000),
    "owned": (0o750, 1000, 1000),  # a directory of bob
    "owned/deep": (0o2775, 1000, 50),  # with set-group-id
    "proc": (0o755, 0, 0),
    "real": (0o755, 0, 0),  # where the links lead
    "root": (0o700, 0, 0),
    "srv": (0o755, 0, 0),
    "srv/app": (0o755, 1000, 1000),
    "sys": (0o755, 0, 0),
    "tmp": (0o1777, 0, 0),
    "usr": (0o755, 0, 0),
    "usr/bin": (0o755, 0, 0),
    "usr/lib": (0o755, 0, 0),
    "var": (0o755, 0, 0),
    "var/lib": (0o755, 0, 0),
}
_LINKS = {
    "link": "/real",  # absolute, to a directory
    "rlink": "real",  # relative, to a directory
    "chain": "/link",  # to a link
    "up": "../../../real",  # climbs over the root
    "dangling": "/nowhere/at/all",
    "loop": "loop",
    "lib": "usr/lib",  # as in a merged /usr
    "filelink": "/real/file",
}
_FILES = {
    "etc/passwd": (PASSWD, 0o644, 0, 0),
    "etc/group": (GROUP, 0o644, 0, 0),
    "real/file": ("real\n", 0o644, 0, 0),
    "owned/file": ("bob's\n", 0o640, 1000, 1000),
    "usr/lib/library": ("library\n", 0o644, 0, 0),
    "srv/app/app": ("#!/bin/sh\necho app\n", 0o755, 1000, 1000),
}
_CONFIGS: dict[str, dict[str, Any]] = {
    "base": {"Env": [_PATH, "GREETING=hello", "EMPTY="], "Cmd": ["/bin/sh"]},
    "configured": {
        "Env": [_PATH, "GREETING=configured", "FROM_BASE=yes", "SPACED=a b"],
        "User": "bob",
        "WorkingDir": "/srv/app",
        "Entrypoint": ["/srv/app/app"],
        "Cmd": ["--from", "base"],
        "Labels": {"org.example.base": "configured", "org.example.kept": "yes"},
        "Shell": ["/bin/sh", "-ec"],
        "Volumes": {"/data": {}},
        "ExposedPorts": {"8080/tcp": {}, "53/udp": {}},
        "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 30_000_000_000, "Retries": 3},
        "StopSignal": "SIGUSR1",
    },
    "onbuild": {
        "Env": [_PATH],
        "Cmd": ["/bin/sh"],
        "OnBuild": ["ARG TRIGGER=default", "COPY trigger.txt /onbuild/", "RUN echo $TRIGGER > /onbuild/ran", "ENV TRIGGERED=yes"],
    },
}


class Bases(msgspec.Struct, frozen=True):
    """`images` by name; `layouts` has NAME/ for each, `archive` all of them."""

    images: dict[str, Image]
    layouts: Path
    archive: Path

    def config(self, name: str) -> dict[str, Any]:
        return self.images[name].config


def make_bases(folder: Path) -> Bases:
    """All that can be made here: `debian` only where its file is kept."""
    made = {name: (_base_layer(), config) for name, config in _CONFIGS.items()}
    if debian_file().exists():
        config = {"Env": [_PATH], "Cmd": ["bash"]}
        made["debian"] = (gzip.decompress(debian_file().read_bytes()), config)
    for name, (layer, config) in made.items():
        _layout(folder / "layouts" / name, layer, _document(layer, config))
    _archive(folder / "bases.tar", made)
    return Bases({name: _image(*parts) for name, parts in made.items()}, folder / "layouts", folder / "bases.tar")


def _image(layer: bytes, config: dict[str, Any]) -> Image:
    image = _scratch()
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        apply(image.tree, tar)
    return Image(image.tree, config_of({"config": config}))


def _scratch() -> Image:
    return Image({"/": Node("dir", 0o755, (0, 0))}, {})


def below(bases: Bases, name: str) -> Image:
    """The image that a case's verdict is a difference to."""
    return _scratch() if name == "scratch" else bases.images[name]


def _base_layer() -> bytes:
    busybox = shutil.which("busybox")
    if busybox is None:
        raise unittest.SkipTest("needs busybox (package busybox-static)")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, (mode, uid, gid) in _FOLDERS.items():
            _add(tar, name, tarfile.DIRTYPE, mode, (uid, gid))
        for name, target in [*_LINKS.items(), *((f"bin/{applet}", "busybox") for applet in sorted(applets) if applet != "busybox")]:
            _add(tar, name, tarfile.SYMTYPE, 0o777, target=target)
        for name, (content, mode, uid, gid) in _FILES.items():
            _add(tar, name, tarfile.REGTYPE, mode, (uid, gid), content=content.encode())
        _add(tar, "bin/busybox", tarfile.REGTYPE, 0o755, content=Path(busybox).read_bytes())
    return stream.getvalue()


def _add(
    tar: tarfile.TarFile, name: str, kind: bytes, mode: int, owner: tuple[int, int] = (0, 0), *, target: str = "", content: bytes = b""
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.mtime, member.linkname, member.size = kind, mode, _TIME, target, len(content)
    member.uid, member.gid = owner
    tar.addfile(member, io.BytesIO(content))


def _document(layer: bytes, config: dict[str, Any]) -> bytes:
    digest = hashlib.sha256(layer).hexdigest()
    document = {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "created": "2020-09-13T12:26:40Z",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created": "2020-09-13T12:26:40Z", "created_by": "bases.py"}],
    }
    return json.dumps(document, sort_keys=True).encode()


def _layout(folder: Path, layer: bytes, document: bytes) -> None:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(kind: str, content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (blobs / digest).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("config.v1+json", document),
        "layers": [blob("layer.v1.tar", layer)],
    }
    named = {
        **blob("manifest.v1+json", json.dumps(manifest).encode()),
        "annotations": {"org.opencontainers.image.ref.name": "latest"},
        "platform": {"architecture": _ARCHITECTURES[platform.machine()], "os": "linux"},
    }
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def _archive(file: Path, made: dict[str, tuple[bytes, dict[str, Any]]]) -> None:
    """All images as `docker load` of any age reads them."""
    entries, written = [], set()
    with tarfile.open(file, "w") as tar:
        for name, (layer, config) in made.items():
            document = _document(layer, config)
            layer_name = f"{hashlib.sha256(layer).hexdigest()}/layer.tar"
            if layer_name not in written:
                _add(tar, layer_name, tarfile.REGTYPE, 0o644, content=layer)
                written.add(layer_name)
            config_name = f"{hashlib.sha256(document).hexdigest()}.json"
            _add(tar, config_name, tarfile.REGTYPE, 0o644, content=document)
            entries.append({"Config": config_name, "RepoTags": [f"{name}:latest"], "Layers": [layer_name]})
        _add(tar, "manifest.json", tarfile.REGTYPE, 0o644, content=json.dumps(entries).encode())


def debian_file() -> Path:
    return peer_cache() / "debian-bookworm.tar.gz"


def make_debian() -> Path:
    """The base `debian`, made by mmdebstrap where it is not yet there; aside and renamed."""
    file = debian_file()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as draft:
            command = ["mmdebstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", f"{draft}/root.tar.gz", _DEBIAN]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
            Path(draft, "root.tar.gz").rename(file)
    return file


if __name__ == "__main__":
    print(make_debian())
