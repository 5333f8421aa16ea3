"""What a spec may say under `debian:`, and what follows from it without looking anywhere: mirrors, suites, the lock's key."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

NAME = r"\A[a-z0-9][a-z0-9+.-]*\Z"  # deb-control(5), Package
DEFAULT_MIRROR = "http://deb.debian.org/debian"
SECURITY_MIRROR = "http://deb.debian.org/debian-security"
SNAPSHOT_MIRROR = "http://snapshot.debian.org/archive"

# Suites that have <suite>-updates and <suite>-security. Unstable and testing get their fixes by themselves.
_STABLE = frozenset({"stable", "oldstable", "oldoldstable", "bullseye", "bookworm", "trixie"})

# OCI's platform, less "linux/" → Debian's architecture, where the names differ.
_PLATFORMS = {
    "arm": "armhf",
    "arm/v7": "armhf",
    "arm/v6": "armel",
    "arm/v5": "armel",
    "386": "i386",
    "ppc64le": "ppc64el",
    "mips64le": "mips64el",
}

PackageName = Annotated[str, Meta(pattern=NAME, max_length=200)]
Url = Annotated[str, Meta(pattern=r"\Ahttps?://[A-Za-z0-9._~:/\[\]@%+-]+\Z", max_length=1000)]


class Debian(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Attributes of the rule `debian`."""

    suite: Annotated[
        str, Meta(pattern=r"\A[a-z0-9][a-z0-9.-]*\Z", max_length=100, description="Suite or codename: bookworm, trixie, stable …")
    ]
    packages: Annotated[tuple[PackageName, ...], Meta(description="Packages to install, with all that they depend on")] = ()
    mirror: Annotated[Url, Meta(description="Root of the archive")] = DEFAULT_MIRROR
    components: Annotated[
        tuple[Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9-]*\Z")], ...], Meta(min_length=1, description="Archive areas")
    ] = ("main",)
    arch: Annotated[str, Meta(pattern=r"\A([a-z0-9]+(-[a-z0-9]+)*)?\Z", description="Debian's name; what is built for by default")] = ""
    variant: Annotated[Literal["minimal", "essential"], Meta(description="What there is besides `packages`")] = "minimal"
    security: Annotated[bool | None, Meta(description="Add <suite>-updates and <suite>-security; by default for stable suites")] = None
    keyring: Annotated[
        str, Meta(description="A file of OpenPGP public keys that may sign, in place of Debian's, or the armored keys themselves")
    ] = ""
    exclude: Annotated[tuple[PackageName, ...], Meta(description="Packages that must not be installed")] = ()
    recommends: Annotated[bool, Meta(description="Install what packages recommend, too")] = False
    snapshot: Annotated[str, Meta(pattern=r"\A([0-9]{8}T[0-9]{6}Z)?\Z", description="A moment of snapshot.debian.org")] = ""


class Suite(msgspec.Struct, frozen=True):
    """One Release to read: the archive's root and the suite's name below `dists/`."""

    mirror: str
    name: str


def architecture(attributes: Debian, platform: str) -> str:
    """Debian's name of the architecture: what the spec says, else that of `platform`, os/arch[/variant]."""
    name = platform.partition("/")[2]
    return attributes.arch or _PLATFORMS.get(name) or name.partition("/")[0]


def suites(attributes: Debian) -> tuple[Suite, ...]:
    """Every suite to read, the base suite first (it comes first in sources.list, too)."""
    mirror, security_mirror = attributes.mirror.rstrip("/"), SECURITY_MIRROR
    if attributes.snapshot:
        security_mirror = f"{SNAPSHOT_MIRROR}/debian-security/{attributes.snapshot}"
        if mirror == DEFAULT_MIRROR:
            mirror = f"{SNAPSHOT_MIRROR}/debian/{attributes.snapshot}"
    name = attributes.suite
    wanted = name in _STABLE if attributes.security is None else attributes.security
    more = (Suite(mirror, f"{name}-updates"), Suite(security_mirror, f"{name}-security")) if wanted else ()
    return (Suite(mirror, name), *more)


def lock_key(attributes: Debian, platform: str) -> str:
    """The request in one line: equal for equal requests, whatever the order of their lists."""
    settled = msgspec.structs.replace(
        attributes,
        packages=tuple(sorted(set(attributes.packages))),
        exclude=tuple(sorted(set(attributes.exclude))),
        arch=architecture(attributes, platform),
    )
    return "debian " + msgspec.json.encode(settled, order="sorted").decode()
