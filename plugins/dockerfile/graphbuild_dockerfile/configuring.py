"""The instructions that change an image's config, and WORKDIR, which makes a folder besides."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
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

_PORT = re.compile(r"(?:\[?[0-9a-fA-F.:]*\]?:)?(?:[0-9-]*:)?(\d{1,5})(?:-(\d{1,5}))?(?:/([a-zA-Z]*))?")
_PROTOCOLS = ("tcp", "udp", "sctp")


def configure(said: Instruction, state: State, stages: "Stages") -> None:  # noqa: C901, PLR0912, PLR0915 - one case an instruction
    """Apply an instruction to its stage's config."""
    node = said.node

    def fill(word: str) -> str:
        return stages.expand(word, state, node)

    match said:
        case Workdir(path=path):
            _workdir(fill(path), node, state, stages)
            return
        case OnBuild(trigger=text):
            state.change(on_build=(*state.config.on_build, text))
            return  # BuildKit does not write it down
        case Env(pairs=pairs):
            values = {fill(pair.name): fill(pair.value) for pair in pairs}
            state.env |= values
            state.change(env=merged(state.config.env, values))
            told = _pairs(values)
        case Label(pairs=pairs):
            values = {fill(pair.name): fill(pair.value) for pair in pairs}
            state.change(labels=tuple(sorted((dict(state.config.labels) | values).items())))
            told = _pairs(values)
        case Cmd(command=command):
            state.change(cmd=_words(command, state))
            state.cmd_set = True
            told = _quoted(_words(command, state))
        case Entrypoint(command=command):
            state.change(entrypoint=_words(command, state), cmd=state.config.cmd if state.cmd_set else None)
            told = _quoted(_words(command, state))
        case Shell(words=words):
            state.change(shell=words)
            told = f"[{' '.join(words)}]"
        case Expose(ports=ports):
            texts = [text for port in ports for text in expand_words(port, state.env, stages.escape)]
            added = sorted({port for text in texts for port in _ports(text, node, stages)})
            state.change(expose=tuple(sorted({*state.config.expose, *added})))
            told = f"[{' '.join(added)}]"
        case Volume(paths=paths):
            filled = [fill(path) for path in paths]
            if not all(filled):
                raise stages.fault(node, "VOLUME specified can not be an empty string")
            state.change(volumes=tuple(sorted({*state.config.volumes, *filled})))
            told = f"[{' '.join(filled)}]"
        case User(user=user):
            told = fill(user)
            state.change(user=told)
        case StopSignal(signal=signal):
            told = fill(signal)
            if not is_signal(told):
                raise stages.fault(node, f"invalid signal: {told}", "a name such as SIGTERM, or a number")
            state.change(stop_signal=told)
        case Maintainer(name=told):
            state.change(author=told)
        case Healthcheck():
            times = (said.interval, said.timeout, said.start_period, said.start_interval, said.retries)
            state.change(healthcheck=Check(said.test, *times))
            told = " ".join(node.code.split()[1:])  # BuildKit prints a structure of its own here
        case _:
            raise AssertionError(said)
    state.note(f"{node.keyword} {told}")


def _pairs(values: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


def _quoted(words: Sequence[str]) -> str:
    return f"[{' '.join(json.dumps(word, ensure_ascii=False) for word in words)}]"


def _words(command: Command, state: State) -> tuple[str, ...]:
    if not command.shell:
        return command.words
    return (*state.shell, " ".join(command.words))


def _workdir(path: str, node: Node, state: State, stages: "Stages") -> None:
    place = below(state.workdir, path)
    state.change(workdir=path if path.startswith("/") else place)  # as it is written, where it is absolute
    if place == "/":
        state.note("WORKDIR /")
        return
    stages.layer(Put((), place + "/", owner=state.config.user, base=state.layers), "WORKDIR", node, state, f"WORKDIR {place}")


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
