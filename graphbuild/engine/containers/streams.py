"""The streams of a container as its monitor holds them, and the descriptors that a process which lives on keeps."""

import contextlib
import os
import socket
from collections.abc import Collection
from pathlib import Path

import msgspec

from graphbuild.engine.containers import devices, wire
from graphbuild.engine.containers.rooted import DiskTree


class Streams(msgspec.Struct, frozen=True):
    """`stdin`: where input is written to, -1 for nowhere; `ends`: the container's; `outputs`: what is read → which stream that is."""

    stdin: int
    ends: list[int]
    outputs: dict[int, int]


def terminal(tree: DiskTree, owner: int) -> Streams:
    """A terminal of the container's devpts, which is its console too. A volume may be its /dev: what is in there leads nowhere else."""
    number = tree.open(b"dev/pts", os.O_PATH | os.O_DIRECTORY)
    pts = Path(f"/proc/self/fd/{number}")
    master, slave = devices.open_terminal(pts, owner)
    console = tree.open(tree.make(b"dev/console", folder=False), os.O_PATH)
    devices.mount_console(pts, slave, Path(f"/proc/self/fd/{console}"))
    os.close(console)
    os.close(number)
    os.set_blocking(master, False)
    return Streams(master, [slave], {master: wire.STDOUT})


def pipes(owner: int, *, stdin: bool) -> Streams:
    """Pipes; without `stdin` the input is /dev/null."""
    ends: list[int] = []
    outputs = {}
    write = -1
    if stdin:
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(write, False)
        ends.append(read)
    else:
        ends.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    for kind in (wire.STDOUT, wire.STDERR):
        read, end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read, False)
        outputs[read] = kind
        ends.append(end)
    for end in ends if stdin else ends[1:]:
        if owner:  # who wants to open /dev/stdout must own it
            os.fchown(end, owner, -1)
    return Streams(write, ends, outputs)


def listen(folder: Path) -> socket.socket:
    """Where clients come to, in the container's folder, whose path may be too long to be said in full."""
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    with contextlib.suppress(FileNotFoundError):
        os.unlink("attach", dir_fd=place)
    endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    endpoint.bind(f"/proc/self/fd/{place}/attach")
    endpoint.listen()
    endpoint.setblocking(False)
    os.close(place)
    return endpoint


def let_go(kept: Collection[int]) -> None:
    """Close what the caller had open, and stand on /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    last = 2
    for number in sorted({number for number in kept if number > 2}):
        os.closerange(last + 1, number)
        last = number
    os.closerange(last + 1, 1 << 20)
