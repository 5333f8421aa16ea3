"""The system calls that Python 3.11 has no function for, each as one function that raises OSError.

Numbers of the new mount calls are the same on every architecture (they were added after the tables were unified).
It knows nothing of layers or steps.
"""

import ctypes
import errno
import fcntl
import functools
import os
import struct
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

_OPEN_TREE = 428
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
_MOVE_MOUNT_T_EMPTY_PATH = 0x40
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_AT_EMPTY_PATH = 0x1000
_OPEN_TREE_CLONE = 1

PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2

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


def setns(descriptor: int, flags: int) -> None:
    """Enter namespaces of another process, by a descriptor of one or, with several flags, by a pidfd (Linux 5.8)."""
    _checked(_libc().setns(ctypes.c_int(descriptor), ctypes.c_int(flags)), "setns")


def prctl(option: int, *values: int) -> None:
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    _checked(_libc().prctl(ctypes.c_int(option), *arguments), "prctl")


def install_filter(code: bytes) -> None:
    """Have a seccomp program (struct sock_filter, one after the other) judge this process' calls from now on."""
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buffer))
    place = ctypes.create_string_buffer(program, len(program))
    prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(place))


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


def move_mount(detached: int, target: bytes | int) -> None:
    """Attach a detached mount at `target`: a path, or a descriptor of the place itself."""
    folder, path = (_AT_FDCWD, target) if isinstance(target, bytes) else (target, b"")
    flags = _MOVE_MOUNT_F_EMPTY_PATH | (0 if path else _MOVE_MOUNT_T_EMPTY_PATH)
    what = os.fsdecode(path) or "move_mount"
    _syscall(_MOVE_MOUNT, what, ctypes.c_int(detached), b"", ctypes.c_int(folder), path, ctypes.c_uint(flags))


def clone_mount(source: bytes, attributes: int) -> int:
    """What a bind mount of a path and all that is mounted in it would be, detached, with these attributes added. ENOSYS before Linux 5.12."""
    what, cloexec = os.fsdecode(source), os.O_CLOEXEC
    flags = ctypes.c_uint(_OPEN_TREE_CLONE | cloexec | _AT_RECURSIVE)
    detached = _syscall(_OPEN_TREE, what, ctypes.c_int(_AT_FDCWD), source, flags)
    try:
        _set_attributes(what, detached, b"", _AT_EMPTY_PATH | _AT_RECURSIVE, attributes)
    except OSError:
        os.close(detached)
        raise
    return detached


def set_attributes(target: bytes, attributes: int) -> None:
    """Add attributes to a mount, not to those in it. ENOSYS before Linux 5.12."""
    _set_attributes(os.fsdecode(target), _AT_FDCWD, target, 0, attributes)


def _set_attributes(what: str, folder: int, path: bytes, flags: int, attributes: int) -> None:
    """In a user namespace none may be taken away, so they are only ever added."""
    wanted = struct.pack("<4Q", attributes, 0, 0, 0)
    _syscall(_MOUNT_SETATTR, what, ctypes.c_int(folder), path, ctypes.c_uint(flags), wanted, ctypes.c_size_t(len(wanted)))


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
