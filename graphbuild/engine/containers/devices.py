"""A container's /dev, mounted in the monitor's namespace before the container has one, and terminals in it.

Docker's list of devices, each bound from the machine's; nothing else that is a device works in a container, since all other mounts of it
are nodev. They are the machine's own, so their mounts are read-only: that forbids chmod, not writing to a device.
"""

import fcntl
import os
import struct
from pathlib import Path

from graphbuild.sandbox import kernel
from graphbuild.sandbox.devices import DEVICES, LINKS

_TIOCSPTLCK, _TIOCGPTPEER = 0x40045431, 0x5441
_SAFE = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
_TTY_GROUP = b",gid=5"


def mount_devices(dev: Path, *, all_ids: bool, all_devices: bool) -> None:
    """Mount a /dev at a folder. `all_ids`: the group of terminals can be said; `all_devices`: those of the machine, as for --privileged."""
    kernel.mount(b"tmpfs", bytes(dev), b"tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_STRICTATIME, b"mode=755,size=65536k")
    for name in _all_devices() if all_devices else DEVICES:
        place = dev / name
        place.touch()
        kernel.mount(b"/dev/" + name.encode(), bytes(place), b"", kernel.MS_BIND)
        kernel.set_attributes(bytes(place), kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NOEXEC | kernel.MOUNT_ATTR_RDONLY)
    for target, name in LINKS:
        (dev / name).symlink_to(target)
    for name in ("pts", "shm", "mqueue"):
        (dev / name).mkdir(0o755)
    options = b"newinstance,ptmxmode=0666,mode=620" + (_TTY_GROUP if all_ids else b"")
    kernel.mount(b"devpts", bytes(dev / "pts"), b"devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, options)
    kernel.mount(b"tmpfs", bytes(dev / "shm"), b"tmpfs", _SAFE, b"mode=1777,size=65536k")


def _all_devices() -> list[str]:
    """Every device of the machine but its terminals, by name; those in folders of /dev are left out."""
    with os.scandir("/dev") as entries:
        found = [entry.name for entry in entries if not entry.is_dir() and not entry.is_symlink()]
    return sorted(set(found) - {"console", "ptmx"})


def open_terminal(pts: Path, owner: int) -> tuple[int, int]:
    """A new terminal of a devpts: its master and its slave, which belongs to `owner`."""
    master = os.open(pts / "ptmx", os.O_RDWR | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    if owner:
        os.fchown(slave, owner, -1)
    return master, slave


def mount_console(pts: Path, slave: int, place: Path) -> None:
    """Make a terminal of a devpts the container's console, which is at `place`."""
    number = os.minor(os.fstat(slave).st_rdev)
    kernel.mount(bytes(pts / str(number)), bytes(place), b"", kernel.MS_BIND)


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Tell a terminal how large it is shown."""
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
