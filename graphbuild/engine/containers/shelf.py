"""The containers of a store: found by what people type, kept, and taken away.

What a container is stands in its row; what is its own lies in its folder: `upper` (the writable layer), `stub` (the lowest of its own),
`log`, `state`, `attach` (a socket), and two locks. `alive` is held by the monitor of a run for as long as it lives, so whether a
container runs is never written down and never stale. `.lock` is held by whoever changes what does not run. A row comes after its folder and
goes before it; a folder that has no row and whose `.lock` is free was left by somebody who was killed, and is swept.
"""

import contextlib
import fcntl
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from graphbuild.engine.containers import model
from graphbuild.engine.containers.model import Spec, State, Status
from graphbuild.store.containers import NameTaken, StoredContainer
from graphbuild.store.images import references
from graphbuild.store.locks import is_at, try_flock
from graphbuild.store.store import Store
from graphbuild.store.trash import discard
from graphbuild.values.errors import EXIT_FAILED, GraphbuildError, Problem, mistake

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_ID = re.compile(r"[0-9a-f]{1,64}")
_KILLED = 128 + signal.SIGKILL
_LOCK = ".lock"


class Seen(msgspec.Struct, frozen=True):
    """How a container was when somebody looked. `state` None: it never ran."""

    status: Status
    state: State | None

    @property
    def running(self) -> bool:
        return self.status in ("running", "paused")


class Container(msgspec.Struct, frozen=True):
    """A container by its row. `folder` is where its files are."""

    id: str
    name: str
    spec: Spec
    folder: Path

    def look(self) -> Seen:
        """How it is now."""
        alive = is_alive(self.folder)
        state = self.state()
        if state is None or (alive and not state.pid):
            return Seen("created", state)
        if alive:
            return Seen("paused" if self._paused(state) else "running", state)
        if not state.started:
            return Seen("created", state)
        if not state.finished:  # its monitor was killed, and all with it
            state = msgspec.structs.replace(state, finished=self._last_seen(), exit_code=_KILLED, pid=0)
        return Seen("exited", state)

    def _last_seen(self) -> int:
        with contextlib.suppress(OSError):
            return max((self.folder / name).stat().st_mtime_ns for name in ("state", "log") if (self.folder / name).exists())
        return time.time_ns()

    def state(self) -> State | None:
        """What the monitor wrote down last."""
        try:
            return model.decode_state((self.folder / "state").read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def _paused(self, state: State) -> bool:
        try:
            return (self.folder / "paused").read_text() == state.run
        except FileNotFoundError:
            return False

    def pidfd(self) -> int:
        """A descriptor of the first process. GraphbuildError where it does not run; the caller closes it."""
        seen = self.look()
        if seen.running and seen.state is not None:
            descriptor = open_process(seen.state.pid, seen.state.born)
            if descriptor is not None:
                return descriptor
        raise not_running(self)


def open_process(pid: int, born: int) -> int | None:
    """A pidfd of the process that has that number and start time."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    if born_at(pid) != born:
        os.close(descriptor)
        return None
    return descriptor


def born_at(pid: int) -> int:
    """When a process started, in the kernel's ticks; 0 for none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError):
        return 0


def is_alive(folder: Path) -> bool:
    """Whether a monitor lives."""
    try:
        descriptor = os.open(folder / "alive", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not try_flock(descriptor, shared=True)
    finally:
        os.close(descriptor)


def wait_dead(folder: Path) -> None:
    """Return when no monitor lives any more."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(folder / "alive", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)


def not_running(container: Container) -> GraphbuildError:
    return failed(f"container {container.name} is not running", f"`graphbuild container start {container.name}` starts it")


def failed(message: str, hint: str = "", code: int = EXIT_FAILED) -> GraphbuildError:
    """What Docker's engine would refuse: not a wrong command line, but the wrong moment for it."""
    return GraphbuildError(Problem(message, None, hint), exit_code=code)


class Shelf:
    """The containers of one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def find(self, text: str) -> Container:
        """The container of a name, or of an id or its beginning. GraphbuildError where there is none, or more than one."""
        name = text.removeprefix("/")
        row = self.store.containers.named(name)
        if row is None and _ID.fullmatch(text):
            found = self.store.containers.beginning(text)
            if len(found) > 1 and found[0].id != text:
                raise failed(f"{text} is the beginning of {len(found)} ids", ", ".join(each.id[:12] for each in found[:5]))
            row = found[0] if found else None
        if row is None:
            raise failed(f"no container {text}", self._suggestion(text) or "`graphbuild container ps -a` lists those that are there")
        return self._opened(row)

    def _suggestion(self, text: str) -> str:
        import difflib

        close = difflib.get_close_matches(text, [row.name for row in self.store.containers.all()], 1)
        return f"did you mean {close[0]}?" if close else ""

    def all(self) -> list[Container]:
        """Every container, the newest first."""
        found = [self._opened(row) for row in self.store.containers.all()]
        return sorted(found, key=lambda container: container.spec.created, reverse=True)

    def _opened(self, row: StoredContainer) -> Container:
        try:
            spec = model.decode_spec(row.body)
        except ValueError as error:
            raise failed(f"container {row.name} is of another version of graphbuild: {error}", "remove it with that version") from None
        return Container(row.id, row.name, spec, self.store.containers.folder(row.id))

    @contextlib.contextmanager
    def new_folder(self, container: str) -> Iterator[Path]:
        """The folder of a container in the making, which others leave alone meanwhile."""
        folder = self.store.containers.folder(container)
        with contextlib.ExitStack() as held:
            while True:
                folder.mkdir(mode=0o700)
                try:
                    held.enter_context(locked(folder))
                    break
                except FileNotFoundError:  # somebody swept it away, before it was locked
                    continue
            (folder / "alive").touch(0o600)
            yield folder

    def put(self, container: Container) -> Container:
        """Add a container. GraphbuildError for a name that another one has."""
        row = StoredContainer(container.id, container.name, model.encode(container.spec))
        with self._named(container.name):
            self.store.containers.put(row, references(container.spec.image))
        return container

    def rename(self, container: Container, name: str) -> None:
        with self._named(name):
            self.store.containers.rename(container.id, name)

    @contextlib.contextmanager
    def _named(self, name: str) -> Iterator[None]:
        if not NAME.fullmatch(name):
            raise mistake(f"{name!r} is no name for a container", hint="two or more letters, digits, '_', '.' and '-'")
        try:
            yield
        except NameTaken:
            other = self.store.containers.named(name)
            whose = f" by container {other.id[:12]}" if other else ""
            raise failed(f"the name {name} is in use{whose}", "remove or rename that one, or choose another name") from None

    def remove(self, container: Container) -> None:
        """Take a container away, which does not run and whose lock is held."""
        self.store.containers.remove(container.id)
        discard(container.folder, self.store.root / "trash")

    def sweep(self) -> None:
        """Take away what killed commands left: folders without a row, and `--rm` containers whose monitor was killed."""
        rows = {row.id: row for row in self.store.containers.all()}
        for name in os.listdir(self.store.root / "containers"):
            folder = self.store.containers.folder(name)
            row = rows.get(name)
            if row is None:
                with contextlib.suppress(BlockingIOError, FileNotFoundError), locked(folder, wait=False):
                    if not is_alive(folder) and not self.store.containers.beginning(name):
                        discard(folder, self.store.root / "trash")
                continue
            container = self._opened(row)
            if container.spec.auto_remove and container.look().status == "exited":
                with contextlib.suppress(BlockingIOError, FileNotFoundError), locked(folder, wait=False):
                    if container.look().status == "exited":
                        self.remove(container)


@contextlib.contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold the lock of a container that does not run. FileNotFoundError where it is gone; BlockingIOError if somebody has it and `wait` is false."""
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if not is_at(descriptor, folder / _LOCK):
            raise FileNotFoundError(folder)
        yield descriptor
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
