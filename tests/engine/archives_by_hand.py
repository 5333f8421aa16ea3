"""Images as archives and layouts, byte by byte, with anything wrong in them that a test wants."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

OCI = "application/vnd.oci.image"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tar(files: Mapping[str, bytes | tuple[bytes, str]]) -> bytes:
    """An uncompressed tar: name → content, or a kind and a link's target."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                made.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                made.addfile(info)
    return stream.getvalue()


def config(layers: Sequence[bytes], **fields: object) -> bytes:
    """An image's config of uncompressed layers."""
    diff_ids = [f"sha256:{sha256(layer)}" for layer in layers]
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}, **fields}).encode()


def docker_archive(*images: tuple[bytes, Sequence[bytes], Sequence[str] | None], **files: bytes) -> bytes:
    """What `docker save` wrote before Docker 25: images are a config, layers, names. `files` are put in, or in the place of others."""
    members: dict[str, bytes | tuple[bytes, str]] = {}
    listing = []
    for document, layers, names in images:
        for layer in layers:
            members[f"{sha256(layer)}/layer.tar"] = layer
        members[f"{sha256(document)}.json"] = document
        listing.append(
            {"Config": f"{sha256(document)}.json", "RepoTags": names, "Layers": [f"{sha256(layer)}/layer.tar" for layer in layers]}
        )
    return tar({**members, "manifest.json": json.dumps(listing).encode(), **files})


def blob(folder: Path, data: bytes, kind: str, **fields: object) -> dict:
    """A blob of a layout; its descriptor."""
    path = folder / "blobs" / "sha256" / sha256(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return {"mediaType": f"{OCI}.{kind}", "digest": f"sha256:{sha256(data)}", "size": len(data), **fields}


def oci_image(folder: Path, document: bytes, layers: Sequence[bytes], *, packed: bool = False, **fields: object) -> dict:
    """An image of a layout; its descriptor."""
    kind = "layer.v1.tar+gzip" if packed else "layer.v1.tar"
    stored = [blob(folder, gzip.compress(layer) if packed else layer, kind) for layer in layers]
    manifest = {"schemaVersion": 2, "config": blob(folder, document, "config.v1+json"), "layers": stored}
    return blob(folder, json.dumps(manifest).encode(), "manifest.v1+json", **fields)


def layout(folder: Path, *descriptors: dict) -> None:
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": descriptors}))
