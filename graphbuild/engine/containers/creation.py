"""Making a container: what was asked for merged with its image's config, as Docker's engine merges them, and a folder and a row for it."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from graphbuild.engine.containers import assemble, names
from graphbuild.engine.containers.model import Chosen, Mount, Spec
from graphbuild.engine.containers.place import Opened
from graphbuild.engine.containers.shelf import Container, failed
from graphbuild.engine.quantities import parse_signal
from graphbuild.sandbox.trampoline import DOCKERS
from graphbuild.values.config import Config, Healthcheck
from graphbuild.values.errors import GraphbuildError, mistake

_TRIES = 20  # names
_LONGEST_HOSTNAME = 63


class Asked(Chosen, frozen=True, kw_only=True):
    """What a command line asks for. None: what the image says. `volumes`: paths of anonymous volumes."""

    image: str
    command: tuple[str, ...] = ()
    name: str = ""
    entrypoint: tuple[str, ...] | None = None
    env: tuple[tuple[str, str], ...] = ()
    unset: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    user: str | None = None
    workdir: str | None = None
    hostname: str = ""
    volumes: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None
    stop_signal: str | None = None
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


def create(opened: Opened, asked: Asked) -> Container:
    """Make a container that does not run yet."""
    shelf = opened.shelf
    shelf.sweep()
    image = opened.library.find(asked.image)
    config = merge(opened.library.config(image), asked)
    if not (config.entrypoint or config.cmd):
        raise failed("no command: the image has neither CMD nor ENTRYPOINT", "name one after the image")
    id_ = os.urandom(32).hex()
    hostname = asked.hostname or id_[:12]
    if len(os.fsencode(hostname)) > _LONGEST_HOSTNAME or "\0" in hostname:
        raise mistake(f"host name {hostname!r} is too long", hint="at most 63 bytes")
    chosen = {name: getattr(asked, name) for name in Chosen.__struct_fields__}
    spec = Spec(
        **{**chosen, "mounts": _mounts(config, asked)},
        image=image,
        image_name=asked.image,
        created=time.time_ns(),
        config=config,
        hostname=hostname,
        capabilities=_capabilities(asked),
    )
    if config.stop_signal:
        _checked_signal(config.stop_signal)
    with shelf.new_folder(id_) as folder:
        for name in ("upper", "work", "stub"):
            (folder / name).mkdir(mode=0o755)
        stack = opened.forms.stack(opened.library.outputs(image))
        assemble.write_stub(stack, folder / "stub", 0)
        assemble.set_root(stack, folder / "upper")
        return _put(opened, Container(id_, asked.name, spec, folder))


def _put(opened: Opened, container: Container) -> Container:
    if container.name:
        return opened.shelf.put(container)
    for attempt in range(_TRIES):
        name = names.new_name() + (str(attempt) if attempt else "")
        try:
            return opened.shelf.put(msgspec.structs.replace(container, name=name))
        except GraphbuildError:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("a loop that returns or raises")


def _checked_signal(text: str) -> None:
    try:
        parse_signal(text)
    except ValueError as error:
        raise mistake(str(error)) from None


def merge(image: Config, asked: Asked) -> Config:
    """What the container runs with."""
    said, inherited = dict(asked.env), dict(image.env)  # those of the command line come first, as in Docker's config
    env = {name: value for name, value in {**said, **inherited, **said}.items() if name not in asked.unset}
    entrypoint, cmd = image.entrypoint, asked.command or image.cmd
    if asked.entrypoint is not None:
        entrypoint, cmd = asked.entrypoint or None, asked.command or None
    elif asked.command:
        cmd = asked.command
    return msgspec.structs.replace(
        image,
        env=tuple(env.items()),
        labels=tuple(sorted({**dict(image.labels), **dict(asked.labels)}.items())),
        user=image.user if asked.user is None else asked.user,
        workdir=image.workdir if asked.workdir is None else asked.workdir,
        entrypoint=entrypoint,
        cmd=cmd,
        expose=tuple(sorted({*image.expose, *asked.expose})),
        volumes=tuple(sorted({*image.volumes, *asked.volumes})),
        healthcheck=_healthcheck(image.healthcheck, asked.healthcheck),
        stop_signal=image.stop_signal if asked.stop_signal is None else asked.stop_signal,
    )


def _healthcheck(image: Healthcheck | None, asked: Healthcheck | None) -> Healthcheck | None:
    """What is not said is the image's."""
    if asked is None or image is None:
        return asked if asked is not None and asked.test else image
    if asked.test[:1] == ("NONE",):
        return asked
    fields = {name: getattr(asked, name) or getattr(image, name) for name in asked.__struct_fields__}
    return Healthcheck(**fields)


def _mounts(config: Config, asked: Asked) -> tuple[Mount, ...]:
    """The mounts, and an anonymous volume for each VOLUME at which nothing is mounted."""
    found: dict[str, Mount] = {}
    for mount in asked.mounts:
        to = os.path.normpath(mount.to)
        assemble.place_of(to)
        if to in found:
            raise mistake(f"two mounts at {to}", hint="give each a destination of its own")
        found[to] = msgspec.structs.replace(mount, to=to, source=_source(mount), anonymous=mount.kind == "volume" and not mount.source)
    for path in config.volumes:
        to = os.path.normpath(os.path.join("/", path))
        if to not in found:
            assemble.place_of(to)
            found[to] = Mount("volume", to, _new_volume(), anonymous=True)
    return tuple(found.values())


def _source(mount: Mount) -> str:
    if mount.kind != "volume":
        return mount.source
    return mount.source or _new_volume()


def _new_volume() -> str:
    return os.urandom(32).hex()


def _capabilities(asked: Asked) -> int:
    """Docker's, more or less, as bits."""
    held = assemble.capabilities_held()
    every = (1 << _last_capability() + 1) - 1
    kept = every if asked.privileged else DOCKERS
    for adding, texts in ((False, asked.drop), (True, asked.add)):
        for text in texts:
            bits = every if text.upper() == "ALL" else _bit(text)
            kept = kept | bits if adding else kept & ~bits
    explicit = [text for text in asked.add if text.upper() != "ALL" and _bit(text) & ~held]
    if explicit:
        raise failed(f"cannot add {explicit[0]}: this user does not hold it here", "run it as root of the machine, or leave it out")
    return kept & held


def _last_capability() -> int:
    from graphbuild.sandbox.container import last_capability

    return last_capability()


_NAMES = (  # noqa: SIM905 - one line of words reads better
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service net_broadcast net_admin "
    "net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time "
    "sys_tty_config mknod lease audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon "
    "bpf checkpoint_restore"
).split()


def _bit(text: str) -> int:
    name = text.lower().removeprefix("cap_")
    if name not in _NAMES:
        raise mistake(f"unknown capability {text!r}", hint="for example NET_ADMIN, or ALL")
    return 1 << _NAMES.index(name)


def capability_names(bits: int) -> Sequence[str]:
    return [f"CAP_{name.upper()}" for number, name in enumerate(_NAMES) if bits >> number & 1]


def volume_folder(root: Path, name: str) -> Path:
    return root / "volumes" / name
