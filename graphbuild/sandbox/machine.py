"""The instructions and system-call numbers that programs made here consist of, for the architectures we know.

Nothing but this is ever emitted (from the Intel SDM and the Arm ARM):

    x86-64                                        aarch64
    B8/BF/BE/BA, 41 BA/B8  mov e{ax,di,si,dx},    52800000/72A00000  movz/movk wN (lsl 16)
                           r{10,8}d, imm32
    0F 05                  syscall                D4000001           svc #0
    85 C0; 0F 85/84 rel    test eax,eax; jnz, jz  35000000/34000000  cbnz, cbz w0
    83 F8 FE; 0F 84 rel    cmp eax,-2; je         3100081F; 54000000 cmn w0,#2; b.eq
    83 F8 02; 0F 8F rel    cmp eax,2; jg          7100081F; 5400000C cmp w0,#2; b.gt
    89 04 25 disp32        mov [disp32],eax       B9000020           str w0,[x1]
"""

import struct
from collections.abc import Callable, Mapping, Sequence

import msgspec


class Machine(msgspec.Struct, frozen=True):
    """One architecture: ELF's number, system calls by name, and how its instructions are written."""

    elf: int
    calls: Mapping[str, int]
    call: Callable[[int, Sequence[int]], bytes]
    if_failed: Callable[[int], bytes]  # jump over that many bytes further on when the last call did not return 0
    if_done: Callable[[int], bytes]  # likewise, when it returned 0
    if_missing: Callable[[int], bytes]  # likewise, when it returned -ENOENT
    if_later: Callable[[int], bytes]  # likewise, or back when it is negative, when it returned more than 2
    store: Callable[[int], bytes]  # write what the last call returned to an address, as 4 bytes


class Data(msgspec.Struct):
    """The data of a program, which stands before its code: so an address is known as soon as a value is put."""

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


_X86_REGISTERS = (b"\xbf", b"\xbe", b"\xba", b"\x41\xba", b"\x41\xb8")
_X86_CALLS = [b"%b".join((*_X86_REGISTERS[:count], b"\xb8")) + b"%b\x0f\x05" for count in range(6)]  # by the number of arguments
_X86_NUMBER = struct.Struct("<I").pack


def _x86_call(number: int, arguments: Sequence[int]) -> bytes:
    return _X86_CALLS[len(arguments)] % (*[_X86_NUMBER(value & 0xFFFFFFFF) for value in arguments], _X86_NUMBER(number))


def _x86_if_failed(distance: int) -> bytes:
    return b"\x85\xc0\x0f\x85" + struct.pack("<i", distance)


def _x86_if_done(distance: int) -> bytes:
    return b"\x85\xc0\x0f\x84" + struct.pack("<i", distance)


def _x86_if_missing(distance: int) -> bytes:
    return b"\x83\xf8\xfe\x0f\x84" + struct.pack("<i", distance)


def _x86_if_later(distance: int) -> bytes:
    return b"\x83\xf8\x02\x0f\x8f" + struct.pack("<i", distance)


def _x86_store(address: int) -> bytes:
    return b"\x89\x04\x25" + struct.pack("<I", address)


def _arm_load(register: int, value: int) -> bytes:
    value &= 0xFFFFFFFF
    return struct.pack("<II", 0x52800000 | (value & 0xFFFF) << 5 | register, 0x72A00000 | (value >> 16) << 5 | register)


def _arm_call(number: int, arguments: Sequence[int]) -> bytes:
    loads = b"".join(_arm_load(register, value) for register, value in enumerate(arguments))
    return loads + _arm_load(8, number) + struct.pack("<I", 0xD4000001)


def _arm_if_failed(distance: int) -> bytes:
    return struct.pack("<I", 0x35000000 | (distance // 4 + 1) << 5)


def _arm_if_done(distance: int) -> bytes:
    return struct.pack("<I", 0x34000000 | (distance // 4 + 1) << 5)


def _arm_if_missing(distance: int) -> bytes:
    return struct.pack("<II", 0x3100081F, 0x54000000 | (distance // 4 + 1) << 5)


def _arm_if_later(distance: int) -> bytes:
    return struct.pack("<II", 0x7100081F, 0x5400000C | (distance // 4 + 1 & 0x7FFFF) << 5)


def _arm_store(address: int) -> bytes:
    return _arm_load(1, address) + struct.pack("<I", 0xB9000020)


MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(
        62,
        {
            "write": 1,
            "execve": 59,
            "setgroups": 116,
            "setresuid": 117,
            "setresgid": 119,
            "capset": 126,
            "prctl": 157,
            "exit_group": 231,
            "read": 0,
            "ioctl": 16,
            "rt_sigprocmask": 14,
            "clone": 56,
            "wait4": 61,
            "fcntl": 72,
            "chdir": 80,
            "setsid": 112,
            "pivot_root": 155,
            "mount": 165,
            "umount2": 166,
            "sethostname": 170,
            "mkdirat": 258,
            "mknodat": 259,
            "symlinkat": 266,
            "mount_setattr": 442,
        },
        _x86_call,
        _x86_if_failed,
        _x86_if_done,
        _x86_if_missing,
        _x86_if_later,
        _x86_store,
    ),
    "aarch64": Machine(
        183,
        {
            "write": 64,
            "execve": 221,
            "setgroups": 159,
            "setresuid": 147,
            "setresgid": 149,
            "capset": 91,
            "prctl": 167,
            "exit_group": 94,
            "read": 63,
            "ioctl": 29,
            "rt_sigprocmask": 135,
            "clone": 220,
            "wait4": 260,
            "fcntl": 25,
            "chdir": 49,
            "setsid": 157,
            "pivot_root": 41,
            "mount": 40,
            "umount2": 39,
            "sethostname": 161,
            "mkdirat": 34,
            "mknodat": 33,
            "symlinkat": 36,
            "mount_setattr": 442,
        },
        _arm_call,
        _arm_if_failed,
        _arm_if_done,
        _arm_if_missing,
        _arm_if_later,
        _arm_store,
    ),
}
