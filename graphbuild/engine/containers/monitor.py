"""The one process that stays beside a container while it runs: it holds the mounts, the output, the log and the exit code.

It is no daemon: there is one a container, it serves nobody else, and it ends when the container ends. It holds the lock `alive` from
before anything is mounted until everything is gone. When it is killed, the kernel takes all of it away: its mount namespace with the
mounts, and the pid namespace, whose first process dies with it (`launch`). It has no threads: it may not, once its children are in a
namespace of their own.
"""

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from graphbuild.engine.containers import assemble, groups, launch, streams, wire
from graphbuild.engine.containers.clients import Clients
from graphbuild.engine.containers.health import Checks
from graphbuild.engine.containers.model import OURS, State, encode
from graphbuild.engine.containers.rooted import DiskTree
from graphbuild.engine.containers.shelf import Container, born_at, failed
from graphbuild.engine.quantities import parse_signal
from graphbuild.sandbox import kernel, lifeline, trampoline
from graphbuild.sandbox.namespace import Identity
from graphbuild.values.errors import GraphbuildError

_BLOCK = 64 * 1024
READY = b'"ready"\n'


class Order(msgspec.Struct, frozen=True):
    """What a monitor is told. `folders` are the layers' and in order; `client`: a socket that is a client from the start, -1 for none."""

    container: Container
    folders: tuple[Path, ...]
    root: Path  # the store's
    identity: Identity
    client: int = -1


def become(order: Order, report: int) -> None:
    """Be the monitor, in a process that is nothing else; returns when all is over. `report`: where a failed start is said, then closed."""
    folder = order.container.folder
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o022)
    os.chdir("/")
    alive = os.open(folder / "alive", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)
    streams.let_go({alive, report, order.client})
    run = _Run(order)
    try:
        run.start()
    except (GraphbuildError, OSError) as error:
        run.fail(error)
        os.write(report, msgspec.msgpack.encode(_told(error)))
        return
    os.write(report, msgspec.msgpack.encode(None))
    os.close(report)
    run.serve()


def _told(error: GraphbuildError | OSError) -> tuple[int, str, str]:
    if isinstance(error, GraphbuildError):
        return error.exit_code, error.problems[0].message, error.problems[0].hint
    return OURS, f"the container cannot start: {error.strerror}: {error.filename}", ""


class _Run:
    """One run of a container, from its mounts to its exit code."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._container = order.container
        self._spec = order.container.spec
        self._state = State(os.urandom(8).hex(), monitor=os.getpid())
        self._outputs: dict[int, int] = {}
        self._status = -1
        self._heard = b""
        self._parent = -1  # of the container's first process
        self._parent_pid = 0
        self._pidfd = -1
        self._log = -1
        self._clients = Clients(-1)
        self._checks: Checks | None = None
        self._asked_to_end = False

    # -- how it starts

    def start(self) -> None:
        """Mount everything and start the first process. GraphbuildError or OSError where it cannot be; then nothing runs."""
        folder, spec = self._container.folder, self._spec
        self._write(self._state)
        groups.remove(self._container.id)
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount(b"none", b"/", b"", kernel.MS_REC | kernel.MS_PRIVATE)
        merged = folder / "merged"
        merged.mkdir(exist_ok=True)
        tree = assemble.mount_all(self._container, self._order.folders, self._order.root / "volumes", merged, self._order.identity)
        argv = (launch.INIT, "--", *spec.argv) if spec.init else spec.argv
        if spec.init:
            assemble.mount_program(launch.find_init(), tree, launch.INIT)
        workdir = spec.config.workdir or "/"
        if not workdir.startswith(("/proc", "/sys")):
            tree.make(os.fsencode(os.path.normpath(workdir)).lstrip(b"/"), folder=True)
        command = launch.find_command(
            argv,
            dict(spec.config.env),
            spec.config.user,
            workdir,
            tree,
            self._order.identity,
            tty=spec.tty,
            hostname=spec.hostname,
        )
        self._log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        made, missing = groups.make(self._container.id, spec.memory, spec.processes)
        if missing:
            raise failed(
                f"the limit on {' and '.join(missing)} cannot be held: this user may make no control group",
                "leave out --memory and --pids-limit, or run it as root",
                OURS,
            )
        self._state = msgspec.structs.replace(self._state, groups=made)
        self._write(self._state)
        self._spawn(command, merged, tree)

    def _spawn(self, command: launch.Command, merged: Path, tree: DiskTree) -> None:
        spec = self._spec
        opened = streams.terminal(tree, command.who.uid) if spec.tty else streams.pipes(command.who.uid, stdin=spec.open_stdin)
        stdin, slaves, self._outputs = opened.stdin, opened.ends, opened.outputs
        if spec.read_only:
            kernel.set_attributes(bytes(merged), kernel.MOUNT_ATTR_RDONLY)
        self._clients = Clients(stdin, once=spec.once, tty=spec.tty, terminal=stdin if spec.tty else -1)
        if self._order.client >= 0:
            self._clients.add(socket.socket(fileno=self._order.client))
        self._clients.endpoint = streams.listen(self._container.folder)
        status, status_end = os.pipe2(os.O_CLOEXEC)
        block_end, block = os.pipe2(os.O_CLOEXEC)
        walls = launch.walls(spec, command, str(merged), status_end, block_end, self._order.identity)
        ready = trampoline.Call("write", (status_end, READY, len(READY)))
        walls = msgspec.structs.replace(walls, calls=(*walls.calls, ready))
        program = launch.in_memory(launch.last_program(command, spec.capabilities, self._order.identity, walls))
        kernel.unshare(kernel.CLONE_NEWPID)
        self._parent_pid = os.fork()
        if not self._parent_pid:
            _execute(program, slaves, (status_end, block_end), own_network=spec.network == "none")
        for number in {program, status_end, block_end, *slaves}:
            os.close(number)
        self._status = status
        self._parent = os.pidfd_open(self._parent_pid)
        groups.enter(self._state.groups, self._parent_pid)
        os.write(block, b"1")
        while READY not in self._heard and trampoline.WAITED not in self._heard and trampoline.FAILED not in self._heard:
            data = os.read(status, 4096)
            if not data:
                break
            self._heard += data
        os.close(block)
        if trampoline.FAILED in self._heard or READY not in self._heard:
            raise self._refused()
        pid = lifeline.child_of(self._parent_pid)
        now = time.time_ns()
        self._state = msgspec.structs.replace(self._state, pid=pid, born=born_at(pid), started=now)
        with contextlib.suppress(ProcessLookupError):  # it may have ended
            self._pidfd = os.pidfd_open(pid) if pid else -1
        check = spec.config.healthcheck
        if check is not None and check.test and check.test[0] != "NONE":
            self._checks = Checks(check, self._container, self._order.identity, now)
            self._state = msgspec.structs.replace(self._state, health=self._checks.health)
        self._write(self._state)
        os.set_blocking(status, False)

    def _refused(self) -> GraphbuildError:
        """Why there is no first process; what there was of it is gone."""
        self._kill()
        said = self._heard.partition(trampoline.FAILED)[2]
        number = -int.from_bytes(said[:4], "little", signed=True) if len(said) > 4 else 0
        what = said[4:].partition(b"\n")[0].decode(errors="replace") or "the kernel refuses the namespaces that a container needs"
        return failed(f"the container cannot start: {what}{': ' + os.strerror(number) if number else ''}", code=OURS)

    def fail(self, error: GraphbuildError | OSError) -> None:
        """Note that it did not start."""
        code, message, _ = _told(error)
        if self._parent_pid:
            self._kill()
        groups.remove(self._container.id, self._state.groups)
        state = self._state
        self._write(msgspec.structs.replace(state, pid=0, started=0, finished=time.time_ns(), exit_code=code, error=message, groups=()))

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self._parent_pid, signal.SIGKILL)
            os.waitpid(self._parent_pid, 0)

    # -- while it runs

    def serve(self) -> None:
        """Hand on what comes and goes until the container has ended; then say how, and clean up."""
        signal.signal(signal.SIGTERM, self._ask_to_end)
        while not self._turn():
            pass
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._parent_pid, 0)
        self._hear()
        for output in list(self._outputs):
            self._read(output)
        self._finish()

    def _ask_to_end(self, _number: int, _frame: object) -> None:
        """The machine goes down: the container may end as it likes to."""
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._pidfd, parse_signal(self._spec.config.stop_signal or "SIGTERM"))

    def _turn(self) -> bool:
        """Wait for something to happen, and see to it; true when the container has ended."""
        poll = select.poll()
        poll.register(self._parent, select.POLLIN)
        if not self._clients.crowded:
            for output in self._outputs:
                poll.register(output, select.POLLIN)
        self._clients.register(poll)
        wait = None
        if self._checks is not None:
            wait = self._checks.register(poll)
        ready = dict(poll.poll(None if wait is None else max(0, int(wait * 1000) + 1)))
        for output in [output for output in self._outputs if output in ready]:
            self._read(output)
        self._clients.serve(ready)
        if self._checks is not None and self._checks.serve(ready, paused=(self._container.folder / "paused").exists()):
            self._state = msgspec.structs.replace(self._state, health=self._checks.health)
            self._write(self._state)
        return self._parent in ready

    def _read(self, output: int) -> None:
        """Hand on what is there; what has come to its end is closed."""
        while True:
            try:
                data = os.read(output, _BLOCK)
            except BlockingIOError:
                return
            except OSError:  # of a terminal that nobody has open any more
                data = b""
            if not data:
                if output != self._clients.stdin:
                    os.close(output)
                del self._outputs[output]
                return
            kind = self._outputs[output]
            with contextlib.suppress(OSError):  # a full disk must not end the container
                os.write(self._log, wire.record(time.time_ns(), kind, data))
            self._clients.send(wire.frame(kind, data))
            if self._clients.crowded and self._parent >= 0:
                return

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._status, 4096):
                self._heard += data

    # -- how it ends

    def _exit_code(self) -> int:
        said = self._heard.partition(trampoline.WAITED)[2][:4]
        if len(said) < 4:
            return 128 + signal.SIGKILL  # the parent was killed, and the container with it
        code = os.waitstatus_to_exitcode(int.from_bytes(said, "little"))
        return code if code >= 0 else 128 - code

    def _finish(self) -> None:
        state, container = self._state, self._container
        if self._checks is not None:
            self._checks.end()
        code, oom = self._exit_code(), groups.out_of_memory(state.groups)
        (container.folder / "paused").unlink(missing_ok=True)
        groups.remove(container.id, state.groups)
        state = msgspec.structs.replace(state, pid=0, finished=time.time_ns(), exit_code=code, out_of_memory=oom, groups=())
        self._write(state)
        (container.folder / "attach").unlink(missing_ok=True)
        self._clients.send(wire.frame(wire.EXIT, struct.pack("<i", code)))
        self._clients.flush()
        if self._spec.auto_remove:
            from graphbuild.engine.containers.removal import remove_own

            remove_own(container, self._order.root)

    def _write(self, state: State) -> None:
        """In one piece, or not at all."""
        draft = self._container.folder / "state.new"
        draft.write_bytes(encode(state))
        draft.rename(self._container.folder / "state")


def _execute(program: int, slaves: Sequence[int], inherited: Sequence[int], *, own_network: bool) -> None:
    """The child: never returns."""
    try:
        if own_network:
            kernel.unshare(kernel.CLONE_NEWNET)
            kernel.raise_loopback()
        for number in range(3):
            os.dup2(slaves[min(number, len(slaves) - 1)], number)
        for number in inherited:
            os.set_inheritable(number, True)
        for each in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(each, signal.SIG_DFL)
        os.execve(program, ["graphbuild-container"], {})
    finally:
        os._exit(OURS)
