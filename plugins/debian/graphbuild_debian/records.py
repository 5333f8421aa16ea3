"""The plain data that build.lock keeps of a `debian` base, typed. It is read back as strictly as it was written.

Invariants: `packages` and `tools` are sorted by name and disjoint; every name, version and file name fits the patterns, so
none can mean anything to a shell; `stage` orders the installation: 0 is the essential closure, which is unpacked before any
dpkg can run, and a later stage is complete in itself once the stages before it are configured.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from graphbuild_debian.attributes import PackageName, Url

VERSION = r"\A[0-9][A-Za-z0-9.+~:-]*\Z"
SIZE_LIMIT = 1 << 34  # 16 GiB: no package comes near


class Locked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One package of the closure. `required_by`: the package that brought it in, or "packages", "base", "essential"."""

    name: PackageName
    version: Annotated[str, Meta(pattern=VERSION, max_length=200)]
    arch: Annotated[str, Meta(pattern=r"\A[a-z0-9-]+\Z")]
    source: PackageName
    sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    size: Annotated[int, Meta(gt=0, le=SIZE_LIMIT)]
    urls: Annotated[tuple[Url, ...], Meta(min_length=1)]
    required_by: str
    stage: Annotated[int, Meta(ge=0, le=1000)]

    @property
    def file_name(self) -> str:
        """`name_version_arch.deb`, with an epoch's colon written as apt does."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.arch}.deb"


class LockedSuite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Release that was read: for sources.list and for people."""

    mirror: Url
    name: Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9.-]*\Z")]
    codename: str
    date: str


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `lock` found: `packages` are in the image, `tools` are needed only to configure it."""

    arch: Annotated[str, Meta(pattern=r"\A[a-z0-9-]+\Z")]
    suites: tuple[LockedSuite, ...]
    packages: tuple[Locked, ...]
    tools: tuple[Locked, ...]


def to_plain(lock: Lock) -> Any:
    """JSON types, for build.lock."""
    return msgspec.to_builtins(lock)


def from_plain(data: Any) -> Lock:
    """ValueError (msgspec.ValidationError) for anything `to_plain` cannot have written."""
    return msgspec.convert(data, Lock)
