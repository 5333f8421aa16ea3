"""Which manifest of an OCI layout is meant: by tag or digest, then by platform, through nested indexes.

Invariants: every index on the way is verified; depth and number of manifests are bounded, so indexes that hold
themselves or thousands of others end in an error. An image that is alone is taken, whatever its platform, unless a
platform was asked for.
"""

from collections.abc import Iterable, Sequence

import msgspec

from graphbuild.image.files import Files
from graphbuild.image.model import (
    CONFIGS,
    CONTAINERD_NAME,
    INDEXES,
    MANIFESTS,
    REF_NAME,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    Platform,
)
from graphbuild.image.reference import parse_reference
from graphbuild.image.source import Listed, parse_document, read_blob
from graphbuild.values.errors import GraphbuildError, Problem, mistake
from graphbuild.values.platform import VARIANTS, this_platform

_DEEPEST = 8
_REFERS = "vnd.docker.reference.type"  # BuildKit's mark of what is said about an image: no image itself
_MOST = 1000


class _Candidate(msgspec.Struct, frozen=True):
    descriptor: Descriptor
    platform: Platform


def parse_platform(text: str) -> Platform:
    """`os/arch[/variant]`. GraphbuildError for anything else."""
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise mistake(f"{text!r} is not a platform", hint="write os/arch[/variant], such as linux/amd64 or linux/arm/v7")
    return Platform(parts[1], parts[0], parts[2] if len(parts) == 3 else None)


def select_manifest(files: Files, index: Index, reference: str, platform: str, source: str) -> Descriptor:
    """The descriptor of the one manifest that is meant. GraphbuildError lists what is there."""
    wanted = parse_platform(platform) if platform else None
    tops = _by_reference(files, index.manifests, reference, source)
    leaves = list(_candidates(files, tops, source))
    if not leaves:
        raise mistake(f"{source}: holds no image", hint="an index without manifests, or with attestations only")
    if wanted is None and len(leaves) == 1:
        return leaves[0].descriptor
    fitting = _by_platform(leaves, wanted or parse_platform(this_platform()))
    if not fitting:
        raise _none(f"{source}: no image for {wanted or this_platform()}", sorted(str(leaf.platform) for leaf in leaves))
    if len(fitting) > 1 and not reference:
        raise _none(f"{source}: holds several images, and no reference says which", describe(index.manifests))
    return fitting[0].descriptor


def check_platform(config: ImageConfig, platform: str, source: str) -> None:
    """The config has the platform that was asked for; what an index says of its manifests is not what counts."""
    if platform:
        wanted = parse_platform(platform)
        if (wanted.os, wanted.architecture) != (config.os, config.architecture):
            raise mistake(f"{source}: no image for {platform}", hint=f"there is: {config.os}/{config.architecture}")


def describe(descriptors: Iterable[Descriptor]) -> list[str]:
    """The tags there are; a digest where there is no tag."""
    found = []
    for descriptor in descriptors:
        notes = descriptor.annotations or {}
        found.append(notes.get(CONTAINERD_NAME) or notes.get(REF_NAME) or descriptor.digest)
    return list(dict.fromkeys(found))


def list_manifests(index: Index) -> list[Listed]:
    """The images that an index names at its top, each once with the full names that it has there: bare tags name nothing.

    One name for several platforms is one image.
    """
    groups: dict[tuple[str, ...], list[Descriptor]] = {}
    for descriptor in index.manifests:
        if _REFERS not in (descriptor.annotations or {}):
            groups.setdefault(tuple(_names(descriptor)), []).append(descriptor)
    found: dict[str, list[str]] = {}
    for names, descriptors in groups.items():
        one = _is_one_image(descriptors) and (names or len(groups) == 1)
        references = [names[0] if names else ""] if one else [descriptor.digest for descriptor in descriptors]
        for reference in references:
            found.setdefault(reference, []).extend(name for name in names if ":" in name or "/" in name)
    return [Listed(reference, tuple(dict.fromkeys(names))) for reference, names in found.items()]


def _is_one_image(descriptors: Sequence[Descriptor]) -> bool:
    """Whether manifests of one name are one image for several platforms."""
    platforms = {str(descriptor.platform) for descriptor in descriptors if descriptor.platform}
    return len(descriptors) > 1 and len(platforms) == len(descriptors)


def is_named(reference: str, names: Iterable[str]) -> bool:
    """Whether one of `names` is `reference`: as it stands, or as the same image in full (`web`, `docker.io/library/web:latest`).

    A name without ':' or '/' is a bare tag and stands only for itself.
    """
    full = _full(reference)
    return any(name == reference or (full is not None and (":" in name or "/" in name) and _full(name) == full) for name in names)


def _full(name: str) -> str | None:
    try:
        return parse_reference(name).full
    except ValueError:
        return None


def _by_reference(files: Files, manifests: Sequence[Descriptor], reference: str, source: str) -> list[Descriptor]:
    digest = reference.partition("@")[2] or (reference if reference.startswith(("sha256:", "sha512:")) else "")
    if digest:
        found = [descriptor for descriptor in _walk(files, manifests, source) if descriptor.digest == digest]
    elif reference:
        found = [descriptor for descriptor in manifests if is_named(reference, _names(descriptor))]
    else:
        found = list(manifests)
    if not found and reference:
        raise _none(f"{source}: no image {reference}", describe(manifests))
    return list({descriptor.digest: descriptor for descriptor in found}.values())


def _names(descriptor: Descriptor) -> list[str]:
    notes = descriptor.annotations or {}
    return [notes[key] for key in (CONTAINERD_NAME, REF_NAME) if notes.get(key)]


def _walk(files: Files, tops: Iterable[Descriptor], source: str) -> Iterable[Descriptor]:
    """All descriptors, those of nested indexes after their index; each digest once."""
    seen: set[str] = set()
    queue = [(descriptor, 1) for descriptor in tops]
    while queue:
        descriptor, depth = queue.pop(0)
        if descriptor.digest in seen:
            continue
        seen.add(descriptor.digest)
        if depth > _DEEPEST or len(seen) > _MOST:
            raise mistake(f"{source}: indexes nested deeper than {_DEEPEST}, or more than {_MOST} manifests, at {descriptor.digest}")
        yield descriptor
        if descriptor.media_type in INDEXES:
            data = read_blob(files, descriptor, source)
            queue += [(below, depth + 1) for below in parse_document(data, Index, f"index {descriptor.digest}", source).manifests]


def _candidates(files: Files, tops: Iterable[Descriptor], source: str) -> Iterable[_Candidate]:
    for descriptor in _walk(files, tops, source):
        if descriptor.media_type not in MANIFESTS or _REFERS in (descriptor.annotations or {}):
            continue
        yield _Candidate(descriptor, descriptor.platform or _platform_of(files, descriptor, source))


def _platform_of(files: Files, descriptor: Descriptor, source: str) -> Platform:
    manifest = parse_document(read_blob(files, descriptor, source), Manifest, f"manifest {descriptor.digest}", source)
    if manifest.config.media_type not in CONFIGS:
        return Platform("unknown", "unknown")
    config = parse_document(read_blob(files, manifest.config, source), ImageConfig, f"config {manifest.config.digest}", source)
    return Platform(config.architecture, config.os, config.variant)


def _by_platform(leaves: Iterable[_Candidate], wanted: Platform) -> list[_Candidate]:
    """Those that run there, best first: the wanted variant, else the highest below it."""
    bound = _level(wanted)
    same = [leaf for leaf in leaves if (leaf.platform.os, leaf.platform.architecture) == (wanted.os, wanted.architecture)]
    fitting = [leaf for leaf in same if _level(leaf.platform) <= bound]
    best = max((_level(leaf.platform) for leaf in fitting), default=0)
    return [leaf for leaf in fitting if _level(leaf.platform) == best]


def _level(platform: Platform) -> int:
    variant = platform.variant or VARIANTS.get(platform.architecture, "v0")
    digits = variant.removeprefix("v").partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 4 else 0


def _none(message: str, there: Sequence[str]) -> GraphbuildError:
    return GraphbuildError(Problem(message, None, "there is: " + ", ".join(there[:20]) if there else "there is none at all"))
