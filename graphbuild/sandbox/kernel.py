"""The system calls that Python 3.11 has no function for, each as one function that raises OSError.

Numbers of the new mount calls are the same on every architecture (they were added after the tables were unified).
It knows nothing of layers or steps.
"""

import ctypes
import errno
import fcntl
import functools
import os
import sys

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_STRICTATIME = 0x1000000
MNT_DETACH = 0x2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8

_MOVE_MOUNT = 429
_FSOPEN = 430
_FSCONFIG = 431
_FSMOUNT = 432
_MOUNT_SETATTR = 442

_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6
_CLOEXEC = 1
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_AT_FDCWD = -100

_AF_INET = 2
_SOCK_DGRAM_CLOEXEC = 0x80002
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def unshare(flags: int) -> None:
    _checked(_libc().unshare(ctypes.c_int(flags)), "unshare")


def raise_loopback() -> None:
    """Bring `lo` up in this thread's network namespace."""
    endpoint = _checked(_libc().socket(_AF_INET, _SOCK_DGRAM_CLOEXEC, 0), "socket")
    try:
        # struct ifreq: 16 bytes of name, the flags, padding.
        fcntl.ioctl(endpoint, _SIOCSIFFLAGS, b"lo".ljust(16, b"\0") + _IFF_UP.to_bytes(2, sys.byteorder) + bytes(22))
    finally:
        os.close(endpoint)


def mount(source: bytes, target: bytes, kind: bytes, flags: int, options: bytes = b"") -> None:
    """mount(2). The kernel reads one page of options and cuts the rest silently, so longer ones are E2BIG here."""
    if len(options) >= 4096:
        raise OSError(errno.E2BIG, "mount options longer than a page", os.fsdecode(target))
    _checked(_libc().mount(source, target, kind, ctypes.c_ulong(flags), options or None), os.fsdecode(target))


def umount(target: bytes, flags: int = 0) -> None:
    _checked(_libc().umount2(target, ctypes.c_int(flags)), os.fsdecode(target))


def _syscall(number: int, what: str, *arguments: object) -> int:
    return _checked(_libc().syscall(ctypes.c_long(number), *arguments), what)


def fsopen(kind: bytes) -> int:
    """A new file-system context, as an open file descriptor. ENOSYS before Linux 5.2."""
    return _syscall(_FSOPEN, "fsopen", kind, ctypes.c_uint(_CLOEXEC))


def fsconfig_string(context: int, name: bytes, value: bytes) -> None:
    """Set a parameter; `value` takes at most 255 bytes."""
    _syscall(
        _FSCONFIG, "fsconfig " + name.decode(), ctypes.c_int(context), ctypes.c_uint(_FSCONFIG_SET_STRING), name, value, ctypes.c_int(0)
    )


def fsconfig_flag(context: int, name: bytes) -> None:
    _syscall(_FSCONFIG, "fsconfig " + name.decode(), ctypes.c_int(context), ctypes.c_uint(_FSCONFIG_SET_FLAG), name, None, ctypes.c_int(0))


def fsconfig_create(context: int) -> None:
    _syscall(_FSCONFIG, "fsconfig create", ctypes.c_int(context), ctypes.c_uint(_FSCONFIG_CMD_CREATE), None, None, ctypes.c_int(0))


def fsmount(context: int, attributes: int) -> int:
    """The context's file system as a detached mount."""
    return _syscall(_FSMOUNT, "fsmount", ctypes.c_int(context), ctypes.c_uint(_CLOEXEC), ctypes.c_uint(attributes))


def move_mount(detached: int, target: bytes) -> None:
    """Attach a detached mount at `target`."""
    _syscall(
        _MOVE_MOUNT,
        os.fsdecode(target),
        ctypes.c_int(detached),
        b"",
        ctypes.c_int(_AT_FDCWD),
        target,
        ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH),
    )


@functools.cache
def can_set_attributes() -> bool:
    """Whether the kernel has mount_setattr(2): since Linux 5.12."""
    try:
        _syscall(_MOUNT_SETATTR, "mount_setattr", ctypes.c_int(-1), b"", ctypes.c_uint(0), None, ctypes.c_size_t(0))
    except OSError as error:
        return error.errno != errno.ENOSYS
    return True


def complaint(context: int) -> str:
    """What the kernel has to say about a failed context, or ""."""
    lines = []
    try:
        while line := os.read(context, 4096):
            lines.append(line.decode(errors="replace").strip())
    except OSError:
        pass
    return "; ".join(lines)
