"""The rule `debian`: from the locked packages to actions. Pure; knows nothing of archives, signatures or versions.

fetch (one a deb) → bootstrap (the essential closure, unpacked; no script has run) → configure (the real dpkg installs every
deb in the sandbox, maintainer scripts and all) → prune (`minimal` only: what configured the image leaves it) → layer (the
merged tree, flat). All that the sandbox runs is in its argv, so it is in the key.
"""

from typing import Any

import msgspec

from graphbuild.rules import (
    Action,
    Analysis,
    ArchivePart,
    Assemble,
    BlobMount,
    ConfigPatch,
    Context,
    Fetch,
    FilePart,
    Flatten,
    LockContext,
    Part,
    Ref,
    Rule,
    Run,
    Snapshot,
    SymlinkPart,
)
from graphbuild_debian.attributes import Debian, lock_key
from graphbuild_debian.records import Lock, Locked, from_plain

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEBS = "/run/debs"

# The links of a merged /usr that every architecture has, and the library folders that some have besides.
_MERGED = ("bin", "lib", "sbin")
_LIBRARY_FOLDERS = dict.fromkeys(("amd64", "loong64", "mips64el", "ppc64", "ppc64el"), ("lib64",))

# Debian's architecture → OCI's architecture and variant, where the names differ.
_OCI = {
    "armel": ("arm", "v5"),
    "armhf": ("arm", "v7"),
    "arm64": ("arm64", "v8"),
    "i386": ("386", ""),
    "loong64": ("loong64", ""),
    "mips64el": ("mips64le", ""),
    "ppc64el": ("ppc64le", ""),
}

# What maintainer scripts are run with, as debootstrap and mmdebstrap do.
_STEP = ConfigPatch(
    env=(
        ("PATH", PATH),
        ("HOME", "/root"),
        ("LC_ALL", "C.UTF-8"),
        ("LANGUAGE", ""),
        ("DEBIAN_FRONTEND", "noninteractive"),
        ("DEBCONF_NONINTERACTIVE_SEEN", "true"),
        ("DEBCONF_NOWARNINGS", "yes"),
        # What an import would write holds the source's mtime, which a layer normalises: stale for ever. py3compile's does not.
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ),
    user="0:0",
    workdir="/",
)


def analyze(context: Context, attributes: Debian) -> Analysis:
    """Actions of a locked base; an error at the target for a lock that is missing or damaged."""
    locked = _locked(context)
    everything = sorted((*locked.packages, *locked.tools), key=_order)
    actions: list[tuple[str, Action]] = [(_fetch_name(one), Fetch(one.urls[0], one.sha256, one.size, one.urls[1:])) for one in everything]
    stack: tuple[Ref, ...] = ()

    def on_top(name: str, action: Action) -> None:
        nonlocal stack
        actions.append((name, action))
        stack = (*stack, context.ref(name))

    config = _config(locked)
    step = msgspec.structs.replace(_STEP, architecture=config.architecture, variant=config.variant)
    on_top("bootstrap", Assemble(_bootstrap(context, locked.arch, everything)))
    debs = BlobMount(tuple((one.file_name, context.ref(_fetch_name(one))) for one in everything), DEBS)
    on_top("configure", Run(stack, (step,), _configure(attributes, locked, everything), (debs,)))
    if locked.tools:
        keep = tuple(one.name for one in locked.packages)
        on_top("prune", Run(stack, (step,), ("/usr/bin/perl", "-e", _script("prune.pl"), "--", *keep)))
    actions.append(("layer", Flatten(stack)))
    return Analysis(tuple(actions), (Snapshot((context.ref("layer"),), (config,)),))


def _locked(context: Context) -> Lock:
    if context.lock is None:
        raise context.mistake("the packages of this base are not locked", hint="run `graphbuild lock`")
    try:
        return from_plain(context.lock)
    except msgspec.ValidationError as error:
        raise context.mistake(f"what build.lock says of this base cannot be read: {error}", hint="run `graphbuild lock`") from error


def _order(one: Locked) -> tuple[int, int, str]:
    """base-passwd comes first: its preinst makes /etc/passwd, which every other script may ask for."""
    return one.stage, int(one.name != "base-passwd"), one.name


def _fetch_name(one: Locked) -> str:
    return f"fetch {one.file_name}"


def _bootstrap(context: Context, arch: str, everything: list[Locked]) -> tuple[Part, ...]:
    """The essential closure as its files alone: enough for dpkg to run, with the database it expects."""
    links = (*_MERGED, *_LIBRARY_FOLDERS.get(arch, ()))
    merged = tuple(SymlinkPart(name, f"usr/{name}") for name in sorted(links))
    unpacked = tuple(ArchivePart(context.ref(_fetch_name(one)), "deb") for one in everything if one.stage == 0)
    database = (FilePart("var/lib/dpkg/status", b""), FilePart("var/lib/dpkg/arch", f"{arch}\n".encode()))
    return (*merged, *unpacked, *database)


def _configure(attributes: Debian, locked: Lock, everything: list[Locked]) -> tuple[str, ...]:
    """`sh -c SCRIPT configure SOURCES count deb… count deb…`: a count and that many debs for each stage."""
    stages: dict[int, list[str]] = {}
    for one in everything:
        stages.setdefault(one.stage, []).append(one.file_name)
    listed = tuple(text for stage in sorted(stages) for text in (str(len(stages[stage])), *stages[stage]))
    sources = _sources(attributes, locked) if any(one.name == "apt" for one in locked.packages) else ""
    return ("/bin/sh", "-c", _script("configure.sh"), "configure", sources, *listed)


def _sources(attributes: Debian, locked: Lock) -> str:
    """sources.list, for an image that has apt: what the lock was made of, one line a suite."""
    option = "[check-valid-until=no] " if attributes.snapshot else ""
    components = " ".join(attributes.components)
    return "".join(f"deb {option}{suite.mirror} {suite.name} {components}\n" for suite in locked.suites)


def _config(locked: Lock) -> ConfigPatch:
    architecture, variant = _OCI.get(locked.arch, (locked.arch, ""))
    shell = ("bash",) if any(one.name == "bash" for one in locked.packages) else None
    return ConfigPatch(env=(("PATH", PATH),), cmd=shell, architecture=architecture, variant=variant)


def _script(name: str) -> str:
    """A script of this package: part of its code, in a file of its own so that its language's tools can check it."""
    from importlib.resources import files

    return files("graphbuild_debian").joinpath(name).read_text("utf-8")


def _lock(context: LockContext, attributes: Any) -> Any:
    from graphbuild_debian.lock import lock

    return lock(context, attributes)


def _lock_key(attributes: Any, platform: str) -> str:
    return lock_key(attributes, platform)


DEBIAN = Rule(
    name="debian",
    kind="base",
    attributes=Debian,
    analyze=analyze,
    short="suite",
    lock=_lock,
    lock_key=_lock_key,
    partial=True,
    doc="A root file system from signed, locked Debian packages.",
)
