"""Digests: an algorithm and the lower-case hex it produced, parsed once and never a bare string after that.

sha256 names blobs (OCI image-spec, "Digests"); blake3 names what is ours alone: trees, file contents, keys.
"""

import re

import msgspec

_LENGTHS = {"sha256": 64, "sha512": 128, "blake3": 64}
_HEX = re.compile(r"[0-9a-f]+")


class Digest(msgspec.Struct, frozen=True, order=True, gc=False):
    """`algorithm:hex`. Hashable, ordered by algorithm, then hex."""

    algorithm: str
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @property
    def short(self) -> str:
        """Twelve hex digits, for people."""
        return self.hex[:12]


def parse_digest(text: str) -> Digest:
    """Parse `sha256:<64 hex>`; ValueError says what is wrong with anything else."""
    algorithm, colon, hex_ = text.partition(":")
    if not colon or algorithm not in _LENGTHS:
        known = ", ".join(_LENGTHS)
        raise ValueError(f"{text!r} is not a digest: expected ALGORITHM:HEX with one of {known}")
    if len(hex_) != _LENGTHS[algorithm] or not _HEX.fullmatch(hex_):
        raise ValueError(f"{text!r} is not a digest: {algorithm} takes {_LENGTHS[algorithm]} lower-case hex digits")
    return Digest(algorithm, hex_)


def sha256(hex_: str) -> Digest:
    return Digest("sha256", hex_)


def tree(hex_: str) -> Digest:
    """A layer's tree digest, or any other blake3 of ours."""
    return Digest("blake3", hex_)
