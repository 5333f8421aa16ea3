"""Images for registries of tests (`registry_server`)."""

import json
import tarfile
from io import BytesIO

from registry_server import digest_of

GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def layer(files, mode="w:gz"):
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, BytesIO(data))
    return stream.getvalue()


def plain(data):
    import gzip

    return gzip.decompress(data)


def put_image(server, path, name, *layers, config=None, architecture="amd64", media_type=DOCKER):
    """An image of gzipped tars in the registry; its manifest's digest."""
    document = {
        "architecture": architecture,
        "os": "linux",
        "config": config or {},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(plain(data)) for data in layers]},
    }
    data = json.dumps(document).encode()
    server.put_blob(path, data)
    described = []
    for one in layers:
        server.put_blob(path, one)
        described.append({"mediaType": GZIP, "digest": digest_of(one), "size": len(one)})
    head = {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": digest_of(data), "size": len(data)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": head, "layers": described}).encode()
    return server.put_manifest(path, name, manifest, media_type), len(manifest)
