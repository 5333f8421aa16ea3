"""Images of registries, as a build sees them: what a tag stands for, asked once, and images whose blobs come when they are opened.

Invariants: within one process a tag stands for one digest, whoever asks; under `--offline` it stands for what it stood for when that
was asked last. What a registry is asked for is held by the store like any result, so the next build asks nothing.
"""

import threading
from collections.abc import Callable

import msgspec

from graphbuild.build.perform.answers import answered, remember
from graphbuild.image.reference import Reference, parse_reference
from graphbuild.image.registry import ACCEPTED, RegistryFiles, open_registry_image, repository_of
from graphbuild.image.source import SourceImage
from graphbuild.network.registry import Registries
from graphbuild.network.seam import failure
from graphbuild.store.actions import Outputs
from graphbuild.store.store import Store
from graphbuild.values.digest import Digest, parse_digest
from graphbuild.values.errors import mistake


class Images:
    """`registries` makes them when something must be asked for."""

    def __init__(self, store: Store, registries: Callable[[], Registries], *, offline: bool) -> None:
        self._store = store
        self._registries = registries
        self._offline = offline
        self._pinned: dict[Reference, Digest] = {}
        self._lock = threading.Lock()

    def pin(self, text: str, cancelled: Callable[[], bool]) -> Digest:
        """What a reference stands for. GraphbuildError where it is none, or where there is no such image."""
        reference = parsed_reference(text)
        if reference.digest is not None:
            return reference.digest
        with self._lock:
            known = self._pinned.get(reference)
            if known is None:
                known = self._pinned[reference] = self._ask(reference, cancelled)
            return known

    def open(self, text: str, digest: str, platform: str, cancelled: Callable[[], bool]) -> SourceImage:
        """The image of that digest ("" for what the reference stands for now), of which the manifest and the config are there."""
        reference = msgspec.structs.replace(parsed_reference(text), digest=None)
        top = _digest(digest, text) if digest else self.pin(text, cancelled)
        source = text if "@" in text else f"{text}@{top.algorithm}:{top.short}"
        files = RegistryFiles(self._registries, repository_of(reference), self._store, source, cancelled, self._keep)
        return open_registry_image(files, top, platform=platform, source=source)

    def _ask(self, reference: Reference, cancelled: Callable[[], bool]) -> Digest:
        question = (reference.full,)
        if self._offline:
            known = answered(self._store, "tag", question)
            if known is not None:
                return parse_digest(known[1]["digest"])
        found = self._registries().resolve(repository_of(reference), reference.tag, ACCEPTED, cancelled)
        if found is None:
            raise failure(
                reference.full, "there is no such image", hint="is the tag right? `skopeo list-tags` or the registry's page lists them"
            )
        remember(self._store, "tag", question, Outputs(), {"digest": str(found)})
        return found

    def _keep(self, digest: Digest, size: int) -> None:
        remember(self._store, "document", (str(digest),), Outputs((), blob=digest, size=size), {})


def _digest(text: str, reference: str) -> Digest:
    try:
        return parse_digest(text)
    except ValueError as error:
        raise mistake(f"{reference}: {error}", hint="is it build.lock that says so? `graphbuild lock --update` writes it anew") from None


def parsed_reference(text: str) -> Reference:
    """GraphbuildError for what is no reference."""
    try:
        return parse_reference(text)
    except ValueError as error:
        raise mistake(str(error), hint="for example docker.io/library/alpine:3.20") from None
