"""An image as a tar that is never on disk: its pieces, one after the other, without the layers that whoever reads it has."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from graphbuild.image.engine.seam import Progress
from graphbuild.image.write import Member, header

_BLOCK = 512
_CHUNK = 1 << 20


def without(members: Sequence[Member], absent: AbstractSet[str]) -> list[Member]:
    """The members but for those of these names."""
    return [member for member in members if member.name not in absent]


def size_of(members: Sequence[Member]) -> int:
    """The bytes of a tar of them."""
    return sum(_BLOCK + member.size + -member.size % _BLOCK for member in members) + 4 * _BLOCK


def tar_of(members: Sequence[Member], created: int, progress: Progress) -> Iterator[bytes]:
    """The tar. GraphbuildError or OSError from the iterator when a blob is gone."""
    done, total = 0, size_of(members)
    for folder in ("blobs/", "blobs/sha256/"):
        yield header(folder, 0, created)
    for member in members:
        yield header(member.name, member.size, created)
        for piece in _content(member):
            done += len(piece)
            yield piece
            progress(done, total)
        yield bytes(-member.size % _BLOCK)
    yield bytes(2 * _BLOCK)
    progress(total, total)


def _content(member: Member) -> Iterator[bytes]:
    if isinstance(member.content, bytes):
        yield member.content
        return
    assert isinstance(member.content, Path)
    with member.content.open("rb") as file:
        left = member.size
        while left and (data := file.read(min(_CHUNK, left))):
            left -= len(data)
            yield data
    if left:
        raise OSError(0, "became shorter while it was sent", str(member.content))
