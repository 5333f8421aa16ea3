"""What an engine is to us: it says which image a name stands for there, and takes an image.

Invariant: an engine that is not there is an error with exit code 36, which names it and what to do.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from graphbuild.image.reference import Reference
from graphbuild.image.write import ImageContent
from graphbuild.values.digest import Digest
from graphbuild.values.errors import mistake

Progress = Callable[[int, int], object]  # (bytes so far, all bytes)


class Sought(msgspec.Struct, frozen=True):
    """An image as an engine may know it: by its config's digest, or by those of manifests that were loaded of it."""

    config: Digest
    manifests: tuple[Digest, ...]
    names: tuple[Reference, ...]

    def has(self, text: str) -> bool:
        """Whether an engine's id of an image, "sha256:…" or bare hex, is one of this image's."""
        return any(text in (str(digest), digest.hex) for digest in (self.config, *self.manifests))


class Loaded(msgspec.Struct, frozen=True):
    """What was done: the manifest under which the image was given, and the layers and bytes that were sent."""

    manifest: Digest
    layers: int
    size: int


class Engine(Protocol):
    """An engine. `tars`: it takes layers as tars, and not as they go to registries."""

    name: str
    tars: bool

    def missing(self, sought: Sought) -> str:
        """Why an image must be loaded, or "" where all of its names stand for it there."""
        ...

    def load(self, content: ImageContent, codec: str, ours: Callable[[Digest], bool], progress: Progress) -> Loaded:
        """Load an image. `ours`: whether the engine got the image of that manifest from a build of this store.

        `codec` is that of the layers' blobs, as of `image.write.manifest_of`. GraphbuildError for what the engine refuses.
        """
        ...


def engine_of(kind: str, environment: Mapping[str, str]) -> Engine:
    """The engine of a kind, "docker", "podman" or "containerd[:NAMESPACE]"."""
    name, _, space = kind.partition(":")
    match name:
        case "docker":
            from graphbuild.image.engine.docker import Docker

            return Docker(environment)
        case "podman":
            from graphbuild.image.engine.podman import Podman

            return Podman(environment)
        case "containerd":
            from graphbuild.image.engine.containerd import Containerd

            return Containerd(environment, space)
        case _:
            raise mistake(f"{kind!r} is no engine", hint="docker, podman or containerd")
