"""The tree that a step sees, mounted before the sandbox starts and taken down after it: stack, stub, upper, and what is bound into it.

Everything is in the job's `scratch`, in the build's `Scaffold` and in this process's mount namespace. The stub is not in memory: with all
layers on one file system overlayfs keeps inode numbers over a copy-up.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from graphbuild.sandbox import overlay, stub
from graphbuild.sandbox.bwrap import START, Bind, Memory
from graphbuild.sandbox.job import BindMount, Job, SecretFile, Tmpfs
from graphbuild.sandbox.namespace import not_mapped
from graphbuild.sandbox.program import Placed
from graphbuild.sandbox.scaffold import Scaffold
from graphbuild.values.entry import Kind
from graphbuild.values.errors import mistake

_HOSTS = "127.0.0.1\tlocalhost {}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_RESOLV_CONF = "/etc/resolv.conf"
_KERNELS = (b"proc", b"sys", b"dev")


class Tree(msgspec.Struct, frozen=True):
    """`merged` is where it is mounted; `mounts` what is mounted over it; `mount_points` what no layer holds; `start` a name for the trampoline."""

    merged: Path
    upper: Path
    mounts: tuple[Bind | Memory, ...]
    mount_points: tuple[bytes, ...]
    start: str


def place_mounts(job: Job) -> list[Placed]:
    """The job's mounts with their destinations resolved, outer ones first. GraphbuildError for one that cannot be."""
    placed: list[tuple[str, Placed]] = []
    for mount in sorted(job.mounts, key=lambda mount: os.path.normpath(mount.to).split("/")):
        to = os.path.normpath(mount.to)
        if placed and placed[-1][0] == to:
            if not job.like_docker:
                raise mistake(f"two mounts at {to}", hint="give each a destination of its own")
            placed.pop()  # the later hides it
        outer = next(((path, found) for path, found in reversed(placed) if to.startswith(path + "/")), None)
        path = outer[1].path + b"/" + os.fsencode(to[len(outer[0]) + 1 :]) if outer else stub.place(job.stack, mount.to)
        # Also where only a symlink of the image leads into another mount.
        if holder := max(
            (found for _, found in placed if path.startswith(found.path + b"/")), key=lambda found: len(found.path), default=None
        ):
            _check_nested(holder.mount, path[len(holder.path) + 1 :], to)
        placed.append((to, Placed(path, mount)))
    return [found for _, found in placed]


def _check_nested(outer: BindMount | Tmpfs | SecretFile, below: bytes, to: str) -> None:
    """A mount in another mount: its place must be there, and reached without a symlink that somebody planted in the outer one."""
    if isinstance(outer, Tmpfs):
        return
    if isinstance(outer, SecretFile) or outer.mode == "rw":
        raise mistake(f"mount {to} lies in the mount {outer.to}, which cannot hold another", hint="choose a destination outside of it")
    path = os.fsencode(outer.source)
    for part in below.split(b"/"):
        path += b"/" + part
        if os.path.islink(path):
            raise mistake(f"mount {to}: {os.fsdecode(path)} is a symlink", hint="mount where it leads")
    if outer.mode == "ro" and not os.path.exists(path):
        raise mistake(f"mount {to} lies in the read-only mount {outer.to}, which has no such place", hint=f"make {os.fsdecode(path)} first")


@contextlib.contextmanager
def mounted(job: Job, placed: Sequence[Placed], start: bytes, scaffold: Scaffold) -> Iterator[Tree]:
    """The Tree of a job, for as long as the context lasts. `start` is the trampoline, b"" for none."""
    with contextlib.ExitStack() as cleanup:
        yield _mount(job, placed, start, scaffold, cleanup)


def _mount(job: Job, placed: Sequence[Placed], start: bytes, scaffold: Scaffold, cleanup: contextlib.ExitStack) -> Tree:
    stack, scratch = job.stack, job.scratch
    stub.check_own(stack)
    system = _system_files(job)
    own = {path: True for path in _KERNELS if not job.like_docker or stack.lookup(path) is not None}
    points = own | dict.fromkeys(system, False)
    outer: list[bytes] = []
    for found in placed:
        if not found.path.startswith((b"dev/", *(path + b"/" for path in outer))):
            points[found.path] = _is_folder(found.mount)
        outer.append(found.path)
    private = cleanup.enter_context(scaffold.private())
    upper, merged, work = scratch / "upper", private / "merged", scaffold.work()
    upper.mkdir(mode=0o755)
    merged.mkdir()
    top = stub.plan_stub(stack, points)
    stub.set_attributes(os.fsencode(upper), stack.lookup(b""))
    os.utime(upper, (job.epoch, job.epoch))
    folders = [*(layer.folder() for layer in stack.layers), scaffold.stub(top, job.epoch)]
    overlay.mount(folders, merged, upper=upper, work=work, setuid=job.like_docker)
    cleanup.callback(overlay.unmount, merged)
    for path in _KERNELS:
        if path not in own:  # as Docker has it, they are in the layer
            os.mkdir(os.path.join(os.fsencode(merged), path), 0o755)
            os.chmod(os.path.join(os.fsencode(merged), path), 0o755)
    _make_workdir(job, merged, placed)
    mounts = [*_bind_system(system, private, job.hostname), *_bind_job(job, placed, private, cleanup)]
    if start:
        mounts.append(Bind(_write(private / "start", start, 0o500), START))
    return Tree(merged, upper, tuple(mounts), top.made, str(private / "start"))


def _is_folder(mount: BindMount | Tmpfs | SecretFile) -> bool:
    if isinstance(mount, BindMount):
        if not os.path.exists(mount.source):
            raise mistake(f"mount {mount.to}: {mount.source} does not exist")
        return os.path.isdir(mount.source)
    return isinstance(mount, Tmpfs)


def _system_files(job: Job) -> dict[bytes, str]:
    """Where /etc/hosts and, with a network, /etc/resolv.conf are in the image → the machine's file, "" for our own."""
    wanted = {b"etc/hosts": ""}
    if job.network == "host":
        if os.path.exists("/etc/hosts") and not job.like_docker:
            wanted[b"etc/hosts"] = "/etc/hosts"
        if os.path.exists(_RESOLV_CONF):
            wanted[b"etc/resolv.conf"] = os.path.realpath(_RESOLV_CONF)
    resolved = {job.stack.resolve(path): source for path, source in wanted.items()}
    return {path: source for path, source in resolved.items() if not path.startswith((b"proc/", b"sys/", b"dev/"))}


def _write(path: Path, content: bytes, mode: int) -> str:
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def _bind_system(system: dict[bytes, str], private: Path, hostname: str) -> list[Bind]:
    own = _write(private / "hosts", _HOSTS.format(hostname).encode(), 0o644)
    return [Bind(source or own, "/" + os.fsdecode(path)) for path, source in system.items()]


def _bind_job(job: Job, placed: Sequence[Placed], private: Path, cleanup: contextlib.ExitStack) -> list[Bind | Memory]:
    mounts: list[Bind | Memory] = []
    for number, found in enumerate(placed):
        to = "/" + os.fsdecode(found.path)
        match found.mount:
            case Tmpfs(size=size):
                mounts.append(Memory(to, size, _mode_of_memory(job, found.path)))
            case SecretFile() as secret:
                source = _write(private / f"secret{number}", secret.content, secret.mode)
                _give(source, secret)
                mounts.append(Bind(source, to))
            case BindMount(source, _, "discard"):
                mounts.append(
                    Bind(
                        _discarding(source, job.scratch / f"discard{number}", private / f"copy{number}", cleanup),
                        to,
                        writable=True,
                        folder=os.path.isdir(source),
                    )
                )
            case BindMount(source, _, mode):
                mounts.append(Bind(source, to, writable=mode == "rw", folder=os.path.isdir(source)))
    return mounts


def _mode_of_memory(job: Job, path: bytes) -> int:
    """Docker's runtime gives a tmpfs the mode of the directory that it hides."""
    hidden = job.stack.lookup(path) if job.like_docker else None
    return hidden.mode if hidden is not None else 0o1777


def _give(path: str, secret: SecretFile) -> None:
    if (secret.uid, secret.gid) == (0, 0):
        return
    try:
        os.chown(path, secret.uid, secret.gid)
    except OSError as error:
        raise not_mapped(f"secret {secret.to} belongs to {secret.uid}:{secret.gid}") from error


def _discarding(source: str, folder: Path, copy: Path, cleanup: contextlib.ExitStack) -> str:
    """A writable view of a file or folder, gone with the step: a copy in memory, or an overlay of its own."""
    if not os.path.isdir(source):
        import shutil

        shutil.copy(source, copy)
        return str(copy)
    upper, work, merged = (folder / name for name in ("upper", "work", "merged"))
    for path in (folder, upper, work, merged):
        path.mkdir()
    about = os.stat(source)
    os.chmod(upper, about.st_mode & 0o7777)
    with contextlib.suppress(OSError):  # an owner that is not mapped here
        os.chown(upper, about.st_uid, about.st_gid)
    overlay.mount([Path(source)], merged, upper=upper, work=work)
    cleanup.callback(overlay.unmount, merged)
    return str(merged)


def _make_workdir(job: Job, merged: Path, placed: Sequence[Placed]) -> None:
    """Docker makes a WORKDIR that is missing; what does so here is in the layer, as it is there."""
    path = job.stack.resolve(os.fsencode(os.path.normpath(job.workdir)).lstrip(b"/"))
    if (path + b"/").startswith((b"proc/", b"sys/", b"dev/", *(found.path + b"/" for found in placed))):
        return
    entry = job.stack.lookup(path)
    if path and entry is not None and entry.kind is not Kind.DIRECTORY:
        raise mistake(f"workdir {job.workdir!r} is not a folder in the image", hint="choose another one")
    parts = path.split(b"/") if path and entry is None else []
    for count in range(1, len(parts) + 1):
        above = job.stack.lookup(b"/".join(parts[:count]))
        if above is not None and above.kind is not Kind.DIRECTORY:
            raise mistake(f"workdir {job.workdir!r} lies below something that is not a folder", hint="choose another one")
        name = os.path.join(os.fsencode(merged), *parts[:count])
        if above is None and not os.path.isdir(name):
            os.mkdir(name)
            os.chmod(name, 0o755)
