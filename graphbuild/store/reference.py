"""References: a letter and the 32 bytes of a digest. `a` names an action key, `l` a layer by its tree, `b` a blob.

They are what leases list and what gc counts; nothing else of a store needs to know kinds apart.
"""

from graphbuild.values.digest import Digest

REFERENCE = 33  # bytes
Reference = bytes


def action(key: Digest) -> Reference:
    return b"a" + bytes.fromhex(key.hex)


def layer(tree: Digest) -> Reference:
    return b"l" + bytes.fromhex(tree.hex)


def blob(digest: Digest) -> Reference:
    return b"b" + bytes.fromhex(digest.hex)


def split(references: bytes) -> list[Reference]:
    """The references of a concatenation; an incomplete last one does not count."""
    return [references[at : at + REFERENCE] for at in range(0, len(references) - REFERENCE + 1, REFERENCE)]
