"""What a step, and what an image, must say of a config so that it is the one a Dockerfile makes. Plain data of a build.yaml."""

from typing import Any

import msgspec

from graphbuild.rules import Config, Healthcheck
from graphbuild_dockerfile.messages import wrong

Data = dict[str, Any]
_SHELL = ("/bin/sh", "-c")
_SECOND = 10**9
_LONGEST = 10**9  # seconds
_MOST = 1_000_000  # retries


def step_config(flowed: Config, wanted: Config) -> tuple[Data, Config]:
    """The attributes of a target on which `flowed` comes down, and the config that it hands on."""
    data: Data = {}
    env = _added(flowed.env, wanted.env)
    if env:
        data["env"] = env
    if wanted.user != flowed.user:
        data["user"] = wanted.user
    if (wanted.workdir or "/") != (flowed.workdir or "/"):
        data["workdir"] = wanted.workdir
    if wanted.shell != flowed.shell and wanted.shell:
        data["shell"] = list(wanted.shell)
    workdir = wanted.workdir if "workdir" in data else flowed.workdir
    passed = msgspec.structs.replace(
        flowed,
        env=tuple({**dict(flowed.env), **env}.items()),
        user=wanted.user,
        workdir=workdir,
        shell=wanted.shell or flowed.shell,
    )
    return data, passed


def _added(below: tuple[tuple[str, str], ...], wanted: tuple[tuple[str, str], ...]) -> dict[str, str]:
    known = dict(below)
    return {name: value for name, value in wanted if known.get(name) != value}


def image_config(flowed: Config, bottom: Config, wanted: Config) -> Data:
    """The `config` of an image. `flowed` comes down with its files; `bottom` is the image below all, whose other fields do."""
    data = _commands(bottom, wanted)
    said: Data = {
        "env": _added(flowed.env, wanted.env),
        "expose": [_port(port) for port in wanted.expose if port not in bottom.expose],
        "volumes": [path for path in wanted.volumes if path not in bottom.volumes],
        "labels": _added(bottom.labels, wanted.labels),
    }
    data |= {name: value for name, value in said.items() if value}
    if wanted.user != flowed.user:
        data["user"] = wanted.user
    if wanted.workdir and wanted.workdir != flowed.workdir:
        data["workdir"] = wanted.workdir
    if wanted.shell and wanted.shell != flowed.shell:
        data["shell"] = list(wanted.shell)
    for name in ("stop_signal", "author"):
        if getattr(wanted, name) != getattr(bottom, name):
            data[name] = getattr(wanted, name)
    if wanted.healthcheck is not None and wanted.healthcheck != bottom.healthcheck:
        data["healthcheck"] = _check(wanted.healthcheck)
    if wanted.on_build != bottom.on_build:
        data["on_build"] = list(wanted.on_build)
    return data


def _commands(bottom: Config, wanted: Config) -> Data:
    """Entrypoint and cmd. An image that says an entrypoint and no cmd clears the one below."""
    data: Data = {}
    if wanted.entrypoint is not None and (wanted.entrypoint != bottom.entrypoint or (bottom.cmd is not None and wanted.cmd is None)):
        data["entrypoint"] = _words(wanted.entrypoint)
    if wanted.cmd is not None and (wanted.cmd != bottom.cmd or "entrypoint" in data):
        data["cmd"] = _words(wanted.cmd)
    return data


def _words(words: tuple[str, ...]) -> str | list[str]:
    return words[2] if len(words) == 3 and words[:2] == _SHELL and words[2] else list(words)


def _port(port: str) -> int | str:
    number, _, protocol = port.partition("/")
    return int(number) if protocol == "tcp" and number.isdigit() else port


def _check(check: Healthcheck) -> Data:
    kind, *words = check.test
    if kind == "NONE":
        return {"test": "none"}
    if kind == "CMD-SHELL" and (words[0] == "none" or len(words) > 1):
        raise wrong(f"HEALTHCHECK CMD {words[0]} does not convert", "write it as a JSON array")
    data: Data = {"test": words[0] if kind == "CMD-SHELL" else words}
    times = ("interval", "timeout", "start_period", "start_interval")
    for name in times:
        value = getattr(check, name)
        seconds = value // _SECOND if value % _SECOND == 0 else value / _SECOND
        if value and (round(seconds * 1e9) != value or not 0 < seconds <= _LONGEST):
            raise wrong(f"a health check's {name} of {value} ns does not convert", "times are seconds, to 1e9")
        data |= {name: seconds} if value else {}
    if check.retries > _MOST:
        raise wrong(f"{check.retries} retries of a health check do not convert", f"at most {_MOST}")
    return data | ({"retries": check.retries} if check.retries else {})
