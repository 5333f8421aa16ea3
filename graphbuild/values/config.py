"""An image's config as it flows down the graph, and the patches that targets put on it.

Field names are ours; `image/` maps them to OCI image-spec's `config` object.
"""

import msgspec


class Healthcheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Docker's HEALTHCHECK. `test` is ["NONE"], ["CMD", …] or ["CMD-SHELL", command]; times are in nanoseconds."""

    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Config(msgspec.Struct, frozen=True):
    """What a container of the image starts with. `env` and `labels` are pairs, in order; None means not set."""

    env: tuple[tuple[str, str], ...] = ()
    user: str = ""
    workdir: str = ""
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    shell: tuple[str, ...] | None = None
    expose: tuple[str, ...] = ()  # "8080/tcp", sorted
    volumes: tuple[str, ...] = ()  # sorted
    labels: tuple[tuple[str, str], ...] = ()  # sorted
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None
    on_build: tuple[str, ...] = ()
    author: str = ""
    os: str = "linux"
    architecture: str = ""  # "" until a base or the build's platform says
    variant: str = ""


class Past(msgspec.Struct, frozen=True):
    """An entry of an image's history: what made a layer or, if it is `empty`, changed the config alone. `created` is as in RFC 3339."""

    created_by: str
    empty: bool = False
    created: str = ""
    comment: str = ""


class ConfigPatch(msgspec.Struct, frozen=True):
    """Changes to a Config. None leaves a field alone; `env` and `labels` are merged by name, expose and volumes added."""

    env: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    workdir: str | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    shell: tuple[str, ...] | None = None
    expose: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    stop_signal: str | None = None
    healthcheck: Healthcheck | None = None
    on_build: tuple[str, ...] | None = None
    author: str | None = None
    architecture: str | None = None
    variant: str | None = None


_PLAIN = ("user", "workdir", "entrypoint", "cmd", "shell", "stop_signal", "healthcheck", "on_build", "author", "architecture", "variant")


def apply_patch(config: Config, patch: ConfigPatch) -> Config:
    """The config after the patch. An entrypoint without a cmd clears the inherited cmd, as Docker does."""
    changes: dict[str, object] = {name: value for name in _PLAIN if (value := getattr(patch, name)) is not None}
    if patch.entrypoint is not None and patch.cmd is None:
        changes["cmd"] = None
    if patch.workdir is not None and not patch.workdir.startswith("/"):
        changes["workdir"] = "/".join((config.workdir.rstrip("/") or "", patch.workdir)) or "/"
    if patch.env:
        changes["env"] = tuple({**dict(config.env), **dict(patch.env)}.items())
    if patch.labels:
        changes["labels"] = tuple(sorted({**dict(config.labels), **dict(patch.labels)}.items()))
    if patch.expose:
        changes["expose"] = tuple(sorted({*config.expose, *patch.expose}))
    if patch.volumes:
        changes["volumes"] = tuple(sorted({*config.volumes, *patch.volumes}))
    return msgspec.structs.replace(config, **changes) if changes else config
