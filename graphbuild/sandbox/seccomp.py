"""Where only one id is mapped: a filter that lets calls which need more ids succeed without doing anything.

dpkg, apt and tar insist on chown, mknod and setgroups; with one id the kernel must refuse them, though their effect would not
matter. This is what Charliecloud's root emulation does. The filter fakes; it guards nothing, so foreign architectures pass unfiltered.
"""

import struct
from collections.abc import Mapping

import msgspec

_LOAD, _EQUAL, _AND, _RETURN = 0x20, 0x15, 0x54, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_ALU|AND|K, BPF_RET|K
_ALLOW = 0x7FFF0000
_FAKE = 0x00050000  # SECCOMP_RET_ERRNO with errno 0: the call returns 0
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_KIND, _CHARACTER, _BLOCK = 0o170000, 0o020000, 0o060000


class _Calls(msgspec.Struct, frozen=True):
    """`faked`: chown, lchown, fchown, fchownat, set*id, setgroups; `devices`: (mknod's number, index of its mode argument)."""

    audit: int
    faked: tuple[int, ...]
    devices: tuple[tuple[int, int], ...]


_MACHINES: Mapping[str, _Calls] = {
    "x86_64": _Calls(0xC000003E, (92, 93, 94, 260, 105, 106, 113, 114, 116, 117, 119, 122, 123), ((133, 1), (259, 2))),
    "aarch64": _Calls(0xC00000B7, (54, 55, 143, 144, 145, 146, 147, 149, 151, 152, 159), ((33, 2),)),
}


def root_emulation(machine: str) -> bytes:
    """The cBPF program for bubblewrap's --seccomp, b"" for a machine (`uname -m`) without a table."""
    known = _MACHINES.get(machine)
    if known is None:
        return b""
    body = []
    for number in known.faked:
        body += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _FAKE)]
    for number, argument in known.devices:
        body += [
            (_EQUAL, 0, 6, number),
            (_LOAD, 0, 0, _ARGUMENTS + 8 * argument),
            (_AND, 0, 0, _KIND),
            (_EQUAL, 1, 0, _CHARACTER),
            (_EQUAL, 0, 1, _BLOCK),
            (_RETURN, 0, 0, _FAKE),
            (_RETURN, 0, 0, _ALLOW),
        ]
    allow = (_RETURN, 0, 0, _ALLOW)
    head = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, known.audit), allow, (_LOAD, 0, 0, _NUMBER)]
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in (*head, *body, allow))
