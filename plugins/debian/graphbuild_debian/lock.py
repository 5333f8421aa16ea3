"""Resolve: from what a spec asks for to locked packages. The one module of this plugin that meets the network, by its context.

Trust runs from the keyring to the InRelease, from its SHA256 to Packages, from there to the SHA256 of every deb.
"""

import gzip
import lzma
import re
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from graphbuild.rules import LockContext, mistake
from graphbuild_debian.attributes import Debian, Suite, architecture, suites
from graphbuild_debian.packages import Index
from graphbuild_debian.records import Lock, Locked, LockedSuite, from_plain, to_plain
from graphbuild_debian.release import IndexFile, Release, read_release
from graphbuild_debian.resolver import Choice, Solution, attempt, install_stages, resolve, subset
from graphbuild_debian.update import is_newer, update

# What every image holds: the skeleton and /etc/passwd, the dynamic loader's cache, and a shell for steps that are a string.
BASE = ("base-files", "base-passwd", "dash", "libc-bin")

# The bootstrap's /usr is merged from the start. Where a package that checks this is an alternative to one that does it (with
# perl and all), as in bookworm's init-system-helpers, debootstrap and mmdebstrap take the former, too.
_CONVERTERS = frozenset({"usrmerge"})

_UNPACKED_LIMIT = 1 << 30  # where a Release does not say how large Packages is; Debian's largest is 60 MB
_RELEASE_LIMIT = 1 << 24
_FORMATS = (".xz", ".gz", "")


def lock(context: LockContext, attributes: Debian) -> Any:
    """`records.Lock` as plain data. GraphbuildError for what cannot be fetched, trusted or resolved."""
    arch = architecture(attributes, context.platform)
    wanted = suites(attributes)
    now = None if attributes.snapshot else datetime.now(UTC)
    keyring = _keyring(context, attributes)
    context.report(f"reading {', '.join(suite.name for suite in wanted)}")
    with ThreadPoolExecutor(max_workers=4) as pool:
        releases = pool.map(lambda suite: _release(context, suite, keyring, now), wanted)
        pairs = list(zip(wanted, releases, strict=True))
        jobs = [(suite, release, component) for suite, release in pairs for component in attributes.components]
        texts = list(pool.map(lambda job: _packages(context, job[0], job[1], job[2], arch), jobs))
    context.report("resolving packages")
    sources = [(suite.mirror, text) for (suite, _release, _component), text in zip(jobs, texts, strict=True)]
    index = Index(arch, sources, {*attributes.exclude, *(_CONVERTERS - set(attributes.packages))})
    before = _before(context) if context.refresh else None
    if before is not None and not is_newer(index, before, context.refresh):
        return context.locked
    packages, tools = _choose(index, arch, attributes, before, context)
    read = tuple(LockedSuite(suite.mirror, suite.name, release.codename, release.date) for suite, release in pairs)
    return _checked(Lock(arch, read, packages, tools))


def _checked(found: Lock) -> Any:
    """The lock as plain data, once it reads back: no name or version of an archive gets further unless it fits its pattern."""
    plain = to_plain(found)
    try:
        from_plain(plain)
    except msgspec.ValidationError as error:
        place = re.search(r"(packages|tools)\[(\d+)\]", str(error))
        name = getattr(found, place[1])[int(place[2])].name if place else "?"
        raise mistake(f"the archive's entry of package {name!r} cannot be used: {error}") from error
    return plain


def _keyring(context: LockContext, attributes: Debian) -> bytes:
    if attributes.keyring.startswith("-----BEGIN"):
        return attributes.keyring.encode()
    if attributes.keyring:
        return context.read(attributes.keyring)
    return files("graphbuild_debian").joinpath("debian-archive-keyring.gpg").read_bytes()


def _release(context: LockContext, suite: Suite, keyring: bytes, now: datetime | None) -> Release:
    signed = context.fetch(f"{suite.mirror}/dists/{suite.name}/InRelease")
    if len(signed) > _RELEASE_LIMIT:
        raise mistake(f"InRelease of {suite.name!r} is larger than {_RELEASE_LIMIT} bytes")
    return read_release(signed, keyring, suite.name, now)


def _packages(context: LockContext, suite: Suite, release: Release, component: str, arch: str) -> str:
    """The text of a component's Packages. Its hash is checked by the context, its unpacked size here."""
    name = f"{component}/binary-{arch}/Packages"
    for suffix in _FORMATS:
        file = release.files.get(name + suffix)
        if file is not None:
            folder = f"{suite.mirror}/dists/{suite.name}"
            # By hash, an index cannot be replaced between its Release and itself.
            place = f"{name.rpartition('/')[0]}/by-hash/SHA256/{file.sha256}" if release.by_hash else file.path
            path = context.fetch_file(f"{folder}/{place}", sha256=file.sha256, size=file.size)
            return _unpack(path, suffix, release.files.get(name), f"{name} of {suite.name!r}")
    known = " ".join(sorted(release.architectures - {"all"}))
    raise mistake(f"suite {suite.name!r} has no {name}", hint=f"its architectures: {known}")


def _unpack(path: Path, suffix: str, plain: IndexFile | None, what: str) -> str:
    limit = plain.size if plain is not None else _UNPACKED_LIMIT
    try:
        with _open(path, suffix) as stream:
            data: bytes = stream.read(limit + 1)
        if len(data) > limit:
            raise mistake(f"{what} unpacks to more than the {limit} bytes that its Release says")
        return data.decode("utf-8")
    except (OSError, EOFError, lzma.LZMAError, zlib.error, UnicodeDecodeError) as error:
        raise mistake(f"{what} cannot be unpacked: {error}") from error


def _open(path: Path, suffix: str) -> Any:
    match suffix:
        case ".xz":
            return lzma.open(path)
        case ".gz":
            return gzip.open(path)
        case _:
            return path.open("rb")


def _before(context: LockContext) -> Lock | None:
    """What was locked before; None where nothing was that can be read."""
    try:
        return from_plain(context.locked)
    except msgspec.ValidationError:
        return None


def _choose(
    index: Index, arch: str, attributes: Debian, before: Lock | None, context: LockContext
) -> tuple[tuple[Locked, ...], tuple[Locked, ...]]:
    """The packages of the image and the tools besides. The tools are always the essential closure: dpkg needs it to run.

    `before`: what was locked, where only what `context.refresh` names, and what comes with it, is to become another version.
    """
    wishes = (("base", BASE), ("packages", attributes.packages))
    essential = ("essential", tuple(index.essential()))
    roots = (essential, *wishes)
    if before is None:
        solution = resolve(index, arch, roots, recommends=attributes.recommends)
    else:
        solution = update(
            index, before, context.refresh, lambda held: attempt(held, arch, roots, recommends=attributes.recommends), context.report
        )
    first = subset(solution, arch, (essential,))
    stages = install_stages(solution, arch, first)
    part = (
        subset(solution, arch, wishes) if attributes.variant == "minimal" else {name: choice.because for name, choice in solution.items()}
    )
    kept = _with_recommended(solution, part, stages) if attributes.recommends else part
    inside = tuple(_locked(solution[name], kept[name], stages[name]) for name in sorted(kept))
    outside = tuple(_locked(solution[name], solution[name].because, stages[name]) for name in sorted(set(solution) - set(kept)))
    return inside, outside


def _with_recommended(solution: Solution, part: dict[str, str], stages: dict[str, int]) -> dict[str, str]:
    """With `recommends`, all that the packages brought in stays; only the essential closure leaves."""
    return {**{name: choice.because for name, choice in solution.items() if stages[name]}, **part}


def _locked(choice: Choice, because: str, stage: int) -> Locked:
    package = choice.package
    return Locked(
        name=package.name,
        version=package.version,
        arch=package.arch,
        source=package.source,
        sha256=package.sha256,
        size=package.size,
        urls=package.urls,
        required_by=because,
        stage=stage,
    )
