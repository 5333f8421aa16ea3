"""How a container's first process is started: the program that makes its last walls, becomes its user and executes its command.

The same program (`sandbox.trampoline`) as for a RUN of a Dockerfile, in a pid namespace above the container's, whose first process it is:
when it dies, by whatever hand, the kernel kills everything in the container. It dies with the monitor. It is no file that
anybody could write to: a sealed one in memory; so nothing of the machine's own programs is ever seen executing in a container.
"""

import fcntl
import os
from collections.abc import Sequence

import msgspec

from graphbuild.engine.containers.model import MISSING, REFUSED, Spec
from graphbuild.engine.containers.rooted import DiskTree
from graphbuild.engine.containers.shelf import failed
from graphbuild.sandbox import bwrap, container, kernel, program, seccomp, trampoline, users
from graphbuild.sandbox.job import DEFAULT_PATH
from graphbuild.sandbox.namespace import Identity, not_mapped
from graphbuild.sandbox.trampoline import Call
from graphbuild.values.errors import GraphbuildError, lacking, mistake

_TIOCSCTTY = 0x540E
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_NO_MASKS = bwrap.Masks((), (), ())
INIT = "/sbin/docker-init"


class Command(msgspec.Struct, frozen=True):
    """What is to be executed in a container, and as whom. `user` is Docker's USER; `path` was found in the tree."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    who: users.Credentials
    path: str
    workdir: str


def find_command(
    argv: Sequence[str], env: dict[str, str], user: str, workdir: str, tree: DiskTree, identity: Identity, *, tty: bool, hostname: str
) -> Command:
    """A command as Docker would start it in a tree. GraphbuildError with 126 or 127 where it cannot be."""
    passwd = tree.read(b"etc/passwd")
    try:
        who = users.as_docker(user, passwd, users.resolve_user(user, passwd or b"", tree.read(b"etc/group") or b""))
    except GraphbuildError as error:
        raise GraphbuildError(*error.problems, exit_code=REFUSED) from None
    if identity.ids == "single" and (who.uid or who.gid):
        raise not_mapped(f"user {user!r} is {who.uid}:{who.gid}")
    own = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname} | ({"TERM": "xterm"} if tty else {}) | env
    if not own.get("HOME"):
        own["HOME"] = who.home
    if not argv:
        raise mistake("no command: the image has neither CMD nor ENTRYPOINT", hint="name one after the image")
    if any("\0" in text for text in (*argv, workdir, *own.values())):
        raise mistake("a NUL byte cannot be part of a command, a path or a variable")
    found = program.find(argv[0], own["PATH"], workdir, tree, ())
    if isinstance(found, program.Refusal):
        code = found.exit_code if found.exit_code in (MISSING, REFUSED) else REFUSED
        raise failed(f"cannot start {argv[0]!r}: {found.message}", code=code)
    return Command(tuple(argv), tuple(own.items()), who, found, workdir)


def last_program(command: Command, capabilities: int, identity: Identity, walls: trampoline.Container | None = None) -> bytes:
    """The program that becomes the command."""
    machine = os.uname().machine
    if not trampoline.supports(machine):
        raise lacking(f"containers cannot be run on {machine} yet", "use an x86-64 or aarch64 machine")
    code = trampoline.Program(
        os.fsencode(command.path),
        tuple(map(os.fsencode, command.argv)),
        tuple(os.fsencode(f"{name}={value}") for name, value in command.env),
        command.who if identity.ids == "full" else None,
        walls,
        capabilities,
    )
    return trampoline.assemble(machine, code)


def walls(spec: Spec, command: Command, merged: str, status: int, block: int, identity: Identity) -> trampoline.Container:
    """What the first process does before it becomes the container's. `status` and `block`: see `trampoline.Container`."""
    own_network = spec.network == "none"
    masks = _NO_MASKS if spec.privileged else bwrap.find_masks()
    name = os.fsencode(spec.hostname)
    calls = (
        Call("setsid", ()),  # its answer is no 0
        *((Call("ioctl", (0, _TIOCSCTTY, 0), "taking the terminal"),) if spec.tty else ()),
        Call("mount", (0, b"/", 0, kernel.MS_REC | kernel.MS_PRIVATE, 0), "making mounts private"),
        *container.kernel_folders(masks, merged, own_network=own_network),
        Call("mount", (b"mqueue", os.fsencode(merged + "/dev/mqueue"), b"mqueue", 14, 0)),
        Call("sethostname", (name, len(name)), "setting the host name"),
        Call("chdir", (os.fsencode(merged),), "entering the tree"),
        Call("pivot_root", (b".", b"."), "making the tree the root"),
        Call("umount2", (b".", kernel.MNT_DETACH), "letting go of the machine's files"),
        Call("chdir", (b"/",), "entering the root"),
        Call("chdir", (os.fsencode(command.workdir),), f"entering the working directory {command.workdir}"),
        *trampoline.bounding(container.last_capability(), spec.capabilities),
    )
    flags = container.flags(unshare_network=False)  # it is in one already
    return trampoline.Container(flags, calls, status, block, seccomp_filter(identity), tied=True)


def seccomp_filter(identity: Identity) -> bytes:
    """With one id: the filter that lets chown and the like seem to work."""
    return seccomp.root_emulation(os.uname().machine) if identity.ids == "single" else b""


def in_memory(program_: bytes) -> int:
    """A file that holds a program, which nobody can change, to be executed by its descriptor."""
    descriptor = os.memfd_create("graphbuild", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(descriptor, program_)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor


def find_init() -> str:
    """The machine's `docker-init` or another static program of the kind. GraphbuildError (36) where it has none."""
    for path in ("/usr/bin/docker-init", "/usr/libexec/docker/docker-init", "/usr/bin/tini-static", "/usr/bin/catatonit"):
        if os.access(path, os.X_OK):
            return path
    raise lacking("--init needs a program that reaps: docker-init, tini-static or catatonit", "apt-get install tini")
