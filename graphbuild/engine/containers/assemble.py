"""A container's tree: its layers, its own writable one, its /dev, and what is mounted into it, in this process' mount namespace.

All that a container's root or an image may have put in the way (symlinks at mount points) is followed inside the tree only. Every mount is
nodev, but for the devices of /dev themselves; the tree is not nosuid, so sudo works. The namespace is the monitor's (or that of a command
on a container that does not run) and nobody else's: when it goes, the mounts go.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from graphbuild.engine.containers.copy_tree import copy_tree
from graphbuild.engine.containers.devices import mount_devices
from graphbuild.engine.containers.model import Mount
from graphbuild.engine.containers.rooted import DiskTree
from graphbuild.engine.containers.shelf import Container, locked
from graphbuild.sandbox import kernel, overlay, stub
from graphbuild.sandbox.namespace import Identity
from graphbuild.values.entry import Kind
from graphbuild.values.errors import mistake

KERNELS = (b"proc", b"sys", b"dev")
FILES = (b"etc/hosts", b"etc/hostname", b"etc/resolv.conf")
_RESOLV_CONF = "/etc/resolv.conf"


def write_stub(stack: stub.Stack, folder: Path, epoch: int) -> None:
    """Fill a container's stub: what Docker's engine puts below every container, and directories that layers have only implicitly."""
    plan = stub.plan_stub(stack, points(stack))
    stub.write_stub(plan, folder, epoch)
    etc = stack.lookup(b"etc")
    if stack.lookup(b"etc/mtab") is None and (etc is None or etc.kind is Kind.DIRECTORY):
        (folder / "etc/mtab").symlink_to("/proc/mounts")
    stub.set_attributes(bytes(folder), stack.lookup(b""))


def points(stack: stub.Stack) -> dict[bytes, bool]:
    """What every container has: where it is in an image, and whether it is a folder."""
    return {stack.resolve(path): True for path in KERNELS} | {stack.resolve(path): False for path in (*FILES, b".dockerenv")}


def write_files(container: Container) -> None:
    """The files that a container shows in /etc; what it has written to the first two stays."""
    spec, folder = container.spec, container.folder
    extra = "".join(f"{address}\t{name}\n" for name, address in spec.hosts)
    own = f"127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t{spec.hostname}\n{extra}"
    for name, text in (("hosts", own), ("hostname", spec.hostname + "\n")):
        if not (folder / name).exists():
            (folder / name).write_text(text)
    servers = "".join(f"nameserver {address}\n" for address in spec.dns)
    if not servers:
        try:
            servers = Path(_RESOLV_CONF).read_text()
        except OSError:
            servers = ""
    (folder / "resolv.conf").write_text(servers)
    for name in ("hosts", "hostname", "resolv.conf"):
        (folder / name).chmod(0o644)


def mount_layers(container: Container, folders: Sequence[Path], merged: Path) -> DiskTree:
    """Mount the layers (lowest first) and the container's own."""
    upper, work = container.folder / "upper", container.folder / "work"
    overlay.mount([*folders, container.folder / "stub"], merged, upper=upper, work=work, setuid=True, volatile=False)
    return DiskTree(bytes(merged))


def mount_all(container: Container, folders: Sequence[Path], volumes: Path, merged: Path, identity: Identity) -> DiskTree:
    """`mount_layers` and all that is mounted in it, but what the container's first process mounts: /proc and /sys."""
    spec = container.spec
    tree = mount_layers(container, folders, merged)
    for path in KERNELS:
        if tree.make(path, folder=True) != path:
            raise mistake(f"/{path.decode()} of the container is a symlink, it cannot start", hint="remove it: `graphbuild container cp`")
    mount_devices(merged / "dev", all_ids=identity.ids == "full", all_devices=spec.privileged)
    write_files(container)
    for path in FILES:
        _attach(_clone(container.folder / os.path.basename(path).decode(), 0), tree, path, folder=False)
    mount_volumes(spec.mounts, tree, volumes)
    return tree


def mount_volumes(mounts: Sequence[Mount], tree: DiskTree, volumes: Path) -> None:
    """Mount what a container mounts, outer places first."""
    for mount in sorted(mounts, key=lambda mount: os.path.normpath(mount.to).split("/")):
        to = place_of(mount.to)
        match mount.kind:
            case "tmpfs":
                with_size = b",size=%d" % mount.size if mount.size else b""
                flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC | (kernel.MS_RDONLY if mount.read_only else 0)
                descriptor = _point(tree, to, folder=True)
                kernel.mount(b"tmpfs", b"/proc/self/fd/%d" % descriptor, b"tmpfs", flags, b"mode=%o" % mount.mode + with_size)
                os.close(descriptor)
            case "bind" | "volume":
                source = Path(mount.source) if mount.kind == "bind" else _volume(mount, tree, volumes)
                if not source.exists():
                    raise mistake(f"bind source path {source} does not exist", hint="make it, or use -v, which makes a folder")
                attributes = kernel.MOUNT_ATTR_NODEV | (kernel.MOUNT_ATTR_RDONLY if mount.read_only else 0)
                _attach(_clone(source, attributes), tree, to, folder=source.is_dir())


def mount_program(source: str, tree: DiskTree, to: str) -> None:
    """Show a program of the machine in the tree, where nobody can change it."""
    _attach(_clone(Path(source), kernel.MOUNT_ATTR_RDONLY | kernel.MOUNT_ATTR_NODEV), tree, to.lstrip("/").encode(), folder=False)


def place_of(to: str) -> bytes:
    """A mount's destination in a tree. GraphbuildError for one that cannot be."""
    if not to.startswith("/") or "\0" in to:
        raise mistake(f"mount destination {to!r} is not an absolute path", hint="start it with /")
    path = os.fsencode(os.path.normpath(to)).lstrip(b"/")
    if not path or path.split(b"/")[0] in (b"proc", b"sys"):
        raise mistake(f"mount destination {to!r} is the container's own", hint="name a folder below /, outside of /proc and /sys")
    return path


def _clone(source: Path, attributes: int) -> int:
    return kernel.clone_mount(bytes(source), attributes)


def _point(tree: DiskTree, to: bytes, *, folder: bool) -> int:
    """A place to mount at, opened without following anything: who has a volume in common may write there just now."""
    return tree.open(tree.make(to, folder=folder), os.O_PATH)


def _attach(detached: int, tree: DiskTree, to: bytes, *, folder: bool) -> None:
    descriptor = _point(tree, to, folder=folder)
    try:
        kernel.move_mount(detached, descriptor)
    finally:
        os.close(descriptor)
        os.close(detached)


def _volume(mount: Mount, tree: DiskTree, volumes: Path) -> Path:
    """The folder of a volume, made where it is not, and filled where it is empty."""
    folder = volumes / mount.source
    place = tree.resolve(place_of(mount.to))
    entry = tree.lookup(place)
    first = tree.root + place if mount.copy and entry is not None and entry.kind is Kind.DIRECTORY else b""
    with locked(volumes):
        if folder.exists():
            if first and not os.listdir(folder):  # it may be mounted elsewhere
                copy_tree(first, bytes(folder))
            return folder
        draft = volumes / f".{mount.source}"
        shutil.rmtree(draft, ignore_errors=True)  # of somebody who was killed
        draft.mkdir(0o755)
        if first:
            copy_tree(first, bytes(draft))
        draft.rename(folder)
    return folder


def set_root(stack: stub.Stack, upper: Path) -> None:
    """Give a new writable layer the attributes of the root that it will be."""
    stub.set_attributes(bytes(upper), stack.lookup(b""))


def capabilities_held() -> int:
    """What this process can give to a container, as bits."""
    with open("/proc/self/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("CapPrm:")).split()[1], 16)
