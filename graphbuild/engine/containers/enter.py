"""Running one more process in a running container: `exec`, and what checks its health.

A child of ours, the *guide*, enters the container's namespaces, all but that of processes, which only its children enter. It finds the user
and the command there, with the container's own eyes, and starts the process by the program that starts every container
(`launch.last_program`), from memory. The guide is never seen in the container; its child is, but cannot be traced or opened
there: it is not dumpable, and holds more capabilities than anybody in it. In the guide nothing more is imported: the files that it
sees are the container's.
"""

import contextlib
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from graphbuild.engine.containers import devices, groups, launch
from graphbuild.engine.containers.model import OURS, REFUSED, State
from graphbuild.engine.containers.rooted import DiskTree
from graphbuild.engine.containers.shelf import failed, open_process
from graphbuild.sandbox import kernel, namespace
from graphbuild.values.errors import GraphbuildError, Problem

_NAMESPACES = (
    ("mnt", kernel.CLONE_NEWNS),
    ("pid", kernel.CLONE_NEWPID),
    ("ipc", kernel.CLONE_NEWIPC),
    ("uts", kernel.CLONE_NEWUTS),
    ("net", kernel.CLONE_NEWNET),
    ("cgroup", kernel.CLONE_NEWCGROUP),
)
_TIOCSCTTY = 0x540E
_LARGEST_ANSWER = 64 * 1024


class Request(msgspec.Struct, frozen=True):
    """What is to be executed. `capabilities` as bits. With a `tty` it gets a terminal of the container."""

    argv: tuple[str, ...]
    env: dict[str, str]
    user: str
    workdir: str
    hostname: str
    capabilities: int
    tty: bool = False
    detached: bool = False


class Entered(msgspec.Struct, frozen=True):
    """`pid`: of the guide, a child of ours (0 where it is detached), which ends as the process ends. `master`: of its terminal, or -1."""

    pid: int
    master: int = -1


def start(state: State, request: Request, ends: Sequence[int]) -> Entered:
    """Start a process in the container whose state that is. `ends`: its standard input, output and error, which are closed here;
    none with a tty. GraphbuildError where it cannot be started, with 126 or 127.
    """
    target = open_process(state.pid, state.born)
    if target is None:
        raise failed("the container is not running")
    ours, theirs = socket.socketpair()
    with ours:
        try:
            guide = os.fork()
            if not guide:
                _guide(state, target, request, ends, theirs)
        finally:
            theirs.close()
            for number in {*ends, target}:
                os.close(number)
        groups.enter(state.groups, guide)  # takes milliseconds, in which the guide looks around
        answer, descriptors = b"", list[int]()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it was killed, with the container
            ours.send(b"1")
            answer, descriptors, _, _ = socket.recv_fds(ours, _LARGEST_ANSWER, 1)
    if request.detached or answer[:1] != b"k":
        os.waitpid(guide, 0)
    if answer[:1] == b"k":
        return Entered(0 if request.detached else guide, descriptors[0] if descriptors else -1)
    if not answer:
        raise failed("the container ended meanwhile", code=OURS)
    code, message, hint = msgspec.msgpack.decode(answer[1:], type=tuple[int, str, str])
    raise GraphbuildError(Problem(message, None, hint), exit_code=code)


def exit_code(status: int) -> int:
    """What a guide's wait status says of the process."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _guide(state: State, target: int, request: Request, ends: Sequence[int], answer: socket.socket) -> None:
    """Never returns."""
    code = OURS
    try:
        os.setsid()
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
        _close_others({target, answer.fileno(), *ends})
        sys.meta_path.clear()
        code = _lead(state, target, request, ends, answer)
    except GraphbuildError as error:
        _refuse(answer, error.exit_code, error.problems[0].message, error.problems[0].hint)
    except OSError as error:
        _refuse(answer, OURS, f"cannot enter the container: {error.strerror}: {error.filename}", "")
    except BaseException as error:  # noqa: BLE001 - said, since nobody else can
        _refuse(answer, OURS, f"cannot enter the container: {error!r}", "")
    finally:
        os._exit(code)


def _refuse(answer: socket.socket, code: int, message: str, hint: str) -> None:
    with contextlib.suppress(OSError):
        answer.send(b"f" + msgspec.msgpack.encode((code, message.encode(errors="replace").decode(), hint)))


def _close_others(kept: set[int]) -> None:
    last = 2
    for number in sorted({number for number in kept if number > 2}):
        os.closerange(last + 1, number)
        last = number
    os.closerange(last + 1, 1 << 20)


def _lead(state: State, target: int, request: Request, ends: Sequence[int], answer: socket.socket) -> int:
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
