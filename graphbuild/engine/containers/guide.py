"""What the guide does (see `enter`): it goes into a container, looks around, and starts the process there."""

import contextlib
import fcntl
import os
import signal
import socket
import stat
from collections.abc import Sequence
from pathlib import Path

from graphbuild.engine.containers import devices, launch
from graphbuild.engine.containers.enter import Request, exit_code
from graphbuild.engine.containers.model import OURS, REFUSED, State
from graphbuild.engine.containers.rooted import DiskTree
from graphbuild.engine.containers.shelf import failed, open_process
from graphbuild.sandbox import kernel, namespace

_NAMESPACES = (
    ("mnt", kernel.CLONE_NEWNS),
    ("pid", kernel.CLONE_NEWPID),
    ("ipc", kernel.CLONE_NEWIPC),
    ("uts", kernel.CLONE_NEWUTS),
    ("net", kernel.CLONE_NEWNET),
    ("cgroup", kernel.CLONE_NEWCGROUP),
)
_TIOCSCTTY = 0x540E


def lead(state: State, target: int, request: Request, ends: Sequence[int], answer: socket.socket) -> int:
    """Start a process; its exit code. Nothing more is imported, and nobody in the container can trace us or our child."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    identity = _enter(target, state.pid)
    os.chdir("/")
    tree = DiskTree(b"/")
    command = launch.find_command(
        request.argv, request.env, request.user, request.workdir, tree, identity, tty=request.tty, hostname=request.hostname
    )
    try:
        os.chdir(request.workdir)
    except OSError as error:
        raise failed(f"working directory {request.workdir}: {error.strerror}", code=REFUSED) from None
    program = launch.in_memory(launch.last_program(command, request.capabilities, identity))
    master = -1
    if request.tty:
        master, slave = devices.open_terminal(Path("/dev/pts"), command.who.uid)
        ends = [slave]
    elif command.who.uid:
        for end in ends:
            if stat.S_ISFIFO(os.fstat(end).st_mode):  # /dev/null is the machine's
                with contextlib.suppress(OSError):
                    os.fchown(end, command.who.uid, -1)
    answer.recv(1)  # it is in its control groups
    child = os.fork()
    if not child:
        _become(program, ends, launch.seccomp_filter(identity), tty=request.tty)
    for end in {*ends, 0, 1, 2}:
        os.close(end)
    socket.send_fds(answer, [b"k"], [master] if master >= 0 else [])
    if master >= 0:
        os.close(master)
    answer.close()
    if request.detached:  # it has the container's first process for a parent from now on
        return 0
    return exit_code(os.waitpid(child, 0)[1])


def _enter(target: int, pid: int) -> namespace.Identity:
    own = f"/proc/{os.getpid()}/ns/"
    there = f"/proc/{pid}/ns/"
    if os.readlink(own + "user") != os.readlink(there + "user"):
        kernel.setns(target, kernel.CLONE_NEWUSER)
    identity = namespace.identity()
    flags = 0
    for name, flag in _NAMESPACES:
        if os.path.lexists(own + name) and os.readlink(own + name) != os.readlink(there + name):
            flags |= flag
    kernel.setns(target, flags)
    return identity


def enter_files(state: State) -> None:
    """See the files of a container, in a process that is nothing else."""
    target = open_process(state.pid, state.born)
    if target is None:
        raise failed("the container is not running")
    own, there = f"/proc/{os.getpid()}/ns/user", f"/proc/{state.pid}/ns/user"
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    if os.readlink(own) != os.readlink(there):
        kernel.setns(target, kernel.CLONE_NEWUSER)
    kernel.setns(target, kernel.CLONE_NEWNS)


def _become(program: int, ends: Sequence[int], filter_: bytes, *, tty: bool) -> None:
    """Never returns."""
    try:
        os.setsid()
        for number in range(3):
            os.dup2(ends[min(number, len(ends) - 1)], number)
        if tty:
            fcntl.ioctl(0, _TIOCSCTTY, 0)
        os.umask(0o022)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        if filter_:
            kernel.install_filter(filter_)
        os.execve(program, ["graphbuild-exec"], {})
    finally:
        os._exit(OURS)
