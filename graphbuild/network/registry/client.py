"""Registries over HTTP (OCI distribution-spec 1.1): what is asked for comes from a mirror or the registry, what is sent goes to the registry.

Invariants: plain http only to a host that the settings name as insecure; a mirror that fails in whatever way is passed over; what has
a digest is checked against it, whoever sent it; documents are limited in size, blobs to the size that their descriptor gives.

On `network.connections`: `oras` (0.2) and `python-dxf` (12) know neither mirrors nor ranges, and so begin a broken download anew;
oras mounts nothing across repositories, dxf knows no credential helpers; both stand on requests, and take 4.7 and 2.5 times as long to
import as this does. What is hard about a registry (limits, retries, resuming, redirects without credentials) is what
our transport does anyway.
"""

import hashlib
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO

from graphbuild.network.connections import Connections
from graphbuild.network.files import download
from graphbuild.network.http import HttpNetwork, Refused
from graphbuild.network.patience import Patience
from graphbuild.network.registry.auth import Authenticator, Endpoint, RegistryCaller, scope
from graphbuild.network.registry.credentials import Keyring
from graphbuild.network.registry.requests import Requests
from graphbuild.network.registry.seam import Cancelled, Document, Repository
from graphbuild.network.registry.upload import Upload
from graphbuild.network.seam import FetchResult, Progress, Sink, Validator, failure
from graphbuild.values.digest import Digest, parse_digest, sha256
from graphbuild.values.errors import EXIT_FAILED, EXIT_INTERRUPTED, GraphbuildError, Problem
from graphbuild.values.registry import RegistrySettings

_HUB = "registry-1.docker.io"  # where docker.io's API is
_CHUNK = 32 << 20  # bytes of a blob that are sent with one request, so that a broken one costs no more


class HttpRegistries:
    """All registries. `settings` by host; `environment` leads to credentials; `timeout`, `attempts` and `sleep` as of HttpNetwork."""

    def __init__(
        self,
        settings: Mapping[str, RegistrySettings],
        environment: Mapping[str, str],
        *,
        timeout: float = 30,
        attempts: int = 4,
        sleep: Callable[[float], object] = time.sleep,
        chunk: int = _CHUNK,
    ) -> None:
        self._settings = settings
        trust = {_address(host): said.ca for host, said in settings.items() if said.ca}
        self._connections = Connections(timeout, trust)
        self._network = HttpNetwork(attempts=attempts, sleep=sleep, connections=self._connections)
        self._requests = Requests(self._connections, Patience(attempts, sleep))
        self._auth = Authenticator(self._requests, Keyring(environment))
        self._chunk = chunk

    def close(self) -> None:
        self._connections.close()

    def resolve(
        self, repository: Repository, name: str, accept: Sequence[str], cancelled: Cancelled | None = None, *, mirrors: bool = True
    ) -> Digest | None:
        problems: list[Problem] = []
        for place in self._places(repository) if mirrors else (repository,):
            try:
                found = self._resolve(place, name, accept, cancelled)
            except GraphbuildError as error:
                _pass_over(error, problems)
            else:
                if found is not None or place == repository:
                    return found
        raise GraphbuildError(*problems, exit_code=EXIT_FAILED)

    def manifest(
        self, repository: Repository, digest: Digest, accept: Sequence[str], *, limit: int, cancelled: Cancelled | None = None
    ) -> Document:
        problems: list[Problem] = []
        for place in self._places(repository):
            try:
                found, document = self._get(place, str(digest), accept, limit, cancelled)
                if found != digest:
                    raise failure(str(place), f"has {found} where {digest} was asked for", hint="the registry is broken, or lies")
            except GraphbuildError as error:
                _pass_over(error, problems)
            else:
                return document
        raise GraphbuildError(*problems, exit_code=EXIT_FAILED)

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
        urls = {self._url(place, "blobs", str(digest)): place for place in self._places(repository)}
        network = _Asking(self._network, lambda url: self._caller(urls[url]))
        found, _ = download(
            network, tuple(urls), destination_fd, sha256=digest.hex, size=size, limit=max(size, 1), progress=progress, cancelled=cancelled
        )
        assert found == digest

    def has_blob(self, repository: Repository, digest: Digest, cancelled: Cancelled | None = None) -> bool:
        url = self._url(repository, "blobs", str(digest))
        return self._requests.insist("HEAD", url, self._pushing(repository), (200, 404), cancelled=cancelled).status == 200

    def mount(self, repository: Repository, digest: Digest, source: str, cancelled: Cancelled | None = None) -> bool:
        return self._upload(repository, source).mount(digest, source, cancelled)

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
        self._upload(repository).send(digest, size, opened, progress, cancelled)

    def put_manifest(self, repository: Repository, name: str, document: Document, cancelled: Cancelled | None = None) -> None:
        url = self._url(repository, "manifests", name)
        digest = _digest_of(document.data)
        headers = {"Content-Type": document.media_type}
        caller = self._pushing(repository)
        answer = self._requests.insist("PUT", url, caller, (200, 201, 202), headers=headers, body=document.data, cancelled=cancelled)
        said = answer.headers.get("Docker-Content-Digest")
        if said and said != str(digest):
            raise failure(
                url, f"was sent {digest}, and says that it is {said[:100]!r}", hint="the registry is broken, or changes manifests"
            )

    def _resolve(self, place: Repository, name: str, accept: Sequence[str], cancelled: Cancelled | None) -> Digest | None:
        url = self._url(place, "manifests", name)
        headers = {"Accept": ", ".join(accept)}
        answer = self._requests.insist("HEAD", url, self._caller(place), (200, 404), headers=headers, cancelled=cancelled)
        if answer.status == 404:
            return None
        said = answer.headers.get("Docker-Content-Digest")
        if said is None:  # it may be left out
            return self._get(place, name, accept, 8 << 20, cancelled)[0]
        try:
            return parse_digest(said)
        except ValueError:
            raise failure(url, f"has {said[:100]!r} for a digest", hint="the registry is broken") from None

    def _get(self, place: Repository, name: str, accept: Sequence[str], limit: int, cancelled: Cancelled | None) -> tuple[Digest, Document]:
        url = self._url(place, "manifests", name)
        found = bytearray()
        caller = _Accepting(self._caller(place), accept)
        result = self._network.fetch(url, found.extend, limit=limit, cancelled=cancelled, caller=caller)
        return _digest_of(bytes(found)), Document(result.media_type, bytes(found))

    def _places(self, repository: Repository) -> Iterator[Repository]:
        """Where a repository can be pulled from: its mirrors, then itself."""
        for mirror in self._of(repository.host).mirrors:
            host, _, prefix = mirror.strip("/").partition("/")
            yield Repository(host, f"{prefix}/{repository.path}" if prefix else repository.path)
        yield repository

    def _of(self, host: str) -> RegistrySettings:
        return self._settings.get(host) or RegistrySettings()

    def _endpoint(self, host: str) -> Endpoint:
        return Endpoint(f"{'http' if self._of(host).insecure else 'https'}://{_address(host)}", host)

    def _url(self, repository: Repository, kind: str, name: str) -> str:
        path = urllib.parse.quote(f"/v2/{repository.path}/{kind}/{name}", safe="/:")
        return f"{self._endpoint(repository.host).base}{path}"

    def _caller(self, repository: Repository) -> RegistryCaller:
        return self._auth.caller(self._endpoint(repository.host), repository.path, (scope(repository.path, "pull"),))

    def _pushing(self, repository: Repository, source: str = "") -> RegistryCaller:
        more = (scope(source, "pull"),) if source and source != repository.path else ()
        return self._auth.caller(self._endpoint(repository.host), repository.path, (scope(repository.path, "pull", "push"), *more))

    def _upload(self, repository: Repository, source: str = "") -> Upload:
        url = f"{self._url(repository, 'blobs', 'uploads')}/"
        return Upload(self._requests, url, lambda: self._pushing(repository, source), self._chunk)


class _Accepting:
    """A caller who also says which types he takes."""

    def __init__(self, caller: RegistryCaller, accept: Sequence[str]) -> None:
        self._caller = caller
        self._accept = {"Accept": ", ".join(accept)}
        self.challenged = caller.challenged
        self.refusal = caller.refusal

    def headers(self, url: str) -> Mapping[str, str]:
        return {**self._accept, **self._caller.headers(url)}


class _Asking:
    """A Network that says who asks."""

    def __init__(self, network: HttpNetwork, caller: Callable[[str], RegistryCaller]) -> None:
        self._network = network
        self._caller = caller

    def fetch(
        self,
        url: str,
        sink: Sink,
        *,
        limit: int,
        offset: int = 0,
        unless: Validator | None = None,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> FetchResult:
        asking = self._caller(url)
        return self._network.fetch(
            url, sink, limit=limit, offset=offset, unless=unless, progress=progress, cancelled=cancelled, caller=asking
        )


def _pass_over(error: GraphbuildError, problems: list[Problem]) -> None:
    """Keep what is wrong with one place, for the case that no other has it. What the user did is not passed over."""
    if error.exit_code == EXIT_INTERRUPTED or not (isinstance(error, Refused) or error.exit_code == EXIT_FAILED):
        raise error
    problems += error.problems


def _address(host: str) -> str:
    return _HUB if host in ("docker.io", "index.docker.io") else host


def _digest_of(data: bytes) -> Digest:
    return sha256(hashlib.sha256(data).hexdigest())
