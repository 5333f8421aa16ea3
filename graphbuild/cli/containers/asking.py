"""From the options of `create` and `run` to what is asked for: Docker's ways to write a variable, a mount, a limit."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, TypeVar, cast

import msgspec

from graphbuild.cli.containers.grammar import Grammar, Parsed, wrong
from graphbuild.engine.changes import parse_ports
from graphbuild.engine.containers.creation import Asked
from graphbuild.engine.containers.model import STOP_TIMEOUT, Mount
from graphbuild.engine.containers.shelf import NAME
from graphbuild.engine.quantities import parse_duration, parse_signal, parse_size
from graphbuild.values.config import Healthcheck
from graphbuild.values.errors import mistake

_PROPAGATION = (
    "rprivate",
    "private",
    "rshared",
    "shared",
    "rslave",
    "slave",
    "z",
    "Z",
    "nocopy",
    "ro",
    "rw",
    "consistent",
    "cached",
    "delegated",
)
_NO_PORTS = "ports cannot be published: there is no network of containers' own"
Value = TypeVar("Value")


def asked(grammar: Grammar, options: Parsed) -> Asked:
    """GraphbuildError (2) for what is wrong, or cannot be had."""
    if options.texts("publish") or options.flag("publish_all"):
        raise mistake(_NO_PORTS, hint="with --network host, the default, its ports are open on this machine as they are; leave out -p")
    network = options.text("network") or "host"
    if network not in ("none", "host"):
        raise mistake(f"there is no network {network!r}", hint="--network host shares the machine's, --network none has nothing but lo")
    mounts, volumes = _mounts(options)
    env, unset = _env(options)
    entrypoint = options.text("entrypoint")
    detached = options.flag("detach")
    interactive = options.flag("interactive")
    memory = _value("--memory", options.text("memory"), parse_size) or 0
    return Asked(
        image=options.words[0],
        command=tuple(options.words[1:]),
        name=options.text("name") or "",
        entrypoint=None if entrypoint is None else (entrypoint,) if entrypoint else (),
        env=env,
        unset=unset,
        labels=tuple(_pairs([*_lines(options.texts("label_file")), *options.texts("label")])),
        user=options.text("user"),
        workdir=_workdir(options.text("workdir")),
        hostname=options.text("hostname") or "",
        network=cast("Literal['none', 'host']", network),
        mounts=tuple(mounts),
        volumes=tuple(volumes),
        expose=tuple(port for text in options.texts("expose") for port in _value("--expose", text, parse_ports) or ()),
        healthcheck=_healthcheck(grammar, options),
        stop_signal=_signal(options.text("stop_signal")),
        stop_timeout=_number(grammar, options, "stop_timeout", STOP_TIMEOUT),
        add=tuple(options.texts("cap_add")),
        drop=tuple(options.texts("cap_drop")),
        privileged=options.flag("privileged"),
        read_only=options.flag("read_only"),
        tty=options.flag("tty"),
        open_stdin=interactive,
        once=interactive and not detached,
        auto_remove=options.flag("rm"),
        init=options.flag("init"),
        memory=memory,
        processes=max(0, int(_number(grammar, options, "pids_limit", 0))),
        hosts=tuple(_host(text) for text in options.texts("add_host")),
        dns=tuple(options.texts("dns")),
    )


def _value(name: str, text: str | None, parse: Callable[[str], Value]) -> Value | None:
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise mistake(f"{name}: {error}") from None


def _number(grammar: Grammar, options: Parsed, key: str, default: float) -> float:
    text = options.text(key)
    if text is None:
        return default
    try:
        return float(int(text))
    except ValueError:
        raise wrong(grammar, f"--{key.replace('_', '-')} is a number, not {text!r}") from None


def _workdir(text: str | None) -> str | None:
    if text is not None and not text.startswith("/"):
        raise mistake(f"the working directory {text!r} is not an absolute path", hint="start it with /")
    return text


def _signal(text: str | None) -> str | None:
    _value("--stop-signal", text, parse_signal)
    return text


def _lines(files: Iterable[str]) -> list[str]:
    found = []
    for name in files:
        try:
            text = Path(name).read_text("utf-8", "surrogateescape")
        except OSError as error:
            raise mistake(f"cannot read {name}: {error.strerror}") from None
        found += [line.lstrip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return found


def _env(options: Parsed) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Variables to set, and those that a bare NAME takes away, since this environment does not have it."""
    found, unset = variables(options)
    return tuple(found.items()), tuple(unset)


def variables(options: Parsed) -> tuple[dict[str, str], list[str]]:
    """`-e` and `--env-file`."""
    found: dict[str, str] = {}
    unset = []
    for text in (*_lines(options.texts("env_file")), *options.texts("env")):
        name, equals, value = text.partition("=")
        if not name or "\0" in text:
            raise mistake(f"{text!r} is not NAME=VALUE")
        if equals:
            found[name] = value
        elif name in os.environ:
            found[name] = os.environ[name]
        else:
            unset.append(name)
    return found, unset


def _pairs(texts: Iterable[str]) -> list[tuple[str, str]]:
    pairs = []
    for text in texts:
        name, _, value = text.partition("=")
        if not name:
            raise mistake(f"{text!r} is not NAME=VALUE")
        pairs.append((name, value))
    return pairs


def _host(text: str) -> tuple[str, str]:
    name, colon, address = text.partition(":")
    if not colon or not name or not address:
        raise mistake(f"--add-host {text}: it is NAME:ADDRESS")
    return name, address


def _healthcheck(grammar: Grammar, options: Parsed) -> Healthcheck | None:
    command = options.text("health_cmd")
    times = {
        key: _value(f"--health-{key.replace('_', '-')}", options.text(f"health_{key}"), parse_duration) or 0
        for key in ("interval", "timeout", "start_period", "start_interval")
    }
    retries = int(_number(grammar, options, "health_retries", 0))
    if options.flag("no_healthcheck"):
        if command or retries or any(times.values()):
            raise wrong(grammar, "--no-healthcheck and --health-… exclude each other")
        return Healthcheck(("NONE",))
    if command is None and not retries and not any(times.values()):
        return None
    return Healthcheck(("CMD-SHELL", command) if command else (), retries=retries, **times)


def _mounts(options: Parsed) -> tuple[list[Mount], list[str]]:
    mounts, volumes = [], []
    for text in options.texts("volume"):
        made = _volume(text)
        if isinstance(made, str):
            volumes.append(made)
        else:
            mounts.append(made)
    mounts += [_mount(text) for text in options.texts("mount")]
    mounts += [_tmpfs(text) for text in options.texts("tmpfs")]
    return mounts, volumes


def _volume(text: str) -> Mount | str:
    """`SOURCE:TO[:OPTIONS]`, or `TO` alone for an anonymous volume."""
    parts = text.split(":")
    if len(parts) == 1:
        return parts[0]
    if len(parts) > 3 or not parts[0] or not parts[1]:
        raise mistake(f"-v {text}: it is SOURCE:TO[:ro]", hint="a source with / is a path, another one a volume's name")
    source, to, *rest = parts
    words = rest[0].split(",") if rest else []
    unknown = [word for word in words if word not in _PROPAGATION]
    if unknown:
        raise mistake(f"-v {text}: unknown option {unknown[0]!r}", hint="ro, rw or nocopy")
    read_only, copy = "ro" in words, "nocopy" not in words
    if source.startswith(("/", ".", "~")):
        place = os.path.abspath(os.path.expanduser(source))
        if not os.path.exists(place):
            os.makedirs(place, exist_ok=True)  # as Docker does
        return Mount("bind", to, place, read_only)
    _named(source)
    return Mount("volume", to, source, read_only, copy)


def _named(name: str) -> None:
    if not NAME.fullmatch(name):
        raise mistake(f"{name!r} is no name for a volume", hint="two or more letters, digits, '_', '.' and '-'; a path begins with / or .")


def _mount(text: str) -> Mount:
    """`type=…,source=…,target=…`."""
    fields: dict[str, str] = {}
    for part in _csv(text):
        name, equals, value = part.partition("=")
        fields[name.lower()] = value if equals else "true"
    kind = fields.pop("type", "volume")
    source = fields.pop("source", "") or fields.pop("src", "")
    to = next((fields.pop(name) for name in ("target", "dst", "destination") if name in fields), "")
    read_only = any(fields.pop(name, "false") in ("true", "1") for name in ("readonly", "ro"))
    copy = fields.pop("volume-nocopy", "false") not in ("true", "1")
    size = _value("tmpfs-size", fields.pop("tmpfs-size", None), parse_size) or 0
    mode = _value("tmpfs-mode", fields.pop("tmpfs-mode", "1777"), lambda octal: int(octal, 8)) or 0
    for ignored in ("bind-propagation", "consistency", "bind-nonrecursive"):
        fields.pop(ignored, None)
    if fields:
        raise mistake(f"--mount {text}: unknown key {next(iter(fields))!r}", hint="type, source, target, readonly")
    if kind not in ("bind", "volume", "tmpfs") or not to:
        raise mistake(f"--mount {text}: it needs a target, and a type of bind, volume or tmpfs")
    if kind == "bind":
        if not os.path.isabs(source) or not os.path.exists(source):
            raise mistake(f"--mount {text}: bind source path {source!r} does not exist", hint="an absolute path that is there")
        return Mount("bind", to, os.path.abspath(source), read_only)
    if kind == "tmpfs":
        return Mount("tmpfs", to, read_only=read_only, size=size, mode=mode)
    if source:
        _named(source)
    return Mount("volume", to, source, read_only, copy)


def _csv(text: str) -> list[str]:
    import csv

    return next(csv.reader([text]), [])


def _tmpfs(text: str) -> Mount:
    to, _, rest = text.partition(":")
    made = Mount("tmpfs", to)
    for word in filter(None, rest.split(",")):
        name, _, value = word.partition("=")
        if name == "size":
            made = msgspec.structs.replace(made, size=_value("--tmpfs size", value, parse_size) or 0)
        elif name == "mode":
            made = msgspec.structs.replace(made, mode=_value("--tmpfs mode", value, lambda octal: int(octal, 8)) or 0)
        elif name in ("ro", "rw"):
            made = msgspec.structs.replace(made, read_only=name == "ro")
        elif name not in ("noexec", "nosuid", "nodev"):
            raise mistake(f"--tmpfs {text}: unknown option {name!r}", hint="size=, mode=, ro or rw; it is always noexec, nosuid and nodev")
    return made
