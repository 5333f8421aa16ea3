"""Images by name, as a build sees them: those that the store keeps, and those of registries, whose blobs come when they are opened.

Invariants: within one process a tag stands for one digest, whoever asks; under `--offline` it stands for what it stood for when that
was asked last. What a registry is asked for is held by the store like any result, so the next build asks nothing.
"""

import threading
from collections.abc import Callable

import msgspec

from graphbuild.build.perform.answers import answered, remember
from graphbuild.image.model import ImageConfig, decode, from_oci, pasts
from graphbuild.image.reference import Reference, parse_reference
from graphbuild.image.registry import ACCEPTED, RegistryFiles, open_registry_image, repository_of
from graphbuild.image.source import SourceImage
from graphbuild.network.registry import Registries
from graphbuild.network.seam import failure
from graphbuild.store.actions import Outputs
from graphbuild.store.images import StoredImage
from graphbuild.store.store import Store
from graphbuild.values.config import Config, Past
from graphbuild.values.digest import Digest, parse_digest
from graphbuild.values.errors import mistake
from graphbuild.values.platform import architecture_of, this_platform, variant_of


class Kept(msgspec.Struct, frozen=True):
    """An image of the store, under a name of its own."""

    image: StoredImage
    config: Config
    history: tuple[Past, ...]


class Images:
    """`registries` makes them when something must be asked for."""

    def __init__(self, store: Store, registries: Callable[[], Registries], *, offline: bool, afresh: bool = False) -> None:
        """`afresh`: what the store has under a name of its own does not count."""
        self._afresh = afresh
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

    def kept(self, text: str, platform: str) -> Kept | None:
        """The image that the store has under that name, if it is for `platform` ("" for this machine's); where Docker looks first, too."""
        reference = parsed_reference(text)
        image = None if self._afresh or reference.digest is not None else self._store.images.named(reference.full)
        document = self._store.blob(image.id) if image else None
        if image is None or document is None:
            return None
        about = decode(document.read_bytes(), ImageConfig)
        config = from_oci(about)
        wanted = platform or this_platform()
        if config.architecture != architecture_of(wanted) or (variant_of(wanted) and config.variant != variant_of(wanted)):
            return None
        return Kept(image, config, pasts(about))

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
                reference.full,
                "there is no such image",
                hint="is the tag right? `skopeo list-tags` or the registry's page lists them; `graphbuild image ls` lists the store's",
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
