"""The walls of a step: the system calls that make them, as a pure function of what was prepared.

They are those of `bwrap`: the same namespaces, masks, capabilities and limits; every mount is nodev but the devices of /dev themselves,
and everything bound into the tree is nosuid. Made by calls they take two thirds of the time, and can be as in a RUN of Docker's engine, which
bubblewrap cannot give: the command is the first process of its namespace, and setuid programs work (`like_docker`).
`trampoline` makes the program that performs the calls, as root of the namespace, before the step's command has run anywhere.

Places to mount at are given with the merged tree's path before them, so they are without symlinks, as `tree` made sure.
"""

import functools
import os
import platform
import struct
from collections.abc import Iterator
from pathlib import Path

from graphbuild.sandbox import kernel, trampoline
from graphbuild.sandbox.bwrap import Bind, Masks, Memory, Setup
from graphbuild.sandbox.devices import DEVICES, LINKS
from graphbuild.sandbox.trampoline import Call

_SIGCHLD = 17
_PR_SET_NO_NEW_PRIVS = 38
_HERE = -100  # AT_FDCWD
_RECURSIVE = 0x8000  # AT_RECURSIVE
_REGULAR = 0o100000
_SAFE = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
_SAFE_ATTRIBUTES = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV | kernel.MOUNT_ATTR_NOEXEC
_READ_ONLY = kernel.MOUNT_ATTR_RDONLY
_DEVICE = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_RDONLY  # it is the machine's: written to, but no chmod
_BOUND = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV


@functools.cache
def last_capability() -> int:
    """The highest number of a capability that this kernel knows."""
    return int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))


def flags(*, unshare_network: bool) -> int:
    """clone(2)'s flags for the first process of a step."""
    namespaces = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    cgroup = kernel.CLONE_NEWCGROUP if os.path.exists("/proc/self/ns/cgroup") else 0
    return _SIGCHLD | namespaces | cgroup | (kernel.CLONE_NEWNET if unshare_network else 0)


def possible() -> bool:
    """Whether the walls can be made so: on a machine that `trampoline` has code for, by a kernel with mount_setattr(2)."""
    return trampoline.supports(platform.machine()) and kernel.can_set_attributes()


def calls(masks: Masks, setup: Setup, *, own_network: bool, last: int, like_docker: bool) -> tuple[Call, ...]:
    """What the step's first process does before it becomes the step's user. `last`: see `last_capability`."""
    return (
        *(() if setup.interactive else (Call("setsid", ()),)),
        Call("mount", (0, b"/", 0, kernel.MS_REC | kernel.MS_PRIVATE, 0), "making mounts private"),
        *_proc(masks, setup.merged),
        *_sys(masks, setup.merged, own_network=own_network),
        *_dev(setup.merged),
        *_mounts(setup.mounts, setup.merged),
        Call("sethostname", (setup.hostname.encode(), len(setup.hostname.encode())), "setting the host name"),
        Call("chdir", (_path(setup.merged),), "entering the tree"),
        Call("pivot_root", (b".", b"."), "making the tree the root"),
        Call("umount2", (b".", kernel.MNT_DETACH), "letting go of the machine's files"),
        Call("chdir", (b"/",), "entering the root"),
        Call("chdir", (_path(setup.workdir),), f"entering the working directory {setup.workdir}"),
        *(() if like_docker else (Call("prctl", (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "refusing new privileges"),)),
        *trampoline.bounding(last),
    )


def _path(*parts: str) -> bytes:
    return os.fsencode("".join(parts))


def _bind(source: bytes, to: bytes, attributes: int) -> list[Call]:
    what = f"mounting {os.fsdecode(source)}"
    return [Call("mount", (source, to, 0, kernel.MS_BIND | kernel.MS_REC, 0), what), _set(to, attributes, what)]


def _set(to: bytes, attributes: int, what: str) -> Call:
    """Add attributes to a mount and to those in it. What it has already stays: in a user namespace none may be taken away."""
    return Call("mount_setattr", (_HERE, to, _RECURSIVE, struct.pack("<4Q", attributes, 0, 0, 0), 32), what)


def _new(kind: bytes, to: bytes, flags: int, options: bytes = b"", *, may_fail: bool = False) -> Call:
    return Call("mount", (kind, to, kind, flags, options or 0), "" if may_fail else f"mounting {kind.decode()}")


def _masked(masks: Masks, merged: str, below: str) -> Iterator[Call]:
    for path in masks.read_only:
        if path.startswith(below):
            yield from _bind(_path(merged, path), _path(merged, path), _SAFE_ATTRIBUTES | _READ_ONLY)
    for path in masks.files:
        if path.startswith(below):
            yield from _bind(b"/dev/null", _path(merged, path), _DEVICE)  # with nodev reading were refused, not empty
    for path in masks.folders:
        if path.startswith(below):
            yield _new(b"tmpfs", _path(merged, path), _SAFE | kernel.MS_RDONLY)


def _proc(masks: Masks, merged: str) -> Iterator[Call]:
    yield _new(b"proc", _path(merged, "/proc"), _SAFE)
    yield from _masked(masks, merged, "/proc/")


def _sys(masks: Masks, merged: str, *, own_network: bool) -> Iterator[Call]:
    """The machine's, or with a network of its own, where the kernel lets us, one that shows this network."""
    to = _path(merged, "/sys")
    yield from _bind(b"/sys", to, _SAFE_ATTRIBUTES | _READ_ONLY)
    if own_network:
        yield _new(b"sysfs", to, _SAFE | kernel.MS_RDONLY, may_fail=True)
        yield Call("mount", (b"/sys/fs/cgroup", to + b"/fs/cgroup", 0, kernel.MS_BIND | kernel.MS_REC, 0))
        yield _set(to, _SAFE_ATTRIBUTES | _READ_ONLY, "making /sys read-only")
    yield from _masked(masks, merged, "/sys/")


def _dev(merged: str) -> Iterator[Call]:
    dev = merged + "/dev"
    yield _new(b"tmpfs", _path(dev), kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_STRICTATIME, b"mode=755,size=65536k")
    for name in DEVICES:
        yield Call("mknodat", (_HERE, _path(dev, "/", name), _REGULAR | 0o666, 0), f"making /dev/{name}")
        yield from _bind(_path("/dev/", name), _path(dev, "/", name), _DEVICE)
    for target, name in LINKS:
        yield Call("symlinkat", (target.encode(), _HERE, _path(dev, "/", name)), f"making /dev/{name}")
    for name in ("pts", "shm", "mqueue"):
        yield Call("mkdirat", (_HERE, _path(dev, "/", name), 0o755), f"making /dev/{name}")
    yield _new(b"devpts", _path(dev, "/pts"), kernel.MS_NOSUID | kernel.MS_NOEXEC, b"newinstance,ptmxmode=0666,mode=620")
    yield _new(b"tmpfs", _path(dev, "/shm"), _SAFE, b"mode=1777")
    yield _new(b"mqueue", _path(dev, "/mqueue"), _SAFE, may_fail=True)


def _mounts(mounts: tuple[Bind | Memory, ...], merged: str) -> Iterator[Call]:
    outer = ["/dev/"]
    for mount in mounts:
        yield from _place(mount, merged, max((path for path in outer if mount.to.startswith(path)), key=len, default=""))
        to = _path(merged, mount.to)
        match mount:
            case Bind(source, _, writable):
                yield from _bind(os.fsencode(source), to, _BOUND | (0 if writable else _READ_ONLY))
            case Memory(_, size, mode):
                options = b"mode=%o" % mode + (b",size=%d" % size if size else b"")
                yield _new(b"tmpfs", to, kernel.MS_NOSUID | kernel.MS_NODEV, options)
        outer.append(mount.to + "/")


def _place(mount: Bind | Memory, merged: str, outer: str) -> Iterator[Call]:
    """Make what lacks of a mount's place in another mount; in the image there is a stub."""
    if not outer:
        return
    parts = mount.to[len(outer) :].split("/")
    folders = len(parts) - (isinstance(mount, Bind) and not mount.folder)
    for count in range(1, folders + 1):
        yield Call("mkdirat", (_HERE, _path(merged, outer, "/".join(parts[:count])), 0o755))
    if folders < len(parts):
        yield Call("mknodat", (_HERE, _path(merged, mount.to), _REGULAR | 0o644, 0))


def kernel_folders(masks: Masks, merged: str, *, own_network: bool) -> tuple[Call, ...]:
    """The calls that mount /proc and /sys, for who makes the other walls himself."""
    return (*_proc(masks, merged), *_sys(masks, merged, own_network=own_network))
