"""A layer as a tar: the same entries give the same bytes, on any machine, and are hashed while they are written.

ustar, with PAX records only for what ustar cannot hold: names that are long or not ASCII, big sizes and ids, xattrs (as
`SCHILY.xattr.<name>`). Names that are not UTF-8 come raw, under `hdrcharset=BINARY`. Every mtime is the epoch; user and group
names are empty. Whiteouts and opaque directories become `.wh.` files (OCI image-spec, layer.md). Memory is two buffers.
It knows nothing of folders or stores: contents come from descriptors that the caller opens.
"""

import os
from collections.abc import Callable, Iterator, Sequence

import msgspec

from graphbuild.layers.cancel import Cancel, never
from graphbuild.layers.tar_output import Output
from graphbuild.layers.ustar import BLOCK, NAME, OCTAL_7, OCTAL_11, Shared, block, shared
from graphbuild.values.digest import Digest
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import mistake

END = bytes(1024)  # what a tar ends with
_FILE = Kind.FILE  # an enum's members are slow to look up, tens of thousands of times
_TYPES = {
    Kind.FILE: b"0",
    Kind.HARDLINK: b"1",
    Kind.SYMLINK: b"2",
    Kind.CHARACTER: b"3",
    Kind.BLOCK: b"4",
    Kind.DIRECTORY: b"5",
    Kind.FIFO: b"6",
    Kind.WHITEOUT: b"0",
}
_RESERVED = b".wh."
_OPAQUE = b".wh..wh..opq"


class Earlier(msgspec.Struct, frozen=True):
    """A tar that `write_layer_tar` wrote before, of other entries and the same epoch: what is in both need not be read again."""

    entries: Sequence[Entry]
    fd: int


class _Span(msgspec.Struct, frozen=True, gc=False):
    """Bytes of an earlier tar: whole entries, one after the other."""

    offset: int
    size: int


def write_layer_tar(
    entries: Sequence[Entry],
    open_file: Callable[[Entry], int],
    out_fd: int,
    *,
    epoch: int,
    cancelled: Cancel = never,
    earlier: Earlier | None = None,
) -> tuple[Digest, int]:
    """Write the entries of a layer (a sorted index) to `out_fd`. Returns the sha256 of what was written, its diff_id, and its size.

    `open_file` gives a descriptor at the start of a FILE's content, which is closed here. GraphbuildError for a content that is not
    as long as its entry says, for a name that a layer cannot hold, for an OSError of `open_file`; OSError where `out_fd` takes
    no more. Cancelled when `cancelled()` says so.
    """
    if not 0 <= epoch <= OCTAL_11:
        raise ValueError(f"epoch {epoch} does not fit a tar header")
    headers = Headers(epoch)
    header = headers.header
    with Output(out_fd, cancelled) as out:
        for item in _with_spans(entries, earlier.entries, headers) if earlier else entries:
            if isinstance(item, _Span):
                assert earlier is not None
                out.span(earlier.fd, item.offset, item.size)
                continue
            if item.size and item.kind is Kind.FILE:
                try:
                    fd = open_file(item)
                except OSError as error:
                    raise mistake(f"cannot read {_shown(item.path)}: {error.strerror}") from None
                out.content(header(item), item, fd)
                continue
            out.put(header(item))
            if item.opaque:
                out.put(header(Entry(item.path + b"/" + _OPAQUE, Kind.WHITEOUT)))
        out.put(END)
        return out.finish()


def _with_spans(entries: Sequence[Entry], before: Sequence[Entry], headers: "Headers") -> Iterator[Entry | _Span]:
    """The entries in order, runs of those that `before` has too given as where its tar has them. Both are sorted by path."""
    start = end = 0  # the span so far, in the earlier tar
    position = offset = 0  # the next of `before`, and where it begins
    for entry in entries:
        while position < len(before) and before[position].path < entry.path:
            offset += headers.length(before[position])
            position += 1
        if position < len(before) and before[position] == entry:
            if end != offset:
                if end > start:
                    yield _Span(start, end - start)
                start = offset
            offset += headers.length(entry)
            position += 1
            end = offset
            continue
        if end > start:
            yield _Span(start, end - start)
        start = end = 0
        yield entry
    if end > start:
        yield _Span(start, end - start)


def content_offset(entries: Sequence[Entry], wanted: Entry, epoch: int) -> int:
    """Where, in the tar that `write_layer_tar` makes of a sorted index, the content of one of its FILEs begins. In bytes."""
    headers, offset = Headers(epoch), 0
    for entry in entries:
        if entry.path == wanted.path:
            return offset + headers.length(entry) - entry.size - (-entry.size % BLOCK)
        offset += headers.length(entry)
    raise KeyError(_shown(wanted.path))


class Headers:
    """Makes the header blocks of entries."""

    __slots__ = ("_epoch", "_shared")

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._shared: dict[tuple[int, int, int], Shared] = {}  # of FILEs that have one header, by mode and owner

    def header(self, entry: Entry) -> bytes:
        """All header blocks of an entry, PAX records included."""
        rest = self.shared(entry)
        return block(entry.path, entry.size, rest) if rest is not None else self._header(entry)

    def shared(self, entry: Entry) -> Shared | None:
        """What a FILE's only header block has besides path and size; None for what has more of them, or is something else."""
        if entry.kind is not _FILE or not _is_plain(entry) or _RESERVED in entry.path:
            return None
        key = (entry.mode, entry.uid, entry.gid)
        rest = self._shared.get(key)
        if rest is None:
            rest = self._shared[key] = shared(self._epoch, *key, _TYPES[_FILE])
        return rest

    def _header(self, entry: Entry) -> bytes:
        kind = entry.kind
        path = entry.path
        if kind is Kind.WHITEOUT:
            path = _whiteout(path)
        elif _RESERVED in path and (path.startswith(_RESERVED) or b"/" + _RESERVED in path):
            raise mistake(f"{_shown(path)} cannot be in a layer: names that begin with .wh. mean a removal there")
        if kind is Kind.DIRECTORY:
            path += b"/"
        size = entry.size if kind is Kind.FILE else 0
        link = entry.target
        text_fits = len(path) <= NAME and len(link) <= NAME and not entry.xattrs and path.isascii() and link.isascii()
        if text_fits and size <= OCTAL_11 and entry.uid <= OCTAL_7 and entry.gid <= OCTAL_7:
            return block(path, size, shared(self._epoch, entry.mode, entry.uid, entry.gid, _TYPES[kind], link, entry.device))
        return self._extended(entry, path, link, size)

    def length(self, entry: Entry) -> int:
        """How many bytes an entry takes in the tar: headers, content and padding."""
        size = entry.size if entry.kind is _FILE else 0
        if entry.kind is _FILE and _is_plain(entry):
            return BLOCK + size + -size % BLOCK
        headers = len(self.header(entry))
        if entry.opaque:
            headers += len(self.header(Entry(entry.path + b"/" + _OPAQUE, Kind.WHITEOUT)))
        return headers + size + -size % BLOCK

    def _extended(self, entry: Entry, path: bytes, link: bytes, size: int) -> bytes:
        records: list[tuple[bytes, bytes]] = []
        split = _split(path) if path.isascii() else None
        if split is None:
            records.append((b"path", path))
        name, prefix = split or (path[:NAME], b"")
        if len(link) > NAME or not link.isascii():
            records.append((b"linkpath", link))
        numbers = []
        for field, number, most in ((b"size", size, OCTAL_11), (b"uid", entry.uid, OCTAL_7), (b"gid", entry.gid, OCTAL_7)):
            if number > most:
                records.append((field, b"%d" % number))
            numbers.append(number if number <= most else 0)
        for key, value in entry.xattrs:
            if b"=" in key:
                raise mistake(f"{_shown(entry.path)} has an attribute named {_shown(key)}, which a tar cannot hold")
            records.append((b"SCHILY.xattr." + key, value))
        length, uid, gid = numbers
        rest = shared(self._epoch, entry.mode, uid, gid, _TYPES[entry.kind], link[:NAME], entry.device, prefix)
        header = block(name, length, rest)
        return self._pax(_binary(records)) + header if records else header

    def _pax(self, records: list[tuple[bytes, bytes]]) -> bytes:
        data = b"".join(_record(key, value) for key, value in sorted(records))
        header = block(b"././@PaxHeader", len(data), shared(self._epoch, 0, 0, 0, b"x"))
        return header + data + bytes(-len(data) % BLOCK)


def _is_plain(entry: Entry) -> bool:
    """Whether a FILE fits into one header block, as nearly all do."""
    path = entry.path
    fits = len(path) <= NAME and entry.size <= OCTAL_11 and entry.uid <= OCTAL_7 and entry.gid <= OCTAL_7
    return fits and not entry.xattrs and path.isascii()


def _split(path: bytes) -> tuple[bytes, bytes] | None:
    """A path as ustar's name and prefix, or None where it does not fit."""
    if len(path) <= NAME:
        return path, b""
    slash = path.find(b"/", max(0, len(path) - NAME - 1))
    if slash <= 0 or slash > 155 or slash == len(path) - 1:
        return None
    return path[slash + 1 :], path[:slash]


def _binary(records: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The records, led by `hdrcharset=BINARY` where a name is not UTF-8."""
    for key, value in records:
        if key in (b"path", b"linkpath"):
            try:
                value.decode()
            except UnicodeDecodeError:
                return [(b"hdrcharset", b"BINARY"), *records]
    return records


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE\\n`, where the length counts itself."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest) + len(str(len(rest)))
    length = len(rest) + len(str(length))
    return b"%d%s" % (length, rest)


def _whiteout(path: bytes) -> bytes:
    folder, slash, name = path.rpartition(b"/")
    return path if name == _OPAQUE else folder + slash + _RESERVED + name


def _shown(path: bytes) -> str:
    return os.fsdecode(path)
