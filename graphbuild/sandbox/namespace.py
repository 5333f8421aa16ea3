"""The namespaces that a build lives in: entered once, single-threaded, before anything is read or started.

Root gets a mount namespace. An ordinary user gets a user namespace too, in which it is root: with its subordinate ids where
/etc/subuid grants some ("full"), else with its own id alone ("single"). All that graphbuild mounts is private to the
namespace and goes when the process goes, however it ends.
"""

import errno
import functools
import os
from pathlib import Path
from typing import Literal

import msgspec

from graphbuild.sandbox import kernel
from graphbuild.values.errors import GraphbuildError, lacking

_FULL = 65536  # ids that make a mapping "full": what images use
_GRANT = (
    "install newuidmap (package uidmap) and grant this user 65536 ids: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER"
)


class Identity(msgspec.Struct, frozen=True):
    """What `enter` got. `ids`: which owners files can have here; `root`: root of the machine, in no user namespace."""

    ids: Literal["full", "single"]
    root: bool


class SubordinateRange(msgspec.Struct, frozen=True):
    start: int
    count: int


@functools.cache
def enter() -> Identity:
    """Enter the namespaces, once a process. GraphbuildError (36) names what the machine forbids."""
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("namespaces are entered before the first thread starts: the others would stay outside")
    if os.geteuid() == 0:
        _unshare(kernel.CLONE_NEWNS)
    else:
        _enter_user_namespace()
    kernel.mount(b"none", b"/", b"", kernel.MS_REC | kernel.MS_SLAVE)
    return identity()


def not_mapped(what: str) -> GraphbuildError:
    """The error for an owner or a user that this process' id map does not have; `what` is a sentence's beginning."""
    return lacking(f"{what}, which is not mapped here", _GRANT)


def identity() -> Identity:
    """Who this process is, from its id map."""
    rows = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()]
    mapped = sum(row[2] for row in rows)
    return Identity("full" if mapped >= _FULL else "single", rows == [(0, 0, 4294967295)] and os.geteuid() == 0)


def subordinate_range(table: str, name: str, uid: int) -> SubordinateRange | None:
    """The largest range that a /etc/subuid (subgid) text gives to a user, by name or by uid."""
    ranges = []
    for line in table.splitlines():
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[0] in (name, str(uid)) and fields[1].isdecimal() and fields[2].isdecimal():
            ranges.append(SubordinateRange(int(fields[1]), int(fields[2])))
    return max(ranges, key=lambda found: found.count, default=None)


def _unshare(flags: int) -> None:
    try:
        kernel.unshare(flags)
    except OSError as error:
        raise _forbidden(error, os.geteuid() == 0) from error


def _forbidden(error: OSError, root: bool) -> GraphbuildError:
    if error.errno in (errno.ENOSPC, errno.EUSERS):
        setting = "user.max_mnt_namespaces" if root else "user.max_user_namespaces"
        return lacking(f"no more namespaces: {setting} is used up or 0", f"sysctl -w {setting}=65536")
    if root:
        return lacking(
            "this container forbids mount namespaces (no CAP_SYS_ADMIN)",
            "run it with --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined, or --privileged",
        )
    if _setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return _apparmor()
    if _setting("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return lacking("unprivileged user namespaces are switched off", "sysctl -w kernel.unprivileged_userns_clone=1")
    return lacking(
        f"the kernel forbids user namespaces ({error.strerror})",
        "in a container: --security-opt seccomp=unconfined --security-opt apparmor=unconfined; else build as root",
    )


def _apparmor() -> GraphbuildError:
    return lacking(
        "AppArmor restricts unprivileged user namespaces",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give graphbuild's Python an AppArmor profile with `userns,`",
    )


def _setting(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _enter_user_namespace() -> None:
    uid, gid, pid = os.getuid(), os.getgid(), os.getpid()
    commands = _mapping_commands(pid, uid, gid)
    if commands is None:
        _unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
        _map_one(uid, gid)
        return
    # The privileged newuidmap must run outside of the namespace, on a process inside: so a child waits for us to enter.
    go_read, go_write = os.pipe()
    child = os.fork()
    if child == 0:
        _run_when_told(go_read, go_write, commands)
    os.close(go_read)
    try:
        _unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
        os.write(go_write, b"1")
    finally:
        os.close(go_write)
        _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise lacking(
            "newuidmap or newgidmap refused the range of /etc/subuid or /etc/subgid",
            "check that both are setuid root and the ranges are free",
        )


def _mapping_commands(pid: int, uid: int, gid: int) -> list[list[str]] | None:
    """newuidmap's and newgidmap's command lines, or None where the machine grants no subordinate ids."""
    import pwd
    import shutil

    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = ""
    commands = []
    for program, table, own in (("newuidmap", "/etc/subuid", uid), ("newgidmap", "/etc/subgid", gid)):
        found, path = subordinate_range(_setting(table), name, uid), shutil.which(program, path="/usr/bin:/usr/local/bin:/bin")
        if found is None or found.count < _FULL - 1 or path is None:
            return None
        commands.append([path, str(pid), "0", str(own), "1", "1", str(found.start), str(found.count)])
    return commands


def _run_when_told(go_read: int, go_write: int, commands: list[list[str]]) -> None:
    """The child: never returns."""
    import subprocess

    status = 1
    try:
        os.close(go_write)
        if os.read(go_read, 1):
            status = 0 if all(subprocess.run(command, check=False, capture_output=True).returncode == 0 for command in commands) else 1
    finally:
        os._exit(status)


def _map_one(uid: int, gid: int) -> None:
    try:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    except OSError as error:
        # AppArmor lets the namespace be made, but takes every capability away in it.
        raise _apparmor() if error.errno in (errno.EPERM, errno.EACCES) else error from error
