"""Mounting a stack of folders with overlayfs, without limits that bite silently.

Invariants: every folder asked for is in the mount, or there is an error; `userxattr` always, so that root and an ordinary
user see the same thing and redirect_dir and metacopy stay off; a mount with an upper is `volatile` (never synced: the
store syncs what it keeps), unless what lies there must last. Mounts live in the caller's mount namespace (`namespace.enter`) and die with it.
It does not know what a layer is.
"""

import contextlib
import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from graphbuild.sandbox import kernel
from graphbuild.values.errors import GraphbuildError, lacking, mistake

MAX_LOWERS = 500  # the kernel's OVL_MAX_STACK
_NO_NEW_API = (errno.ENOSYS, errno.EOPNOTSUPP)
_LONGEST_VALUE = 255  # fsconfig's


def mount(
    folders: Sequence[Path],
    target: Path,
    *,
    upper: Path | None = None,
    work: Path | None = None,
    setuid: bool = False,
    volatile: bool = True,
) -> None:
    """Mount `folders` (lowest first) at `target`; read-only without `upper` (then `target` must be empty).

    `upper` and `work` are on one file system that is not itself an overlay. GraphbuildError for more folders than the kernel takes, or
    where it cannot mount them. `setuid`: programs with that bit get what it gives; devices never work. `volatile`: fsync(2) does nothing.
    """
    if not folders:
        raise ValueError("an overlay needs a folder")
    if len(folders) > MAX_LOWERS:
        raise mistake(
            f"a stack of {len(folders)} layers: the kernel mounts at most {MAX_LOWERS} at once",
            hint="flatten some of them into one step, or build on an exported image",
        )
    lowers = [os.fsencode(folder) for folder in reversed(folders)]
    if upper is None:
        # An overlay without upper needs two lowers: the empty mount point serves as the bottom one.
        lowers = lowers if len(lowers) > 1 else [*lowers, os.fsencode(target)]
    elif work is not None and (mark := work / "work" / "incompat").exists():
        # A volatile mount leaves this mark, which refuses the next mount; whoever mounts again knows what it does.
        import shutil

        shutil.rmtree(mark, ignore_errors=True)
    try:
        _mount_new(lowers, os.fsencode(target), upper, work, setuid=setuid, volatile=volatile)
    except OSError as error:
        if not _api_is_missing(error):
            raise _refused(error, upper) from error
        _mount_old(lowers, os.fsencode(target), upper, work, setuid=setuid, volatile=volatile)


def unmount(target: Path) -> None:
    """Unmount; at once where it is idle, else as soon as its last user is gone. What is not mounted is left alone."""
    name = os.fsencode(target)
    try:
        kernel.umount(name)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return
        kernel.umount(name, kernel.MNT_DETACH)


def _api_is_missing(error: OSError) -> bool:
    """No fsopen (< 5.2), or an overlayfs that takes no `lowerdir+` (< 6.7)."""
    return error.errno in _NO_NEW_API or (error.errno == errno.EINVAL and str(error.filename) == "fsconfig lowerdir+")


def _set_path(context: int, name: bytes, path: bytes) -> None:
    """Give a path of any length: a long one through a descriptor, which the kernel resolves within the call."""
    if len(path) <= _LONGEST_VALUE:
        kernel.fsconfig_string(context, name, path)
        return
    folder = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        kernel.fsconfig_string(context, name, b"/proc/self/fd/%d" % folder)
    finally:
        os.close(folder)


def _mount_new(
    lowers: Sequence[bytes], target: bytes, upper: Path | None, work: Path | None, *, setuid: bool = False, volatile: bool = True
) -> None:
    context = kernel.fsopen(b"overlay")
    try:
        for lower in lowers:
            _set_path(context, b"lowerdir+", lower)
        if upper is not None and work is not None:
            _set_path(context, b"upperdir", os.fsencode(upper))
            _set_path(context, b"workdir", os.fsencode(work))
            if volatile:
                kernel.fsconfig_flag(context, b"volatile")
        kernel.fsconfig_flag(context, b"userxattr")
        kernel.fsconfig_create(context)
        attributes = (kernel.MOUNT_ATTR_RDONLY if upper is None else 0) | (0 if setuid else kernel.MOUNT_ATTR_NOSUID)
        detached = kernel.fsmount(context, kernel.MOUNT_ATTR_NODEV | attributes)
        try:
            kernel.move_mount(detached, target)
        finally:
            os.close(detached)
    except OSError as error:
        if said := kernel.complaint(context):
            raise OSError(error.errno, f"{error.strerror} ({said})", error.filename) from error
        raise
    finally:
        os.close(context)


def _mount_old(
    lowers: Sequence[bytes], target: bytes, upper: Path | None, work: Path | None, *, setuid: bool = False, volatile: bool = True
) -> None:
    """mount(2): every folder is opened and named by its descriptor's number, relative to /proc/self/fd, to fit the page.

    The current folder belongs to all threads of a process, so this happens in a thread that has one of its own.
    """
    failure: list[BaseException] = []
    with contextlib.ExitStack() as stack:

        def opened(path: bytes) -> bytes:
            descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            return b"%d" % descriptor

        options = b"userxattr,lowerdir=" + b":".join(opened(lower) for lower in lowers)
        if upper is not None and work is not None:
            options += b",upperdir=%s,workdir=%s" % (opened(os.fsencode(upper)), opened(os.fsencode(work)))
            options += b",volatile" if volatile else b""
        flags = kernel.MS_NODEV | (0 if setuid else kernel.MS_NOSUID) | (kernel.MS_RDONLY if upper is None else 0)

        def attach() -> None:
            try:
                kernel.unshare(kernel.CLONE_FS)
                os.chdir("/proc/self/fd")
                kernel.mount(b"overlay", target, b"overlay", flags, options)
            except OSError as error:
                failure.append(error)

        thread = threading.Thread(target=attach)
        thread.start()
        thread.join()
    if failure:
        error = failure[0]
        raise _refused(error, upper) if isinstance(error, OSError) else error


def _refused(error: OSError, upper: Path | None) -> GraphbuildError:
    said = error.strerror or str(error)
    if error.errno in (errno.EPERM, errno.EACCES):
        return lacking(f"the kernel does not let this user mount an overlay: {said}", "use Linux 5.11 or newer, or build as root")
    if error.errno == errno.ENODEV:
        return lacking("the kernel has no overlay file system", "load it: modprobe overlay")
    if error.errno == errno.EINVAL and upper is not None:
        return lacking(
            f"overlayfs cannot write to {upper}: {said}",
            "put the store on ext4, xfs, btrfs or tmpfs, not on an overlay or a network file system (--store DIR, GRAPHBUILD_STORE)",
        )
    return lacking(f"mounting the layers failed: {said}", "look at `dmesg`; the store may lie on a file system that overlayfs cannot stack")
