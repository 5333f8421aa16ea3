"""`image`: a stack and a config as an OCI image, written in as many formats as asked for."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from graphbuild.rules import (
    Analysis,
    ConfigPatch,
    Context,
    Healthcheck,
    ImageExport,
    ImageIndex,
    ImageProvider,
    IndexProvider,
    Rule,
    Snapshot,
    Target,
)
from graphbuild.rules import Image as ImageAction

_PORT = re.compile(r"([0-9]{1,5})(-[0-9]{1,5})?(/(tcp|udp|sctp))?")
_TAG = re.compile(r"[a-z0-9]+([._/:@-]+[A-Za-z0-9_]+)*", re.IGNORECASE)

_NAMESPACE = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")  # containerd's identifiers
_ONE_PLATFORM = ("docker",)  # formats that hold no index
_LONGEST = 1e9  # seconds; in nanoseconds it still fits the 64 bits that runtimes have for it


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a runtime finds out whether the container is well. Times are in seconds; 0 leaves the choice to the runtime."""

    test: Annotated[str | tuple[str, ...], Meta(description='Text for the shell, a list to execute, or "none".')]
    interval: Annotated[float, Meta(ge=0, le=_LONGEST, description="Time between two checks.")] = 0
    timeout: Annotated[float, Meta(ge=0, le=_LONGEST, description="Time that a check may take.")] = 0
    start_period: Annotated[float, Meta(ge=0, le=_LONGEST, description="Time to start up, in which failures do not count.")] = 0
    start_interval: Annotated[float, Meta(ge=0, le=_LONGEST, description="Time between two checks while it starts up.")] = 0
    retries: Annotated[int, Meta(ge=0, le=1_000_000, description="Failures in a row that make it unhealthy.")] = 0


class ImageConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the image changes in the config that came down with the files; what is not said stays as it is."""

    entrypoint: Annotated[str | tuple[str, ...] | None, Meta(description="As in a Dockerfile; text goes to /bin/sh -c.")] = None
    cmd: Annotated[str | tuple[str, ...] | None, Meta(description="Likewise; an entrypoint without a cmd clears it.")] = None
    env: Annotated[dict[str, str], Meta(description="Variables to add or change.")] = {}
    user: Annotated[str | None, Meta(description="user[:group], names or ids.")] = None
    workdir: Annotated[str | None, Meta(description="The folder to start in.")] = None
    expose: Annotated[tuple[str | int, ...], Meta(description="Ports to add: 8080, 53/udp, 7000-7010/tcp.")] = ()
    volumes: Annotated[tuple[str, ...], Meta(description="Folders to add.")] = ()
    labels: Annotated[dict[str, str], Meta(description="Labels to add or change.")] = {}
    stop_signal: Annotated[str | None, Meta(description="The signal that asks it to end.")] = None
    shell: Annotated[tuple[str, ...] | None, Meta(description="What runs commands that are text, for those who build on the image.")] = None
    healthcheck: Annotated[Check | None, Meta(description="How a runtime finds out whether the container is well.")] = None
    author: Annotated[str | None, Meta(description="Who made the image.")] = None
    on_build: Annotated[
        tuple[str, ...] | None, Meta(description="Instructions for Dockerfiles that begin with this image; [] takes those below away.")
    ] = None


class To(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the image is to be; several places may be said, and none."""

    oci: Annotated[str, Meta(description="An OCI layout: a folder of the package.")] = ""
    archive: Annotated[str, Meta(description="The same as an archive.")] = ""
    docker: Annotated[str, Meta(description="An archive that `docker load` reads; or `daemon`: Docker itself has the image.")] = ""
    podman: Annotated[Literal["", "storage"], Meta(description="`storage`: Podman has the image.")] = ""
    containerd: Annotated[str, Meta(description="containerd has the image, in this namespace: k8s.io.")] = ""


class Image(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The config, the names and the places of an image."""

    config: Annotated[ImageConfig, Meta(description="Changes to the config that came down with the files.")] = ImageConfig()
    labels: Annotated[dict[str, str], Meta(description="Labels to add or change; the same as in `config`.")] = {}
    annotations: Annotated[dict[str, str], Meta(description="Annotations of the manifest; in no key.")] = {}
    tags: Annotated[tuple[str, ...], Meta(description="References to give it: registry.example/web:1.0; in no key.")] = ()
    compression: Annotated[
        Literal["", "gzip", "zstd", "none"], Meta(description="Of its layers; by default what graphbuild.yaml says.")
    ] = ""
    to: Annotated[To, Meta(description="Where to write it.")] = To()


def words(value: str | tuple[str, ...] | None) -> tuple[str, ...] | None:
    """An entrypoint or cmd as a config has it."""
    return ("/bin/sh", "-c", value) if isinstance(value, str) else value


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _check(check: Check | None) -> Healthcheck | None:
    if check is None:
        return None
    test = check.test
    words = ("NONE",) if test == "none" else ("CMD-SHELL", test) if isinstance(test, str) else ("CMD", *test)
    return Healthcheck(
        words,
        interval=_nanoseconds(check.interval),
        timeout=_nanoseconds(check.timeout),
        start_period=_nanoseconds(check.start_period),
        start_interval=_nanoseconds(check.start_interval),
        retries=check.retries,
    )


def ports(context: Context, values: tuple[str | int, ...], *where: str | int) -> tuple[str, ...]:
    """Ports as a config has them: 8080/tcp. `where` they are said below the target."""
    found = []
    for index, port in enumerate(values):
        text = str(port)
        if not _PORT.fullmatch(text):
            raise context.mistake(f"{text!r} is not a port", *where, index, hint="a number, or number/tcp, number/udp, number/sctp")
        found.append(text if "/" in text else f"{text}/tcp")
    return tuple(found)


def _patch(context: Context, attributes: Image) -> ConfigPatch:
    config = attributes.config
    labels = {**config.labels, **attributes.labels}
    return ConfigPatch(
        env=tuple(config.env.items()),
        user=config.user,
        workdir=config.workdir,
        entrypoint=words(config.entrypoint),
        cmd=words(config.cmd),
        shell=config.shell,
        expose=ports(context, config.expose, "image", "config", "expose"),
        volumes=config.volumes,
        labels=tuple(sorted(labels.items())),
        stop_signal=config.stop_signal,
        healthcheck=_check(config.healthcheck),
        author=config.author,
        on_build=config.on_build,
    )


def _delivery(attributes: Image, context: Context) -> tuple[dict[str, str], tuple[str, ...]]:
    """Where an image goes: a path for each format that is wanted, and engines.

    Of an index the layouts hold all of it. Docker's archives, and engines, are given the image for this machine.
    """
    to = attributes.to
    for index, tag in enumerate(attributes.tags):
        if not _TAG.fullmatch(tag):
            raise context.mistake(f"{tag!r} is not an image reference", "image", "tags", index, hint="for example registry.example/web:1.0")
    if to.containerd and not _NAMESPACE.fullmatch(to.containerd):
        raise context.mistake(f"{to.containerd!r} is not a namespace of containerd", "image", "to", "containerd", hint="such as k8s.io")
    formats = {"oci": to.oci, "oci-archive": to.archive, "docker": "" if to.docker == "daemon" else to.docker}
    engines = (("docker", to.docker == "daemon"), ("podman", to.podman), (f"containerd:{to.containerd}", to.containerd))
    return {format_: path for format_, path in formats.items() if path}, tuple(kind for kind, wanted in engines if wanted)


def _exports(context: Context, formats: Mapping[str, str], *chosen: str) -> tuple[ImageExport, ...]:
    return tuple(ImageExport(format_, context.path(path)) for format_, path in formats.items() if format_ in chosen)


def image(context: Context, attributes: Image) -> Analysis:
    if not context.has_from:
        raise context.mistake("an image needs files", hint="say which: `from: TARGET`")
    formats, engines = _delivery(attributes, context)
    below = context.snapshot
    offered = Snapshot(below.layers, (*below.config, _patch(context, attributes)), below.needs)
    settings = context.settings
    action = ImageAction(
        offered.layers,
        offered.config,
        attributes.tags,
        tuple(sorted(attributes.annotations.items())),
        attributes.compression,
        _exports(context, formats, *(_ONE_PLATFORM if context.is_part else formats)),
        engines,
        settings.platform,
    )
    if context.is_part and settings.platform != settings.build_platform:
        action = msgspec.structs.replace(action, tags=(), exports=(), engines=())
    return Analysis((("image", action),), (ImageProvider(context.ref("image")), offered))


def index(context: Context, attributes: Image, parts: Sequence[tuple[str, Target]]) -> Analysis:
    formats, engines = _delivery(attributes, context)
    platforms = [platform for platform, _ in parts]
    if (engines or "docker" in formats) and context.settings.build_platform not in platforms:
        what = f"this machine's, {context.settings.build_platform}, is not among {', '.join(platforms)}"
        hint = "write an `oci` layout or an `archive`, which hold all of them"
        raise context.mistake(f"Docker's archives and engines take one platform's image, and {what}", "image", "to", hint=hint)
    images = tuple((platform, provider.image) for platform, target in parts if (provider := target.get(ImageProvider)))
    action = ImageIndex(
        images,
        attributes.tags,
        tuple(sorted(attributes.annotations.items())),
        attributes.compression,
        _exports(context, formats, "oci", "oci-archive"),
    )
    return Analysis((("index", action),), (IndexProvider(context.ref("index"), images),))


RULES = (Rule("image", "output", Image, image, index=index, doc="An OCI image; of several `platforms`, an index of one for each."),)
