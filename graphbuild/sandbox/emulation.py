"""Programs of another architecture: whether this kernel runs them, and QEMU's user emulation where it does not.

The kernel hands a program that it does not know to the interpreter that is registered for its kind (binfmt_misc). For root that register is
the machine's, and is left alone. An ordinary user's build lives in a user namespace, which may have a register of its own since Linux 6.7:
there we enter the QEMU that is installed, and it goes with the namespace.
"""

import functools
import os
import shutil
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from graphbuild.sandbox import kernel
from graphbuild.values.errors import GraphbuildError, lacking
from graphbuild.values.platform import oci_architecture

_REGISTER = Path("/proc/sys/fs/binfmt_misc")
_ALSO = {"amd64": ("386",), "arm64": ("arm",)}  # what a processor runs besides its own
_MAGIC = 20  # bytes of a program that tell its kind
_PT_INTERP = 3

_registering = threading.Lock()


class Architecture(msgspec.Struct, frozen=True):
    """How QEMU calls an architecture, and how its programs look: bits, byte order, ELF's number of the machine."""

    qemu: str
    bits: int
    order: Literal["little", "big"]
    machine: int

    def head(self) -> tuple[bytes, bytes]:
        """The first bytes of a program, and which bits of them count: an executable or a shared object, of any ABI."""
        start = b"\x7fELF" + bytes((1 if self.bits == 32 else 2, 1 if self.order == "little" else 2, 1))
        kind, machine = (2).to_bytes(2, self.order), self.machine.to_bytes(2, self.order)
        either = (0xFFFE).to_bytes(2, self.order)
        return start + bytes(9) + kind + machine, b"\xff" * 7 + b"\0" + b"\xff" * 8 + either + b"\xff\xff"


ARCHITECTURES = {
    "amd64": Architecture("x86_64", 64, "little", 62),
    "386": Architecture("i386", 32, "little", 3),
    "arm64": Architecture("aarch64", 64, "little", 183),
    "arm": Architecture("arm", 32, "little", 40),
    "riscv64": Architecture("riscv64", 64, "little", 243),
    "ppc64le": Architecture("ppc64le", 64, "little", 21),
    "s390x": Architecture("s390x", 64, "big", 22),
    "mips64le": Architecture("mips64el", 64, "little", 8),
    "loong64": Architecture("loongarch64", 64, "little", 258),
}


@functools.cache
def prepare(architecture: str, *, root: bool) -> None:
    """See to it that programs of an architecture ("" for this machine's) run here. GraphbuildError (36) where they cannot.

    `root`: of the machine, in no user namespace.
    """
    native = oci_architecture()
    if architecture in ("", native, *_ALSO.get(native, ())):
        return
    known = ARCHITECTURES.get(architecture)
    if known is None:
        raise lacking(f"programs for {architecture} cannot be run here, nor emulated", "build it on a machine of that architecture")
    head, _ = known.head()
    with _registering:
        if any(_covers(entry, head) for entry in _entries()):
            return
        program = _interpreter(known.qemu)
        if program is None or root or not _register(known, program):
            raise _lacking(architecture, installed=program is not None)


def _entries() -> Iterator[str]:
    """The texts of what is registered, and not switched off."""
    try:
        names = os.listdir(_REGISTER)
    except OSError:
        return
    for name in sorted(set(names) - {"register", "status"}):
        try:
            text = (_REGISTER / name).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            continue
        if text.startswith("enabled"):
            yield text


def _covers(entry: str, head: bytes) -> bool:
    """Whether an entry is for programs that begin so, and finds its interpreter from wherever it is asked (the flag F)."""
    said = dict(line.partition(" ")[::2] for line in entry.splitlines())
    magic = bytes.fromhex(said.get("magic", ""))
    mask = bytes.fromhex(said.get("mask", "")) or b"\xff" * len(magic)
    if not magic or "F" not in said.get("flags:", "") or said.get("offset") != "0" or len(magic) > len(head):
        return False
    return all(one & bits == other & bits for one, other, bits in zip(magic, head, mask, strict=False))


def _interpreter(qemu: str) -> str | None:
    """QEMU for an architecture; one that needs no libraries, for where it runs there are others."""
    for name in (f"qemu-{qemu}-static", f"qemu-{qemu}"):
        found = shutil.which(name, path=os.environ.get("PATH", os.defpath))
        if found and _is_static(found) and ":" not in (real := os.path.realpath(found)):  # which ends a field of the register
            return real
    return None


def _is_static(path: str) -> bool:
    """Whether it is a program of 64 bits, little-endian, that names no interpreter. False for what cannot be read, or is damaged."""
    try:
        with open(path, "rb") as file:
            start = file.read(64)
            if start[:6] != b"\x7fELF\x02\x01":
                return False
            (offset,) = struct.unpack_from("<Q", start, 32)
            size, count = struct.unpack_from("<HH", start, 54)
            file.seek(offset)
            headers = file.read(size * count)
        return all(struct.unpack_from("<I", headers, size * number)[0] != _PT_INTERP for number in range(count))
    except (OSError, ValueError, struct.error):
        return False


def _register(architecture: Architecture, program: str) -> bool:
    """Enter QEMU into this user namespace's own register; whether the kernel let us."""
    head, mask = architecture.head()
    escaped = ["".join(f"\\x{byte:02x}" for byte in text) for text in (head, mask)]
    line = f":graphbuild-{architecture.qemu}:M::{escaped[0]}:{escaped[1]}:{program}:OCF"
    try:
        kernel.mount(b"binfmt_misc", os.fsencode(_REGISTER), b"binfmt_misc", 0)
        (_REGISTER / "register").write_bytes(os.fsencode(line))
    except OSError:
        return False
    return True


def _lacking(architecture: str, *, installed: bool) -> GraphbuildError:
    what = "is not registered with the kernel" if installed else "is not installed"
    fix = "apt-get install qemu-user-static binfmt-support, or docker run --privileged --rm tonistiigi/binfmt --install all"
    return lacking(f"steps for {architecture} need QEMU's user emulation, which {what}", f"{fix}; or build it on such a machine")
