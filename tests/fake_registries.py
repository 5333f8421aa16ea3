"""The Registries seam's fake: dictionaries. Held to the same contract tests as HttpRegistries (tests/test_registries.py)."""

import hashlib
import os

from graphbuild.network.registry import Document
from graphbuild.network.seam import failure
from graphbuild.values.digest import sha256
from graphbuild.values.errors import EXIT_INTERRUPTED


class FakeRegistries:
    """`manifests` by repository and name, `blobs` by repository and digest; `sent` counts the uploads of blobs."""

    def __init__(self):
        self.manifests = {}
        self.blobs = {}
        self.sent = []

    def resolve(self, repository, name, accept, cancelled=None, *, mirrors=True):
        found = self.manifests.get((repository, name))
        return _digest(found.data) if found else None

    def manifest(self, repository, digest, accept, *, limit, cancelled=None):
        found = self.manifests.get((repository, str(digest)))
        if found is None:
            raise failure(str(repository), f"no manifest {digest}")
        if len(found.data) > limit:
            raise failure(str(repository), f"is larger than {limit} bytes")
        return found

    def blob(self, repository, digest, size, destination_fd, *, progress=None, cancelled=None):
        if cancelled and cancelled():
            raise failure(str(repository), "cancelled", exit_code=EXIT_INTERRUPTED)
        data = self.blobs.get((repository, digest))
        if data is None or len(data) != size:
            raise failure(str(repository), f"no blob {digest} of {size} bytes")
        os.ftruncate(destination_fd, 0)
        os.pwrite(destination_fd, data, 0)
        if progress:
            progress(size, size)

    def has_blob(self, repository, digest, cancelled=None):
        return (repository, digest) in self.blobs

    def mount(self, repository, digest, source, cancelled=None):
        found = next((data for (place, one), data in self.blobs.items() if place.path == source and one == digest), None)
        if found is not None:
            self.blobs[repository, digest] = found
        return found is not None

    def upload(self, repository, digest, size, opened, *, progress=None, cancelled=None):
        with opened() as file:
            data = file.read()
        if _digest(data) != digest or len(data) != size:
            raise failure(str(repository), f"was sent something else than {digest}")
        self.sent.append(digest)
        self.blobs[repository, digest] = data
        if progress:
            progress(size, size)

    def put_manifest(self, repository, name, document, cancelled=None):
        for each in (name, str(_digest(document.data))):
            self.manifests[repository, each] = Document(document.media_type, document.data)


def _digest(data):
    return sha256(hashlib.sha256(data).hexdigest())
