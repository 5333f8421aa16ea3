"""Changes that `container commit -c` and `image import -c` make to an image's config: instructions as a Dockerfile has them.

Pure: a config and texts in, a config out. It knows the eleven instructions that change nothing but a config, as Docker's engine
applies them: variables of the config's own environment are expanded where a Dockerfile expands them, an ENTRYPOINT clears a CMD
that was not changed here too, a relative WORKDIR is below the one before.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from graphbuild.engine.quantities import parse_duration, parse_signal
from graphbuild.values.config import Config, Healthcheck
from graphbuild.values.errors import mistake

_SHELL = ("/bin/sh", "-c")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.IGNORECASE)
_PIECE = re.compile(
    r"""\\(?P<escaped>.)|'(?P<single>[^']*)'|(?P<quote>")|\$\{(?P<braced>\w+)(?:(?P<how>:[-+])(?P<word>[^}]*))?\}|\$(?P<name>\w+)"""
    r"""|(?P<space>\s+)|(?P<plain>[^\\'"$\s]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_TIMES = ("interval", "timeout", "start-period", "start-interval")


def apply_changes(config: Config, changes: Sequence[str]) -> Config:
    """The config after the changes, in order; each may hold several lines. GraphbuildError for what is no such change."""
    cmd_set = False
    for change in changes:
        for name, rest in _instructions(change):
            apply = _KNOWN.get(name)
            if apply is None:
                raise mistake(f"{name} is not a change of an image's config", hint=f"it takes {', '.join(sorted(_KNOWN))}")
            try:
                config = apply(config, rest)
            except ValueError as error:
                raise mistake(f"change {name} {rest}: {error}") from None
            cmd_set = cmd_set or name == "CMD"
            if name == "ENTRYPOINT" and not cmd_set:
                config = msgspec.structs.replace(config, cmd=None)
    return config


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    """The instructions of a text: continued lines joined, comments and empty lines left out."""
    joined = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        joined += line.strip()
        if joined.endswith("\\"):
            joined = joined[:-1]
            continue
        if joined:
            name, _, rest = joined.partition(" ")
            yield name.upper(), rest.strip()
        joined = ""
    if joined:
        name, _, rest = joined.partition(" ")
        yield name.upper(), rest.strip()


def _words(text: str, env: Mapping[str, str] | None) -> list[str]:
    """A text split at spaces as a shell does, quotes removed; with `env` variables are replaced, without it they stay."""
    words: list[str] = []
    current: str | None = None
    quoted = False
    at = 0
    while at < len(text):
        found = _PIECE.match(text, at)
        if found is None:
            break
        at = found.end()
        piece = found.group()
        if found["quote"]:
            quoted = not quoted
            piece = ""
        elif found["space"] and not quoted:
            if current is not None:
                words.append(current)
            current = None
            continue
        elif found["escaped"] is not None:
            piece = found["escaped"] if not quoted or found["escaped"] in '"\\$' else piece
        elif found["single"] is not None:
            piece = piece if quoted else found["single"]
        elif (found["braced"] or found["name"]) and env is not None:
            piece = _value(found, env)
        current = (current or "") + piece
    if quoted:
        raise ValueError("a quote is not closed")
    return words if current is None else [*words, current]


def _value(found: "re.Match[str]", env: Mapping[str, str]) -> str:
    value = env.get(found["braced"] or found["name"], "")
    if found["how"] == ":-":
        return value or found["word"]
    if found["how"] == ":+":
        return found["word"] if value else ""
    return value


def _list(text: str) -> list[str] | None:
    """The words of a JSON list of texts; None for what is none, which is then taken as it stands."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(word, str) for word in found) else None


def _command(config: Config, text: str) -> tuple[str, ...] | None:
    words = _list(text)
    if words is not None:
        return tuple(words) or None
    if not text:
        raise ValueError("a command is missing")
    return (*(config.shell or _SHELL), text)


def _expanded(config: Config, text: str) -> list[str]:
    words = _words(text, dict(config.env))
    if not words:
        raise ValueError("its value is missing")
    return words


def _one(config: Config, text: str) -> str:
    return " ".join(_expanded(config, text))


def _pairs(config: Config, text: str) -> dict[str, str]:
    """`A=1 B="2 3"`, or the old form `A the rest`."""
    name, _, rest = text.partition(" ")
    if "=" not in name:
        if not rest.strip():
            raise ValueError("it takes NAME=VALUE")
        return {name: " ".join(_words(rest, dict(config.env)))}
    found = {}
    for word in _expanded(config, text):
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ValueError(f"{word!r} is not NAME=VALUE")
        found[key] = value
    return found


def _cmd(config: Config, text: str) -> Config:
    return msgspec.structs.replace(config, cmd=_command(config, text))


def _entrypoint(config: Config, text: str) -> Config:
    return msgspec.structs.replace(config, entrypoint=_command(config, text))


def _env(config: Config, text: str) -> Config:
    return msgspec.structs.replace(config, env=tuple({**dict(config.env), **_pairs(config, text)}.items()))


def _label(config: Config, text: str) -> Config:
    return msgspec.structs.replace(config, labels=tuple(sorted({**dict(config.labels), **_pairs(config, text)}.items())))


def parse_ports(text: str) -> list[str]:
    """`8080`, `53/udp` or `8000-8003`, one by one, each with its protocol."""
    found = _PORT.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not found or last < first or last > 65535:
        raise ValueError(f"{text!r} is not a port: 8080, 53/udp or 8000-8003")
    return [f"{port}/{(found[3] or 'tcp').lower()}" for port in range(first, last + 1)]


def _expose(config: Config, text: str) -> Config:
    ports = [port for word in _expanded(config, text) for port in parse_ports(word)]
    return msgspec.structs.replace(config, expose=tuple(sorted({*config.expose, *ports})))


def _volume(config: Config, text: str) -> Config:
    listed = _list(text)
    paths = _expanded(config, text) if listed is None else [_one(config, path) for path in listed]
    return msgspec.structs.replace(config, volumes=tuple(sorted({*config.volumes, *paths})))


def _user(config: Config, text: str) -> Config:
    return msgspec.structs.replace(config, user=_one(config, text))


def _workdir(config: Config, text: str) -> Config:
    place = os.path.normpath(os.path.join("/", config.workdir, _one(config, text)))
    return msgspec.structs.replace(config, workdir="/" + place.lstrip("/"))


def _stop_signal(config: Config, text: str) -> Config:
    signal = _one(config, text)
    parse_signal(signal)
    return msgspec.structs.replace(config, stop_signal=signal)


def _on_build(config: Config, text: str) -> Config:
    name = text.partition(" ")[0].upper()
    if not name or name in ("ONBUILD", "FROM", "MAINTAINER"):
        raise ValueError(f"{name or 'nothing'} is not allowed as an ONBUILD trigger")
    return msgspec.structs.replace(config, on_build=(*config.on_build, text))


def _healthcheck(config: Config, text: str) -> Config:
    times: dict[str, int] = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        name, _, value = option[2:].partition("=")
        if name == "retries":
            if not value.isdecimal():
                raise ValueError(f"--retries={value} is not a number")
            times["retries"] = int(value)
        elif name in _TIMES:
            times[name.replace("-", "_")] = parse_duration(value)
        else:
            raise ValueError(f"unknown option --{name}")
        text = text.strip()
    kind, _, rest = text.partition(" ")
    if kind.upper() == "NONE":
        return msgspec.structs.replace(config, healthcheck=Healthcheck(("NONE",)))
    if kind.upper() != "CMD" or not rest.strip():
        raise ValueError("it takes CMD with a command, or NONE")
    words = _list(rest.strip())
    test = ("CMD", *words) if words else ("CMD-SHELL", rest.strip())
    return msgspec.structs.replace(config, healthcheck=Healthcheck(test, **times))


_KNOWN: Mapping[str, Callable[[Config, str], Config]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _on_build,
    "STOPSIGNAL": _stop_signal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
