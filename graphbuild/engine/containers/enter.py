"""Running one more process in a running container: `exec`, and what checks its health.

A child of ours, the *guide*, enters the container's namespaces, all but that of processes, which only its children enter. It finds the user
and the command there, with the container's own eyes, and starts the process by the program that starts every container
(`launch.last_program`), from memory. The guide is never seen in the container; its child is, but cannot be traced or opened
there: it is not dumpable, and holds more capabilities than anybody in it. In the guide nothing more is imported: the files that it
sees are the container's.
"""

import contextlib
import os
import socket
import sys
from collections.abc import Sequence

import msgspec

from graphbuild.engine.containers import groups
from graphbuild.engine.containers.model import OURS, State
from graphbuild.engine.containers.shelf import failed, open_process
from graphbuild.values.errors import GraphbuildError, Problem

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
        with contextlib.suppress(BrokenPipeError):  # it has given up, and said why
            ours.send(b"1")
        with contextlib.suppress(ConnectionResetError):  # it was killed, with the container
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
        _close_others({target, answer.fileno(), *ends})
        from graphbuild.engine.containers.guide import lead  # here, while our control groups are entered

        sys.meta_path.clear()
        code = lead(state, target, request, ends, answer)
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
