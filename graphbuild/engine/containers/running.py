"""Starting a container, and what is done to one that runs: signals, pauses, its end."""

import contextlib
import os
import select
import signal
import socket
import time
from pathlib import Path

import msgspec

from graphbuild.engine.containers import groups, monitor
from graphbuild.engine.containers.model import State
from graphbuild.engine.containers.place import Place
from graphbuild.engine.containers.shelf import Container, failed, is_alive, locked, not_running, wait_dead
from graphbuild.engine.quantities import parse_signal
from graphbuild.values.errors import GraphbuildError, Problem

_SETTLED = 3  # looks at a pid namespace that find nothing more to stop


def start(place: Place, container: Container, client: socket.socket | None = None) -> bool:
    """Start a container, whose first client that socket is; false if it runs already. GraphbuildError where it cannot be started."""
    identity = place.identity
    try:
        with locked(container.folder):
            if is_alive(container.folder):
                return False
            with place.open() as opened:
                layers = container.spec.image.layers
                folders = [opened.forms.folder(layer.output) for layer in layers if layer.output is not None]
            number = client.fileno() if client is not None else -1
            _start_monitor(monitor.Order(container, tuple(folders), place.root, identity, number))
    except FileNotFoundError:
        raise failed(f"no container {container.name}", "it was removed just now") from None
    return True


def _start_monitor(order: monitor.Order) -> None:
    read, report = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setsid()
            if not os.fork():
                _become(order, report)
            code = 0
        finally:
            os._exit(code)
    os.close(report)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as file:
        said = file.read()
    if not said:
        raise failed("the monitor of the container was killed while it started", f"`graphbuild container start {order.container.name}`")
    told = msgspec.msgpack.decode(said, type=tuple[int, str, str] | None)
    if told is not None:
        raise GraphbuildError(Problem(told[1], None, told[2]), exit_code=told[0])


def _become(order: monitor.Order, report: int) -> None:
    """A bug of ours is written down, where somebody may look for it."""
    try:
        monitor.become(order, report)
    except BaseException:  # noqa: BLE001 - nobody else sees it
        import traceback

        with contextlib.suppress(OSError):
            (order.container.folder / "trouble").write_text(traceback.format_exc())


def connect(container: Container) -> socket.socket:
    """Become a client of a running container."""
    endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(container.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        endpoint.connect(f"/proc/self/fd/{folder}/attach")
    except OSError:
        endpoint.close()
        raise not_running(container) from None
    finally:
        os.close(folder)
    return endpoint


def send(container: Container, number: int) -> None:
    """Send a signal to the first process. GraphbuildError where it does not run."""
    process = container.pidfd()
    try:
        signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        raise not_running(container) from None
    finally:
        os.close(process)


def stop(container: Container, timeout: float | None = None) -> None:
    """Ask a container to end, and kill it when it has not after `timeout` seconds; returns when it is gone."""
    try:
        process = container.pidfd()
    except GraphbuildError:
        if is_alive(container.folder):  # it is just coming up, or going
            wait_dead(container.folder)
        return
    spec = container.spec
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, parse_signal(spec.config.stop_signal or "SIGTERM"))
            limit = spec.stop_timeout if timeout is None else timeout
            ended, _, _ = select.select([process], [], [], None if limit < 0 else limit)
            if not ended:
                signal.pidfd_send_signal(process, signal.SIGKILL)
    finally:
        os.close(process)
    wait_dead(container.folder)


def kill(container: Container) -> None:
    """Kill a container that may be paused, or may have ended; returns when it is gone."""
    with contextlib.suppress(GraphbuildError, ProcessLookupError):
        process = container.pidfd()
        try:
            signal.pidfd_send_signal(process, signal.SIGKILL)
            state = container.state()
            if state is not None:
                groups.thaw(state.groups)  # its parent, which reports, is frozen too
        finally:
            os.close(process)
    wait_dead(container.folder)


def pause(container: Container) -> None:
    """Stop all of a container's processes where they are. That it is paused is said first: who dies in between leaves what `unpause` mends."""
    state = _running(container)
    (container.folder / "paused").write_text(state.run)
    if not groups.freeze(state.groups):
        _signal_all(container, signal.SIGSTOP)


def unpause(container: Container) -> None:
    state = _running(container)
    if not groups.thaw(state.groups):
        _signal_all(container, signal.SIGCONT)
    (container.folder / "paused").unlink(missing_ok=True)


def _running(container: Container) -> State:
    seen = container.look()
    if not seen.running or seen.state is None:
        raise not_running(container)
    return seen.state


def processes(container: Container) -> list[int]:
    """The numbers, in our eyes, of all processes in the container."""
    state = _running(container)
    space = os.readlink(f"/proc/{state.pid}/ns/pid")
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{name}/ns/pid") == space:
                    found.append(int(name))
    return sorted(found)


def _signal_all(container: Container, number: int) -> None:
    """Signal all processes, also those that others start meanwhile."""
    done: set[int] = set()
    quiet = 0
    while quiet < _SETTLED:
        new = set(processes(container)) - done
        quiet = 0 if new else quiet + 1
        for pid in new:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        done |= new
        time.sleep(0.001)


def log_file(container: Container) -> Path:
    return container.folder / "log"
