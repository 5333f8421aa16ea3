"""Image references, `[domain/]path[:tag][@digest]`, as Docker's distribution grammar has them.

Invariant: what `parse_reference` accepts, registries and `docker load` accept. Knows nothing of images.
"""

import re

import msgspec

from graphbuild.values.digest import Digest, parse_digest

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST = 255


class Reference(msgspec.Struct, frozen=True):
    """`domain` is docker.io where the text named none; `tag` is "" only beside a digest."""

    domain: str
    path: str
    tag: str
    digest: Digest | None = None

    @property
    def full(self) -> str:
        """The name in full, `docker.io/library/web:1`: what containerd calls an image."""
        return f"{self.domain}/{self.path}:{self.tag}"

    @property
    def familiar(self) -> str:
        """The name as Docker shows it, `web:1`."""
        if self.domain != "docker.io":
            return self.full
        return f"{self.path.removeprefix('library/')}:{self.tag}"


def parse_reference(text: str) -> Reference:
    """Parse a reference; a missing tag is `latest` unless there is a digest. ValueError says what is wrong."""
    rest, at, digest_text = text.partition("@")
    digest = parse_digest(digest_text) if at else None
    head, slash, tail = rest.rpartition("/")
    last, colon, tag = tail.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise ValueError(f"{text!r}: {tag!r} is not a tag: letters, digits, '_', '.' and '-', at most 128")
    domain, path = _split_domain(f"{head}{slash}{last}")
    if not _DOMAIN.fullmatch(domain):
        raise ValueError(f"{text!r}: {domain!r} is not a registry's host[:port]")
    if not _PATH.fullmatch(path) or len(path) + len(domain) >= _LONGEST:
        raise ValueError(f"{text!r}: {path!r} is not a repository: lower-case letters and digits, with '.', '_', '-' and '/' between them")
    return Reference(domain, path, tag or ("" if digest else "latest"), digest)


def _split_domain(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        domain, path = ("docker.io" if first == "index.docker.io" else first), rest
    else:
        domain, path = "docker.io", name
    return (domain, f"library/{path}") if domain == "docker.io" and "/" not in path else (domain, path)
