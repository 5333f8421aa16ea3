"""A layer's index: the sorted entries that make its identity, and their one canonical encoding.

The encoding is MessagePack of `[version, epoch, [entry, …]]`, every entry an array in the field order below. blake3 of
these bytes is the layer's **tree digest**, so an index file can be checked against its own name. The mtimes that files
had are not in it: all of a layer's mtimes are `epoch` (SOURCE_DATE_EPOCH), so one number stands for them.
Parents that are not listed are *implicit*: they take the mode and owner they have below this layer, or 0755 0:0.
"""

import itertools
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from graphbuild.values.digest import Digest, tree

VERSION = 1


class Kind(StrEnum):
    FILE = "f"
    DIRECTORY = "d"
    SYMLINK = "l"
    HARDLINK = "h"  # another name of an earlier FILE entry (or of a device, fifo) of the same layer
    CHARACTER = "c"
    BLOCK = "b"
    FIFO = "p"
    WHITEOUT = "w"  # this path of a lower layer is gone


class Entry(msgspec.Struct, frozen=True, array_like=True, omit_defaults=False, gc=False):
    """One path of a layer.

    `path` is relative, without leading or trailing slash, of any bytes but NUL; `mode` is the permission bits (07777).
    `digest` is blake3 of a FILE's content (32 bytes), else b"". `target` is a SYMLINK's text or a HARDLINK's first path.
    `device` is (major, minor). `xattrs` are sorted by name. `opaque` (directories): nothing of lower layers shows through.
    """

    path: bytes
    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    digest: bytes = b""
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    opaque: bool = False


class _Index(msgspec.Struct, frozen=True, array_like=True):
    version: int
    epoch: int
    entries: list[Entry]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Index)


def encode_index(entries: Iterable[Entry], epoch: int = 0) -> bytes:
    """The canonical encoding of entries, which are sorted here; ValueError for a path that is listed twice."""
    ordered = sorted(entries, key=lambda entry: entry.path)
    for one, other in itertools.pairwise(ordered):
        if one.path == other.path:
            raise ValueError(f"path listed twice in a layer: {one.path!r}")
    return _encoder.encode(_Index(VERSION, epoch, ordered))


def decode_index(data: bytes) -> list[Entry]:
    """The entries of an encoded index, sorted by path. ValueError when it is not one."""
    index = _decoder.decode(data)
    if index.version != VERSION:
        raise ValueError(f"layer index of version {index.version}, this graphbuild reads {VERSION}")
    return index.entries


def tree_digest(encoded: bytes) -> Digest:
    """The tree digest of an encoded index."""
    from blake3 import blake3

    return tree(blake3(encoded).hexdigest())
