"""The last step into a sandbox: a static program, made here instruction by instruction, that becomes the user and execs.

bubblewrap cannot switch to an arbitrary user, and an image need not hold a tool that can. This program cuts the bounding
set down to Docker's capabilities, sets groups, gid and uid, leaves nothing inheritable or ambient (root keeps Docker's
capabilities) and executes one command whose path, arguments and environment are baked in; so neither stands on a command
line or passes through the loader of any program outside of the sandbox. It exits with 127 where there is no such file,
with 126 for any other failure.

With a `Container` it makes the walls too, before all that: it starts a child in namespaces of its own, whose first process that is, and
tells the descriptor `status` when it has (`CHILD`), what it came to (`WAITED`), or which call failed (`FAILED`). With a `reaper` the command
is a child of that first process, which does nothing but wait for whatever ends, and goes when the command does.
"""

import functools
import struct
from collections.abc import Sequence

import msgspec

from graphbuild.sandbox.machine import MACHINES, Data, Machine
from graphbuild.sandbox.users import Credentials

_ADDRESS = 0x400000
_DATA_ADDRESS = 0x10000000
_HEADERS = 64 + 2 * 56  # the ELF header and two program headers
_CAPABILITY_VERSION_3 = 0x20080522
_PR_CAPBSET_DROP = 24
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2
_PR_SET_PDEATHSIG, _SIGKILL = 1, 9
_F_SETFD, _FD_CLOEXEC = 2, 1
DOCKERS = 0xA80425FB  # Docker's 14 capabilities as bits: bwrap.CAPABILITIES
_CAPABILITIES = 64  # dropping one that the kernel does not know fails, which is as good

_SIGCHLD = 17

CHILD = b'"child-pid": 0 '  # as bubblewrap says it
WAITED = b'"waited": '  # before the 4 bytes of a wait status, all ones where there was no child
FAILED = b'"failed": '  # before the 4 bytes of a negative errno and what was tried, to the end of the line


class Call(msgspec.Struct, frozen=True):
    """A system call that must return 0. Bytes stand for the address of these bytes and a NUL. `what` is for the error; "": it may fail."""

    name: str
    arguments: tuple[int | bytes, ...]
    what: str = ""


class Container(msgspec.Struct, frozen=True):
    """What comes before the user is switched to: `flags` of clone(2), `calls` that the child makes, a seccomp `filter` or b"".

    `status` and `block` are descriptors; it goes on once it has read from `block` (-1: at once). `tied`: it dies with the thread that
    started it, and goes on only if there was something to read.
    """

    flags: int
    calls: tuple[Call, ...]
    status: int
    block: int = -1
    filter: bytes = b""
    reaper: bool = False
    tied: bool = False


class Program(msgspec.Struct, frozen=True):
    """What the trampoline executes. `switch` None stays who it is (in a namespace of one id). All strings are without NUL.

    `kept`: the capabilities, as bits, that root has and that no execve goes beyond.
    """

    path: bytes
    argv: tuple[bytes, ...]
    env: tuple[bytes, ...]
    switch: Credentials | None
    container: Container | None = None
    kept: int = DOCKERS


def supports(machine: str) -> bool:
    """Whether there is code for `machine` (as in `uname -m`)."""
    return machine in MACHINES


def assemble(machine: str, program: Program) -> bytes:
    """The ELF executable. KeyError for a machine without code (see `supports`)."""
    data = Data(_DATA_ADDRESS + _HEADERS)
    code = _all(machine, program, data)
    content = bytes(data.content) + bytes(-len(data.content) % 8)
    offset = _HEADERS + len(content)
    identity = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header = identity + struct.pack("<HHIQQQIHHHHHH", 2, MACHINES[machine].elf, 1, _ADDRESS + offset, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = _segment(6, _HEADERS, _DATA_ADDRESS + _HEADERS, len(content)) + _segment(5, offset, _ADDRESS + offset, len(code))
    return header + segments + content + code


def _segment(flags: int, offset: int, address: int, size: int) -> bytes:
    """A PT_LOAD program header, aligned for pages of up to 64 KiB."""
    return struct.pack("<IIQQQQQQ", 1, flags, offset, address, address, size, size, 0x10000)


def _all(machine: str, program: Program, data: Data) -> bytes:
    known = MACHINES[machine]
    if program.container is None:
        return _bound(machine, program.kept) + _code(known, program, data)
    return _contained(known, program.container, _code(known, program, data), data)


def _code(machine: Machine, program: Program, data: Data) -> bytes:
    """The calls in order, but those of `_bound`; behind them the three ends that they jump to."""

    def end(message: bytes, status: int) -> bytes:
        text = b"graphbuild: " + message + b"\n"
        said = machine.call(machine.calls["write"], (2, data.put(text), len(text)))
        return said + machine.call(machine.calls["exit_group"], (status,))

    path = program.path[:512]
    missing = end(path + b": not found (or its interpreter is not)", 127)
    refused = end(path + b": cannot be executed", 126)
    stuck = end(b"cannot switch to the user", 126)
    arguments = data.put(program.path + b"\0"), data.strings(program.argv), data.strings(program.env)
    execute = machine.call(machine.calls["execve"], arguments)
    execute += machine.if_missing(len(refused) + len(stuck)) + refused
    code = b""
    tail = execute + stuck + missing
    for name, values in reversed(_become(program.switch, program.kept, data)):
        # A failed call jumps to `stuck`: over the calls after it and over `execute`.
        code = machine.call(machine.calls[name], values) + machine.if_failed(len(code) + len(execute)) + code
    return code + tail


@functools.cache  # the same in every program
def _bound(machine: str, kept: int) -> bytes:
    """Drop every other capability from the bounding set, so that no execve can give it back."""
    known = MACHINES[machine]
    return b"".join(known.call(known.calls["prctl"], (_PR_CAPBSET_DROP, number)) for number in _dropped(kept, _CAPABILITIES))


def _dropped(kept: int, count: int) -> list[int]:
    return [number for number in range(count) if not kept >> number & 1]


def bounding(last: int, kept: int = DOCKERS) -> tuple[Call, ...]:
    """`_bound` as calls that must not fail, for a kernel whose last capability has that number."""
    return tuple(Call("prctl", (_PR_CAPBSET_DROP, number), "dropping capabilities") for number in _dropped(kept, last + 1))


def _become(credentials: Credentials | None, kept: int, data: Data) -> list[tuple[str, tuple[int, ...]]]:
    """The calls that change who the process is; with None it only stops handing capabilities down."""
    held = kept if credentials is None or credentials.uid == 0 else 0
    low, high = held & 0xFFFFFFFF, held >> 32
    header, sets = data.put(struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)), data.put(struct.pack("<6I", low, low, 0, high, high, 0))
    capset = ("capset", (header, sets))
    if credentials is None:
        return [capset]
    uid, gid, groups = credentials.uid, credentials.gid, credentials.groups
    return [
        ("setgroups", (len(groups), data.put(struct.pack(f"<{len(groups)}I", *groups)))),
        ("setresgid", (gid, gid, gid)),
        ("setresuid", (uid, uid, uid)),
        capset,
    ]


def _contained(machine: Machine, container: Container, inner: bytes, data: Data) -> bytes:
    """The parent's code around the child's, which ends in `inner`."""
    status, none = container.status, data.put(bytes(8))
    calls = [Call("fcntl", (number, _F_SETFD, _FD_CLOEXEC), "closing") for number in (status, container.block) if number >= 0]
    if container.reaper:
        inner = _reaper(machine, status, data) + inner
    child = _calls(machine, (*calls, *container.calls, *_filtered(container.filter, data)), status, data) + inner
    waits = machine.call(machine.calls["read"], (container.block, none, 1)) if container.block >= 0 else b""
    if container.tied:  # the signal is asked for before the pipe is read: whoever died in between has closed it
        end = machine.call(machine.calls["exit_group"], (125,))
        waits = machine.call(machine.calls["prctl"], (_PR_SET_PDEATHSIG, _SIGKILL)) + waits
        waits += machine.if_failed(len(end)) + end
    clone = machine.call(machine.calls["clone"], (container.flags, 0, 0, 0, 0)) + machine.if_failed(len(child))
    return waits + clone + child + _parent(machine, status, data)


def _parent(machine: Machine, status: int, data: Data) -> bytes:
    """Deaf to signals but SIGKILL, wait for the child and say what it came to."""
    waited = WAITED + b"\xff" * 4 + b"\n"
    place = data.put(waited)
    calls = (
        ("rt_sigprocmask", (0, data.put(b"\xff" * 8), 0, 8)),
        ("write", (status, data.put(CHILD), len(CHILD))),
        ("wait4", (-1, place + len(WAITED), 0, 0)),
        ("write", (status, place, len(waited))),
        ("exit_group", (0,)),
    )
    return b"".join(machine.call(machine.calls[name], values) for name, values in calls)


def _reaper(machine: Machine, status: int, data: Data) -> bytes:
    """Go on in a child, whose number is 2 in the new namespace; wait for all that end until it does, and say what it came to."""
    waited = WAITED + b"\xff" * 4 + b"\n"
    place = data.put(waited)
    wait = machine.call(machine.calls["wait4"], (-1, place + len(WAITED), 0, 0))
    again = machine.if_later(0)  # how far back depends on its own length
    code = wait + machine.if_later(-len(wait) - len(again))
    code += machine.call(machine.calls["write"], (status, place, len(waited))) + machine.call(machine.calls["exit_group"], (0,))
    return machine.call(machine.calls["clone"], (_SIGCHLD, 0, 0, 0, 0)) + machine.if_done(len(code)) + code


def _calls(machine: Machine, calls: Sequence[Call], status: int, data: Data) -> bytes:
    """Calls in order; behind each that must not fail, the end for when it does."""
    code: list[bytes] = []
    ends: dict[str, bytes] = {}
    for call in calls:
        values = [data.put(value + b"\0") if isinstance(value, bytes) else value for value in call.arguments]
        code.append(machine.call(machine.calls[call.name], values))
        if call.what:
            if call.what not in ends:
                ends[call.what] = _end(machine, call.what, status, data)
            code.append(ends[call.what])
    return b"".join(code)


def _end(machine: Machine, what: str, status: int, data: Data) -> bytes:
    """Where the last call failed, say so and end."""
    report = FAILED + bytes(4) + what.encode(errors="surrogateescape").replace(b"\n", b" ")[:512] + b"\n"
    place = data.put(report)
    end = machine.store(place + len(FAILED)) + machine.call(machine.calls["write"], (status, place, len(report)))
    end += machine.call(machine.calls["exit_group"], (125,))
    return machine.if_done(len(end)) + end


def _filtered(code: bytes, data: Data) -> list[Call]:
    if not code:
        return []
    program = struct.pack("<HxxxxxxQ", len(code) // 8, data.put(code))  # struct sock_fprog
    return [Call("prctl", (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program), "installing the filter of system calls")]
