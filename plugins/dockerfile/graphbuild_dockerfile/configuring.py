"""The instructions that change an image's config, and WORKDIR, which makes a folder besides."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from graphbuild.rules import Healthcheck as Check
from graphbuild.rules import Put
from graphbuild_dockerfile.instructions import (
    Cmd,
    Command,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from graphbuild_dockerfile.names import below
from graphbuild_dockerfile.signals import is_signal
from graphbuild_dockerfile.state import State, merged
from graphbuild_dockerfile.text import Node
from graphbuild_dockerfile.words import expand_words

if TYPE_CHECKING:
    from graphbuild_dockerfile.stages import Stages

_SHELL = ("/bin/sh", "-c")
_PORT = re.compile(r"(?:\[?[0-9a-fA-F.:]*\]?:)?(?:[0-9-]*:)?(\d{1,5})(?:-(\d{1,5}))?(?:/([a-zA-Z]*))?")
_PROTOCOLS = ("tcp", "udp", "sctp")


def configure(said: Instruction, state: State, stages: "Stages") -> None:  # noqa: C901, PLR0912 - one case an instruction
    """Apply an instruction to its stage's config."""
    node = said.node

    def fill(word: str) -> str:
        return stages.expand(word, state, node)

    match said:
        case Env(pairs=pairs):
            values = {fill(pair.name): fill(pair.value) for pair in pairs}
            state.env |= values
            state.change(env=merged(state.config.env, values))
        case Label(pairs=pairs):
            found = dict(state.config.labels) | {fill(pair.name): fill(pair.value) for pair in pairs}
            state.change(labels=tuple(sorted(found.items())))
        case Cmd(command=command):
            state.change(cmd=_words(command, state))
            state.cmd_set = True
        case Entrypoint(command=command):
            state.change(entrypoint=_words(command, state), cmd=state.config.cmd if state.cmd_set else None)
        case Shell(words=words):
            state.change(shell=words)
        case Expose(ports=ports):
            texts = [text for port in ports for text in expand_words(port, state.env, stages.escape)]
            added = [port for text in texts for port in _ports(text, node, stages)]
            state.change(expose=tuple(sorted({*state.config.expose, *added})))
        case Volume(paths=paths):
            filled = [fill(path) for path in paths]
            if not all(filled):
                raise stages.fault(node, "VOLUME specified can not be an empty string")
            state.change(volumes=tuple(sorted({*state.config.volumes, *filled})))
        case User(user=user):
            state.change(user=fill(user))
        case Workdir(path=path):
            _workdir(fill(path), node, state, stages)
        case StopSignal(signal=signal):
            name = fill(signal)
            if not is_signal(name):
                raise stages.fault(node, f"invalid signal: {name}", "a name such as SIGTERM, or a number")
            state.change(stop_signal=name)
        case OnBuild(trigger=text):
            state.change(on_build=(*state.config.on_build, text))
        case Maintainer(name=author):
            state.change(author=author)
        case Healthcheck():
            times = (said.interval, said.timeout, said.start_period, said.start_interval, said.retries)
            state.change(healthcheck=Check(said.test, *times))


def _words(command: Command, state: State) -> tuple[str, ...]:
    if not command.shell:
        return command.words
    return (*(state.config.shell or _SHELL), " ".join(command.words))


def _workdir(path: str, node: Node, state: State, stages: "Stages") -> None:
    place = below(state.workdir, path)
    state.change(workdir=place)
    if place != "/":
        stages.layer(Put((), place + "/", owner=state.config.user, base=state.layers), "WORKDIR", node, state)


def _ports(text: str, node: Node, stages: "Stages") -> Iterator[str]:
    found = _PORT.fullmatch(text)
    protocol = (found[3] or "tcp").lower() if found else ""
    if found is None or protocol not in _PROTOCOLS:
        raise stages.fault(node, f"invalid containerPort: {text}", "a number or a range, with /tcp, /udp or /sctp")
    first = int(found[1])
    last = int(found[2] or first)
    if last < first or last > 65535:
        raise stages.fault(node, f"invalid range format for --expose: {text}", "ports go up to 65535")
    for port in range(first, last + 1):
        yield f"{port}/{protocol}"
