"""The Registries seam: what one can ask of a registry (OCI distribution-spec 1.1), and the registries that there are not.

Invariants: what is asked for by its digest has it, or is an error; nothing is sent twice that a registry says it has; credentials are
in no message. Knows no transport, and of manifests nothing but their type and their bytes.
"""

from collections.abc import Callable, Sequence
from typing import BinaryIO, Protocol, cast

import msgspec

from graphbuild.network.seam import Progress, failure
from graphbuild.values.digest import Digest

Cancelled = Callable[[], bool]


class Repository(msgspec.Struct, frozen=True, order=True):
    """`host` is host[:port] as people write it, docker.io too; `path` as in a reference: library/alpine."""

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"


class Document(msgspec.Struct, frozen=True):
    """A manifest or an index as it is: the bytes that its digest is of."""

    media_type: str
    data: bytes


class Registries(Protocol):
    """All registries there are. Implementations are safe to use from several threads at once.

    Every method raises GraphbuildError, which names the registry and the cause, for what cannot be had: no such thing, no access, a
    broken transport, bytes of another digest or size, `cancelled()` (exit code 8).
    """

    def resolve(
        self, repository: Repository, name: str, accept: Sequence[str], cancelled: Cancelled | None = None, *, mirrors: bool = True
    ) -> Digest | None:
        """The digest of the manifest of that tag, or digest; None where there is none. `accept`: media types that are wanted.

        `mirrors`: it may be a mirror that has it; who sends asks the registry itself.
        """
        ...

    def manifest(
        self, repository: Repository, digest: Digest, accept: Sequence[str], *, limit: int, cancelled: Cancelled | None = None
    ) -> Document:
        """The manifest of that digest, of at most `limit` bytes."""
        ...

    def blob(
        self,
        repository: Repository,
        digest: Digest,
        size: int,
        destination_fd: int,
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> None:
        """Fill a file with the blob of that digest and size in bytes."""
        ...

    def has_blob(self, repository: Repository, digest: Digest, cancelled: Cancelled | None = None) -> bool: ...

    def mount(self, repository: Repository, digest: Digest, source: str, cancelled: Cancelled | None = None) -> bool:
        """Give a repository a blob that another one of the same registry (`source`, its path) has; False where that is not done."""
        ...

    def upload(
        self,
        repository: Repository,
        digest: Digest,
        size: int,
        opened: Callable[[], BinaryIO],
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> None:
        """Send a blob of that digest and size; `opened` gives its bytes, anew for every attempt."""
        ...

    def put_manifest(self, repository: Repository, name: str, document: Document, cancelled: Cancelled | None = None) -> None:
        """Give a manifest, whose blobs are there, a tag (or its digest) as its name."""
        ...


class _Offline:
    def __getattr__(self, name: str) -> Callable[..., object]:
        def refuse(repository: Repository, *_arguments: object, **_options: object) -> object:
            raise failure(str(repository), "not asked: --offline", hint="run once without --offline; what was pulled stays in the store")

        return refuse


def offline_registries() -> Registries:
    """The registries under `--offline`: whatever is asked for is an error."""
    return cast("Registries", _Offline())
