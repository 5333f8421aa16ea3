"""What a container is and how it fares, as values, and their encodings.

A `Spec` is what was asked for when it was created, merged with its image's config; it does not change. A `State` is what the
monitor of a run writes down. Whether a container runs stands in neither: it does if somebody holds its lock (`shelf`).
"""

from typing import Literal

import msgspec

from graphbuild.store.images import StoredImage
from graphbuild.values.config import Config

STOP_TIMEOUT = 10.0  # seconds
Status = Literal["created", "running", "paused", "exited"]
MISSING, REFUSED, OURS = 127, 126, 125  # exit codes: no such command, it cannot be executed, the container cannot start


class Mount(msgspec.Struct, frozen=True):
    """`source`: a path of the machine, a volume's name, or "" (tmpfs). `size` in bytes, 0 for the kernel's default; `copy`: an empty volume
    is filled with what the image has at its place. `anonymous`: nobody named the volume, so it goes with the container that has it.
    """

    kind: Literal["bind", "volume", "tmpfs"]
    to: str
    source: str = ""
    read_only: bool = False
    copy: bool = True
    anonymous: bool = False
    size: int = 0
    mode: int = 0o1777


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What is as it was asked for. `memory` in bytes, 0 for no limit; `stop_timeout` in seconds. `once`: the standard input ends with the
    first client that has it.
    """

    network: Literal["none", "host"] = "host"
    mounts: tuple[Mount, ...] = ()
    read_only: bool = False
    privileged: bool = False
    tty: bool = False
    open_stdin: bool = False
    once: bool = False
    auto_remove: bool = False
    init: bool = False
    stop_timeout: float = STOP_TIMEOUT
    memory: int = 0
    processes: int = 0
    hosts: tuple[tuple[str, str], ...] = ()
    dns: tuple[str, ...] = ()


class Spec(Chosen, frozen=True, kw_only=True):
    """`created` in nanoseconds of the epoch; `capabilities` as bits; `image_name` as it was typed."""

    image: StoredImage
    image_name: str
    created: int
    config: Config
    hostname: str
    capabilities: int = 0

    @property
    def argv(self) -> tuple[str, ...]:
        return (*(self.config.entrypoint or ()), *(self.config.cmd or ()))


class Probe(msgspec.Struct, frozen=True):
    """One health check. Times in nanoseconds of the epoch."""

    start: int
    end: int
    exit_code: int
    output: str


class Health(msgspec.Struct, frozen=True):
    """`failing`: checks in a row that failed; `log`: the last five."""

    status: Literal["starting", "healthy", "unhealthy"] = "starting"
    failing: int = 0
    log: tuple[Probe, ...] = ()


class State(msgspec.Struct, frozen=True):
    """The run that there is, or that was last. `run` names it; times in nanoseconds of the epoch, 0 for not yet.

    `pid` is the container's first process, `born` its start time in the kernel's ticks: together they name it for as long as the machine runs.
    """

    run: str
    started: int = 0
    finished: int = 0
    pid: int = 0
    born: int = 0
    monitor: int = 0
    exit_code: int = 0
    error: str = ""
    out_of_memory: bool = False
    health: Health | None = None
    groups: tuple[str, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decode_spec = msgspec.msgpack.Decoder(Spec).decode
_decode_state = msgspec.msgpack.Decoder(State).decode


def encode(value: Spec | State) -> bytes:
    return _encoder.encode(value)


def decode_spec(data: bytes) -> Spec:
    """ValueError for what is none (msgspec.MsgspecError is one)."""
    return _decode_spec(data)


def decode_state(data: bytes) -> State:
    return _decode_state(data)
