"""Platforms by their names in the OCI image spec: `os/arch[/variant]`, with Go's words for operating systems and architectures."""

import os
import re

_TEXT = re.compile(r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9.]+)?")
_ARCHITECTURES = frozenset(  # GOARCH, as far as Go knows it for Linux
    ["386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x"]
)
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}
# The variant that is meant where none is said, and how the two are written (containerd's `platforms.Normalize`).
VARIANTS = {"amd64": "v1", "arm": "v7", "arm64": "v8"}
_SAME = {"linux/amd64/v1": "linux/amd64", "linux/arm": "linux/arm/v7", "linux/arm64/v8": "linux/arm64"}


def normal_platform(text: str) -> str:
    """A platform as everybody writes it, with a variant only where it does not go without saying. ValueError for what is no platform of Linux."""
    if not _TEXT.fullmatch(text):
        raise ValueError(f"{text!r} is not a platform")
    if not text.startswith("linux/"):
        raise ValueError(f"{text!r}: images are built for Linux")
    architecture = architecture_of(text)
    if architecture not in _ARCHITECTURES and architecture != oci_architecture():
        raise ValueError(f"{text!r}: {_unknown(architecture)}")
    return _SAME.get(text, text)


def _unknown(architecture: str) -> str:
    name = _MACHINES.get(architecture)
    return f"images call this architecture {name}" if name else f"there is no architecture {architecture!r}"


def architecture_of(platform: str) -> str:
    return platform.split("/")[1]


def variant_of(platform: str) -> str:
    return platform.partition("/")[2].partition("/")[2]


def oci_architecture() -> str:
    """This machine's architecture (GOARCH)."""
    machine = os.uname().machine
    return _MACHINES.get(machine, machine)


def this_platform() -> str:
    return normal_platform(f"linux/{oci_architecture()}")
