"""What a sandbox is asked and what it answers: values, and the seam `Sandbox` that the build loop calls."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from graphbuild.sandbox.stub import Stack

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HOSTNAME = "graphbuild"
DOCKER_HOSTNAME = "buildkitsandbox"


class BindMount(msgspec.Struct, frozen=True):
    """A file or folder of the machine at `to`. "discard": writable, and what is written is thrown away."""

    source: str
    to: str
    mode: Literal["ro", "rw", "discard"] = "ro"


class Tmpfs(msgspec.Struct, frozen=True):
    """`size` in bytes, 0 for the kernel's default."""

    to: str
    size: int = 0


class SecretFile(msgspec.Struct, frozen=True):
    """A file that exists in memory only."""

    content: bytes
    to: str
    mode: int = 0o400
    uid: int = 0
    gid: int = 0

    def __repr__(self) -> str:
        return f"SecretFile(to={self.to!r})"


class Limits(msgspec.Struct, frozen=True):
    """`memory` in bytes, `processes` (threads count), `output` bytes of log that are kept; 0 for none."""

    memory: int = 0
    processes: int = 0
    output: int = 0


class Job(msgspec.Struct, frozen=True):
    """One command on one stack.

    `user` is Docker's USER; `workdir` is made (0755 root) where it does not exist; `timeout` in seconds, 0 for none. `scratch`: an empty
    folder on the store's file system, in which the upper directory is left. `interactive` hands over stdin, stdout,
    stderr and the terminal. `epoch`: the mtime of directories that the sandbox makes. `like_docker`: as a RUN of Docker's engine would find it
    (`rules.actions.Run`). `architecture`: that of the stack's programs (GOARCH), "" for this machine's.
    """

    stack: Stack
    argv: tuple[str, ...]
    scratch: Path
    env: tuple[tuple[str, str], ...] = ()
    user: str = ""
    workdir: str = "/"
    network: Literal["none", "host"] = "none"
    mounts: tuple[BindMount | Tmpfs | SecretFile, ...] = ()
    secret_env: tuple[tuple[str, str], ...] = ()
    timeout: float = 0
    limits: Limits = Limits()
    interactive: bool = False
    epoch: int = 0
    like_docker: bool = False
    architecture: str = ""

    @property
    def hostname(self) -> str:
        return DOCKER_HOSTNAME if self.like_docker else HOSTNAME

    def __repr__(self) -> str:
        return f"Job(argv={self.argv!r})"  # never the secrets


class Outcome(msgspec.Struct, frozen=True):
    """`exit_code` is the command's, 128 + n for a signal, 126/127 where it could not be started.

    `upper` is overlayfs's upper directory; `mount_points` are paths that exist for the sandbox's sake and must not reach a layer;
    `notes` say which limits this machine could not hold.
    """

    exit_code: int
    reason: Literal["exited", "timeout", "memory", "cancelled"]
    upper: Path
    mount_points: tuple[bytes, ...] = ()
    notes: tuple[str, ...] = ()


class DeferredSandbox:
    """A sandbox that is made when the first step needs one: many builds run none, and what makes walls takes 8 ms to import."""

    def __init__(self, make: Callable[[], "ClosableSandbox"]) -> None:
        self._make = make
        self._made: ClosableSandbox | None = None
        self._lock = threading.Lock()

    def run(
        self,
        job: Job,
        write: Callable[[bytes], None],
        cancelled: Callable[[], bool],
        write_error: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        with self._lock:
            sandbox = self._made = self._made or self._make()
        return sandbox.run(job, write, cancelled, write_error)

    def close(self) -> None:
        if self._made is not None:
            self._made.close()


class Sandbox(Protocol):
    def run(
        self,
        job: Job,
        write: Callable[[bytes], None],
        cancelled: Callable[[], bool],
        write_error: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """Run a job to its end; its output goes to `write` block by block, what it says on stderr to `write_error` where that is given.
        Called from several threads at once.

        When `cancelled()` turns true, or the time is up, every process of the job is dead within half a second. When it returns (or
        raises GraphbuildError, for a job that cannot run), nothing is mounted and no process is left.
        """
        ...


class ClosableSandbox(Sandbox, Protocol):
    def close(self) -> None:
        """Let go of what jobs share. All of them must have ended."""
        ...
