"""The real Sandbox: overlayfs for the tree, `container` (or bubblewrap) for the walls, control groups for the limits.

The process must have entered its namespaces (`namespace.enter`) before it started threads. Beyond that nothing is shared between
jobs: `run` may be called from any number of threads.
"""

import contextlib
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from graphbuild.sandbox import bwrap, container, limits, process, program, seccomp, trampoline, tree, users
from graphbuild.sandbox.job import DEFAULT_PATH, BindMount, Job, Limits, Outcome, Sandbox, SecretFile, Tmpfs
from graphbuild.sandbox.lifeline import Lifelines
from graphbuild.sandbox.namespace import Identity, not_mapped
from graphbuild.sandbox.scaffold import Scaffold
from graphbuild.values.errors import GraphbuildError, Problem, lacking, mistake
from graphbuild.values.platform import oci_architecture

__all__ = ["BindMount", "Job", "Limits", "LocalSandbox", "Outcome", "Sandbox", "SecretFile", "Tmpfs"]

_SAYS_NOTHING = "it said nothing"


class LocalSandbox:
    """The sandbox of one build."""

    def __init__(self, identity: Identity, folder: Path, *, contained: bool | None = None) -> None:
        """`identity` is what `namespace.enter` returned, `folder` an empty one on the store's file system for what steps share.

        `contained`: whether `container` makes the walls, instead of bubblewrap; None: where it can.
        """
        self._identity = identity
        self._contained = container.possible() if contained is None else contained
        self._scaffold = Scaffold(folder)
        self._lifelines = Lifelines()

    def close(self) -> None:
        """Let go of what steps share. All of them must have ended."""
        self._lifelines.close()
        self._scaffold.close()

    def run(
        self,
        job: Job,
        write: Callable[[bytes], None],
        cancelled: Callable[[], bool],
        write_error: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """See `Sandbox.run`."""
        if job.architecture not in ("", oci_architecture()):
            from graphbuild.sandbox import emulation

            emulation.prepare(job.architecture, root=self._identity.root)
        who = _credentials(job, self._identity)
        env = _environment(job, who)
        placed = tree.place_mounts(job)
        found = program.find(job.argv[0], dict(env)["PATH"], job.workdir, job.stack, placed)
        if isinstance(found, program.Refusal):
            (write_error or write)(f"graphbuild: {found.message}\n".encode(errors="surrogateescape"))
            upper = job.scratch / "upper"
            upper.mkdir()
            return Outcome(found.exit_code, "exited", upper)
        launch = _launch(job, who, env, found, self._identity, contained=self._contained)
        with tree.mounted(job, placed, launch.start, self._scaffold) as mounted:
            return self._run(job, launch, mounted, (write, write_error), cancelled)

    def _run(
        self,
        job: Job,
        launch: "_Launch",
        mounted: tree.Tree,
        writes: tuple[process.Write, process.Write | None],
        cancelled: Callable[[], bool],
    ) -> Outcome:
        identity = self._identity
        groups, refused = limits.create(job.limits), list[str]()
        try:
            admit = _admission(job.limits, groups, identity, refused)
            if launch.contained is not None:
                request = _contained_request(job, launch.contained, mounted, identity, admit)
                ending = process.run(request, self._lifelines, writes, cancelled)
            else:
                with _filter(identity) as filter_fd:
                    ending = process.run(_request(job, launch, mounted, filter_fd, admit), self._lifelines, writes, cancelled)
            out_of_memory = limits.ran_out_of_memory(groups) and ending.exit_code != 0
        finally:
            limits.remove(groups)
        if ending.reason == "exited" and not ending.started:
            problem = Problem(
                f"the sandbox could not start: {ending.tail or _SAYS_NOTHING}", None, "docs/sandbox.md says what a machine must have"
            )
            raise GraphbuildError(problem, exit_code=36)
        reason: Literal["exited", "timeout", "memory", "cancelled"] = (
            "memory" if ending.reason == "exited" and out_of_memory else ending.reason
        )
        return Outcome(ending.exit_code, reason, mounted.upper, mounted.mount_points, (*_notes(groups, identity), *refused))


class _Launch(msgspec.Struct, frozen=True):
    """How the command starts: the trampoline's bytes (b"" for none), bubblewrap's last words and environments; or, without bubblewrap,
    the trampoline that is to make the container too.
    """

    start: bytes
    argv: tuple[str, ...]
    process_env: dict[str, str]
    option_env: tuple[tuple[str, str], ...] = ()
    contained: trampoline.Program | None = None


def _credentials(job: Job, identity: Identity) -> users.Credentials:
    passwd = job.stack.read(b"etc/passwd")
    who = users.resolve_user(job.user, passwd or b"", job.stack.read(b"etc/group") or b"")
    if job.like_docker:
        who = users.as_docker(job.user, passwd, who)
    if identity.ids == "single" and (who.uid or who.gid):
        raise not_mapped(f"user {job.user!r} is {who.uid}:{who.gid}")
    return who


def _environment(job: Job, who: users.Credentials) -> tuple[tuple[str, str], ...]:
    own = {"PATH": DEFAULT_PATH} if job.like_docker else {"PATH": DEFAULT_PATH, "HOME": who.home, "HOSTNAME": job.hostname}
    env = own | dict(job.env) | dict(job.secret_env)
    if job.like_docker and not env.get("HOME"):
        env.pop("HOME", None)
        env["HOME"] = who.home  # last, as its runtime adds it; also in place of an empty one
    for name, value in env.items():
        if not name or "=" in name or "\0" in name + value:
            raise mistake(f"environment variable {name!r} cannot be set", hint="names have no `=`, neither has a NUL byte")
    if any("\0" in word for word in (*job.argv, job.workdir)) or not job.argv:
        raise mistake("a command is one or more words without NUL bytes")
    if not job.workdir.startswith("/"):
        raise mistake(f"workdir {job.workdir!r} is not an absolute path", hint="start it with /")
    return tuple(env.items())


def _launch(
    job: Job, who: users.Credentials, env: tuple[tuple[str, str], ...], path: str, identity: Identity, *, contained: bool
) -> _Launch:
    machine = platform.machine()
    if trampoline.supports(machine):
        code = trampoline.Program(
            os.fsencode(path),
            tuple(map(os.fsencode, job.argv)),
            tuple(os.fsencode(f"{name}={value}") for name, value in env),
            who if identity.ids == "full" else None,
        )
        if contained:
            return _Launch(b"", (), {}, contained=code)
        return _Launch(trampoline.assemble(machine, code), (bwrap.START,), {})
    argv = job.argv if who.uid == who.gid == 0 else _setpriv(job, who, machine)
    # The loader of bubblewrap itself, which is outside, must not obey the image's LD_PRELOAD: such names go by option, the rest unseen.
    loader = tuple((name, value) for name, value in env if name.startswith(("LD_", "GLIBC_", "GCONV_")))
    if set(dict(loader)) & set(dict(job.secret_env)):
        raise mistake("a secret cannot be a variable of the dynamic loader", hint="give it another name")
    return _Launch(b"", argv, {name: value for name, value in env if (name, value) not in loader}, loader)


def _setpriv(job: Job, who: users.Credentials, machine: str) -> tuple[str, ...]:
    """Where there is no trampoline for the machine, the image's own setpriv switches."""
    for path in ("/usr/bin/setpriv", "/bin/setpriv"):
        if job.stack.lookup(job.stack.resolve(path[1:].encode())) is not None:
            groups = f"--groups={','.join(map(str, who.groups))}" if who.groups else "--clear-groups"
            return (path, f"--reuid={who.uid}", f"--regid={who.gid}", groups, "--inh-caps=-all", "--", *job.argv)
    raise lacking(f"switching to user {job.user!r} on {machine} takes setpriv in the image", "install util-linux in a step below")


def _request(job: Job, launch: _Launch, mounted: tree.Tree, filter_fd: int, admit: Callable[[int], None] | None) -> process.Request:
    setup = bwrap.Setup(
        str(mounted.merged),
        launch.argv,
        job.workdir,
        mounts=mounted.mounts,
        env=launch.option_env,
        interactive=job.interactive,
        seccomp=filter_fd,
        hostname=job.hostname,
    )

    def command(status: int, block: int, alone: bool) -> list[str]:
        complete = msgspec.structs.replace(setup, status=status, block=block, unshare_network=job.network == "none" and not alone)
        return bwrap.command_line(bwrap.find_bwrap(), bwrap.find_masks(), complete)

    return process.Request(command, job.network, launch.process_env, (filter_fd,), job.timeout, job.limits.output, job.interactive, admit)


def _contained_request(
    job: Job, program: trampoline.Program, mounted: tree.Tree, identity: Identity, admit: Callable[[int], None] | None
) -> process.Request:
    setup = bwrap.Setup(str(mounted.merged), (), job.workdir, mounts=mounted.mounts, interactive=job.interactive, hostname=job.hostname)
    machine = platform.machine()
    filtered = seccomp.root_emulation(machine) if identity.ids == "single" else b""

    def command(status: int, block: int, alone: bool) -> list[str]:
        own_network = job.network == "none"
        calls = container.calls(
            bwrap.find_masks(), setup, own_network=own_network, last=container.last_capability(), like_docker=job.like_docker
        )
        flags = container.flags(unshare_network=own_network and not alone)
        walls = trampoline.Container(flags, calls, status, block, filtered, reaper=not job.like_docker)
        path = Path(mounted.start)
        path.write_bytes(trampoline.assemble(machine, msgspec.structs.replace(program, container=walls)))
        path.chmod(0o500)
        return [mounted.start]

    owner = program.switch.uid if program.switch is not None else 0
    return process.Request(
        command, job.network, {}, (), job.timeout, job.limits.output, job.interactive, admit, contained=True, owner=owner
    )


def _admission(wanted: Limits, groups: limits.Groups, identity: Identity, refused: list[str]) -> Callable[[int], None] | None:
    """What is done to the first process before it goes on, None for nothing; `refused` takes notes of what could not be."""
    bounded = "processes" in groups.missing and not identity.root

    def admit(pid: int) -> None:
        try:
            limits.enter(groups, pid)
        except OSError as error:
            refused.append(f"the limits were not held: {error.strerror}")
        if bounded:
            import resource

            resource.prlimit(pid, resource.RLIMIT_NPROC, (wanted.processes, wanted.processes))

    return admit if groups.folders or bounded else None


def _notes(groups: limits.Groups, identity: Identity) -> tuple[str, ...]:
    unheld = [name for name in groups.missing if name == "memory" or identity.root]
    return tuple(f"the limit on {name} was not held: this user may make no control group" for name in unheld)


@contextlib.contextmanager
def _filter(identity: Identity) -> Iterator[int]:
    """A descriptor of the filter for one mapped id, -1 where none is needed."""
    code = seccomp.root_emulation(platform.machine()) if identity.ids == "single" else b""
    if not code:
        yield -1
        return
    descriptor = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, code)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)
