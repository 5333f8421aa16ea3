"""The last step into a sandbox: a static program, made here instruction by instruction, that becomes the user and execs.

bubblewrap cannot switch to an arbitrary user, and an image need not hold a tool that can. The program cuts the bounding
set down to Docker's capabilities, sets groups, gid and uid, leaves nothing inheritable or ambient (root keeps Docker's
capabilities) and executes one command whose path, arguments and environment are baked in; so neither stands on a command
line or passes through the loader of any program outside of the sandbox. It exits with 127 where there is no such file,
with 126 for any other failure. Instructions used (from the Intel SDM and the Arm ARM):

    x86-64                                   aarch64
    B8/BF/BE/BA imm32  mov e{ax,di,si,dx}    52800000/72A00000  movz/movk wN (lsl 16)
    0F 05              syscall               D4000001           svc #0
    85 C0; 0F 85 rel   test eax,eax; jnz     35000000           cbnz w0
    83 F8 FE; 0F 84    cmp eax,-2; je        3100081F; 54000000 cmn w0,#2; b.eq
"""

import functools
import struct
from collections.abc import Callable, Mapping, Sequence

import msgspec

from graphbuild.sandbox.users import Credentials

_ADDRESS = 0x400000
_DATA_ADDRESS = 0x500000
_HEADERS = 64 + 2 * 56  # the ELF header and two program headers
_CAPABILITY_VERSION_3 = 0x20080522
_PR_CAPBSET_DROP = 24
_KEPT = 0xA80425FB  # Docker's 14 capabilities as bits: bwrap.CAPABILITIES
_CAPABILITIES = 64  # dropping one that the kernel does not know fails, which is as good


class _Machine(msgspec.Struct, frozen=True):
    """One architecture: ELF's number, system calls by name, and how its instructions are written."""

    elf: int
    calls: Mapping[str, int]
    call: Callable[[int, Sequence[int]], bytes]
    if_failed: Callable[[int], bytes]  # jump over that many bytes further on when the last call did not return 0
    if_missing: Callable[[int], bytes]  # likewise, when it returned -ENOENT


def _x86_call(number: int, arguments: Sequence[int]) -> bytes:
    loads = b"".join(struct.pack("<BI", opcode, value) for opcode, value in zip(b"\xbf\xbe\xba", arguments, strict=False))
    return loads + struct.pack("<BI", 0xB8, number) + b"\x0f\x05"


def _x86_if_failed(distance: int) -> bytes:
    return b"\x85\xc0\x0f\x85" + struct.pack("<i", distance)


def _x86_if_missing(distance: int) -> bytes:
    return b"\x83\xf8\xfe\x0f\x84" + struct.pack("<i", distance)


def _arm_load(register: int, value: int) -> bytes:
    return struct.pack("<II", 0x52800000 | (value & 0xFFFF) << 5 | register, 0x72A00000 | (value >> 16) << 5 | register)


def _arm_call(number: int, arguments: Sequence[int]) -> bytes:
    loads = b"".join(_arm_load(register, value) for register, value in enumerate(arguments))
    return loads + _arm_load(8, number) + struct.pack("<I", 0xD4000001)


def _arm_if_failed(distance: int) -> bytes:
    return struct.pack("<I", 0x35000000 | (distance // 4 + 1) << 5)


def _arm_if_missing(distance: int) -> bytes:
    return struct.pack("<II", 0x3100081F, 0x54000000 | (distance // 4 + 1) << 5)


_MACHINES: Mapping[str, _Machine] = {
    "x86_64": _Machine(
        62,
        {"write": 1, "execve": 59, "setgroups": 116, "setresuid": 117, "setresgid": 119, "capset": 126, "prctl": 157, "exit_group": 231},
        _x86_call,
        _x86_if_failed,
        _x86_if_missing,
    ),
    "aarch64": _Machine(
        183,
        {"write": 64, "execve": 221, "setgroups": 159, "setresuid": 147, "setresgid": 149, "capset": 91, "prctl": 167, "exit_group": 94},
        _arm_call,
        _arm_if_failed,
        _arm_if_missing,
    ),
}


class Program(msgspec.Struct, frozen=True):
    """What the trampoline executes. `switch` None stays who it is (in a namespace of one id). All strings are without NUL."""

    path: bytes
    argv: tuple[bytes, ...]
    env: tuple[bytes, ...]
    switch: Credentials | None


def supports(machine: str) -> bool:
    """Whether there is code for `machine` (as in `uname -m`)."""
    return machine in _MACHINES


class _Data(msgspec.Struct):
    """The data behind the code, filled once to know the addresses."""

    start: int
    content: bytearray = msgspec.field(default_factory=bytearray)

    def put(self, value: bytes) -> int:
        self.content.extend(bytes(-len(self.content) % 8))
        address = self.start + len(self.content)
        self.content.extend(value)
        return address

    def strings(self, values: Sequence[bytes]) -> int:
        """A NULL-terminated array of pointers to NUL-terminated strings."""
        pointers = [self.put(value + b"\0") for value in values]
        return self.put(struct.pack(f"<{len(pointers) + 1}Q", *pointers, 0))


def assemble(machine: str, program: Program) -> bytes:
    """The ELF executable. KeyError for a machine without code (see `supports`)."""
    known = _MACHINES[machine]
    # The length of the code does not depend on where the data is: a first pass with any address finds it.
    bound = _bound(machine)
    offset = _HEADERS + len(bound) + len(_code(known, program, _Data(0)))
    offset += -offset % 8
    data = _Data(_DATA_ADDRESS + offset)
    code = bound + _code(known, program, data)
    identity = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    header = identity + struct.pack("<HHIQQQIHHHHHH", 2, known.elf, 1, _ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = _segment(5, 0, _ADDRESS, _HEADERS + len(code)) + _segment(6, offset, _DATA_ADDRESS + offset, len(data.content))
    return (header + segments + code).ljust(offset, b"\0") + bytes(data.content)


def _segment(flags: int, offset: int, address: int, size: int) -> bytes:
    """A PT_LOAD program header, aligned for pages of up to 64 KiB."""
    return struct.pack("<IIQQQQQQ", 1, flags, offset, address, address, size, size, 0x10000)


def _code(machine: _Machine, program: Program, data: _Data) -> bytes:
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
    for name, values in reversed(_become(program.switch, data)):
        # A failed call jumps to `stuck`: over the calls after it and over `execute`.
        code = machine.call(machine.calls[name], values) + machine.if_failed(len(code) + len(execute)) + code
    return code + tail


@functools.cache  # the same in every program
def _bound(machine: str) -> bytes:
    """Drop every other capability from the bounding set, so that no execve can give it back."""
    known = _MACHINES[machine]
    dropped = (number for number in range(_CAPABILITIES) if not _KEPT >> number & 1)
    return b"".join(known.call(known.calls["prctl"], (_PR_CAPBSET_DROP, number)) for number in dropped)


def _become(credentials: Credentials | None, data: _Data) -> list[tuple[str, tuple[int, ...]]]:
    """The calls that change who the process is; with None it only stops handing capabilities down."""
    held = _KEPT if credentials is None or credentials.uid == 0 else 0
    header, sets = data.put(struct.pack("<Ii", _CAPABILITY_VERSION_3, 0)), data.put(struct.pack("<6I", held, held, 0, 0, 0, 0))
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
