"""The OCI image-spec 1.1 as values: descriptors, manifests, indexes, image configs, and their one canonical encoding.

Invariants: `encode` gives the same bytes for the same value (fields in declared order, maps sorted by key, what is unset
left out); `decode` tolerates and drops fields it does not know, and nulls where Go writes them. Reading takes OCI's and
Docker's schema 2 media types. Knows no files.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from graphbuild.values.config import Config, Healthcheck, Past
from graphbuild.values.digest import Digest

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"

INDEXES = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
LAYER_SUFFIX = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}  # codec → suffix of OCI_LAYER
LAYERS = frozenset(
    f"application/vnd.{name}"
    for name in (
        *(f"oci.image.layer.{kind}v1.tar{suffix}" for kind in ("", "nondistributable.") for suffix in ("", "+gzip", "+zstd")),
        *(f"docker.image.rootfs.{kind}diff.tar{suffix}" for kind in ("", "foreign.") for suffix in ("", ".gzip", ".zstd")),
    )
)

REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"
LAYOUT_FILE = b'{"imageLayoutVersion":"1.0.0"}'
LARGEST_DOCUMENT = 8 << 20  # bytes of a manifest, index or config; registries refuse beyond 4 MiB

T = TypeVar("T", bound=msgspec.Struct)
_encoder = msgspec.json.Encoder(order="deterministic")
_INT64 = 1 << 63
_PORT = re.compile(r"[0-9]+(-[0-9]+)?")


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """`architecture` and `os` in Go's words: amd64, arm64; linux."""

    architecture: str
    os: str
    variant: str | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A blob by digest. `size` in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: dict[str, str] | None = None
    platform: Platform | None = None


class Manifest(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One image for one platform: a config and layers, lowest first."""

    schema_version: int
    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str | None = None
    annotations: dict[str, str] | None = None


class Index(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Manifests, or further indexes. `index.json` of a layout is one."""

    schema_version: int
    manifests: tuple[Descriptor, ...]
    media_type: str | None = None
    annotations: dict[str, str] | None = None


class OciHealthcheck(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """Docker's extension of the config. Times in nanoseconds."""

    test: tuple[str, ...] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class OciConfig(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """The `config` object of an image config: what a container is started with."""

    user: str | None = None
    exposed_ports: dict[str, dict[str, str]] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    healthcheck: OciHealthcheck | None = None
    volumes: dict[str, dict[str, str]] | None = None
    working_dir: str | None = None
    on_build: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str | None = None
    shell: tuple[str, ...] | None = None


class RootFs(msgspec.Struct, frozen=True):
    """The layers' diff_ids, lowest first."""

    type: str
    diff_ids: tuple[str, ...] | None


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one layer, or a change of the config, came about, for people."""

    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """An image's config document; its digest is Docker's image id."""

    architecture: str
    os: str
    rootfs: RootFs
    created: str | None = None
    author: str | None = None
    variant: str | None = None
    config: OciConfig | None = None
    history: tuple[History, ...] | None = None


def encode(value: msgspec.Struct) -> bytes:
    """The canonical JSON of a document."""
    return _encoder.encode(value)


def blob_name(digest: Digest) -> str:
    """Where a blob lies in a layout."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def decode(data: bytes, kind: type[T]) -> T:
    """A document from JSON; ValueError says what is wrong with it."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def timestamp(epoch: int) -> str:
    """Seconds since 1970 as RFC 3339."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_oci(config: Config, diff_ids: Iterable[Digest], history: Iterable[Past], created: int) -> ImageConfig:
    """The image config of a stack; `history` has an entry a layer, and empty ones; `created` is seconds since 1970."""
    time = timestamp(created)
    return ImageConfig(
        architecture=config.architecture,
        os=config.os,
        rootfs=RootFs("layers", tuple(str(diff_id) for diff_id in diff_ids)),
        created=time,
        author=config.author or None,
        variant=config.variant or None,
        config=container_config(config),
        history=tuple(History(each.created or time, each.created_by, None, each.comment or None, each.empty or None) for each in history)
        or None,
    )


def container_config(config: Config) -> OciConfig:
    """The `config` object for what a container starts with."""
    return OciConfig(
        user=config.user or None,
        exposed_ports={port: {} for port in config.expose} or None,
        env=tuple(f"{name}={value}" for name, value in config.env) or None,
        entrypoint=config.entrypoint or None,
        cmd=config.cmd or None,
        healthcheck=_healthcheck_to_oci(config.healthcheck) if config.healthcheck else None,
        volumes={path: {} for path in config.volumes} or None,
        working_dir=config.workdir or None,
        on_build=config.on_build or None,
        labels=dict(config.labels) or None,
        stop_signal=config.stop_signal or None,
        shell=config.shell or None,
    )


def _healthcheck_to_oci(check: Healthcheck) -> OciHealthcheck:
    return OciHealthcheck(check.test, check.interval, check.timeout, check.start_period, check.start_interval, check.retries)


def pasts(image: ImageConfig) -> tuple[Past, ...]:
    """The history of an image; none where it does not have one entry a layer."""
    found = tuple(
        Past(each.created_by or "", bool(each.empty_layer), each.created or "", each.comment or "") for each in image.history or ()
    )
    return found if sum(not each.empty for each in found) == len(image.rootfs.diff_ids or ()) else ()


def from_oci(image: ImageConfig) -> Config:
    """The config of an image config. ValueError where a text holds what no process can be started with."""
    container = image.config or OciConfig()
    check = container.healthcheck
    config = Config(
        env=tuple({name: value for name, _, value in (text.partition("=") for text in container.env or ()) if name}.items()),
        user=container.user or "",
        workdir=container.working_dir or "",
        entrypoint=container.entrypoint or None,
        cmd=container.cmd or None,
        shell=container.shell or None,
        expose=tuple(sorted({f"{port}/tcp" if _PORT.fullmatch(port) else port for port in container.exposed_ports or {}})),
        volumes=tuple(sorted(container.volumes or {})),
        labels=tuple(sorted((container.labels or {}).items())),
        stop_signal=container.stop_signal or "",
        healthcheck=_healthcheck_from_oci(check) if check and check.test else None,
        on_build=container.on_build or (),
        author=image.author or "",
        os=image.os or "linux",
        architecture=image.architecture,
        variant=image.variant or "",
    )
    if any("\0" in text for text in _texts(msgspec.structs.astuple(config))):
        raise ValueError("a text of the image's config holds a NUL byte")
    return config


def _healthcheck_from_oci(check: OciHealthcheck) -> Healthcheck:
    if any(
        not -_INT64 <= number < _INT64
        for number in (check.interval, check.timeout, check.start_period, check.start_interval, check.retries)
    ):
        raise ValueError("a number of the image's healthcheck is out of range")
    return Healthcheck(check.test or (), check.interval, check.timeout, check.start_period, check.start_interval, check.retries)


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Healthcheck):
        yield from value.test
