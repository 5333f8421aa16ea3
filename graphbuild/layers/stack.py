"""A stack of layers seen as one tree, as overlayfs would show it, without mounting anything and without merging it all.

The topmost layer that has a path decides, unless a layer above hides it: a whiteout, an opaque directory, or a non-directory at the path
or at one of its ancestors. A directory that several layers have is their union; its attributes are those of the topmost
layer that lists it, since implicit directories (see `values.entry`) have none of their own.
"""

import heapq
import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from graphbuild.values.digest import Digest
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import mistake

_MOST_LINKS = 40  # as the kernel
_DEFAULT_MODE = 0o755
_Nodes = tuple[dict[bytes, Entry], list[bytes]]


class Layer(msgspec.Struct, eq=False):
    """One layer of a stack. `entries` is its sorted index; `folder` gives its folder form, made on demand. Stacks share layers.

    `content` gives what a FILE of the index holds; where nobody says how, it is read from the folder.
    """

    tree: Digest
    entries: Sequence[Entry]
    folder: Callable[[], Path]
    content: Callable[[Entry], bytes] | None = None
    _made: _Nodes | None = None
    _implicit: frozenset[bytes] | None = None

    def at(self, path: bytes) -> Entry | None:
        """What this layer alone has at a path; a directory of mode 0755 for an implicit one."""
        return self._nodes()[0].get(path)

    @property
    def paths(self) -> list[bytes]:
        """All paths of the layer, sorted, implicit directories among them."""
        return self._nodes()[1]

    @property
    def implicit(self) -> frozenset[bytes]:
        """Directories that are there only because of what is below them."""
        if self._implicit is None:
            paths = [entry.path for entry in self.entries]
            folders = {path.rpartition(b"/")[0] for path in paths}
            known = folders.union(paths)
            missing = folders.difference(paths)
            for folder in list(missing):
                while (folder := folder.rpartition(b"/")[0]) not in known:
                    known.add(folder)
                    missing.add(folder)
            self._implicit = frozenset(missing - {b""})
        return self._implicit

    def _nodes(self) -> _Nodes:
        if self._made is None:
            nodes = {entry.path: entry for entry in self.entries}
            nodes |= {folder: Entry(folder, Kind.DIRECTORY, _DEFAULT_MODE) for folder in self.implicit}
            self._made = nodes, sorted(nodes)
        return self._made

    def read(self, path: bytes) -> bytes | None:
        """The content that this layer alone gives a path, symlinks not followed; None where it has no file there."""
        entry = self.at(path)
        first = self.at(entry.target) if entry is not None and entry.kind is Kind.HARDLINK else entry
        if first is None or first.kind is not Kind.FILE:
            return None
        if self.content is not None:
            return self.content(first)
        with os.fdopen(open_below(self.folder(), first.path), "rb") as file:
            return file.read(first.size)

    def file_of(self, entry: Entry) -> Entry:
        """The entry, or for a HARDLINK what it is a name of, under the link's own path."""
        if entry.kind is not Kind.HARDLINK:
            return entry
        first = self.at(entry.target)
        if first is None or first.kind in (Kind.HARDLINK, Kind.DIRECTORY, Kind.WHITEOUT):
            raise mistake(f"layer {self.tree.short} has a hard link to nothing: {os.fsdecode(entry.path)}")
        return msgspec.structs.replace(first, path=entry.path)


class Stack:
    """Layers, lowest first, as one tree. Paths are relative to its root; b"" is the root itself, which no layer lists."""

    __slots__ = ("_folders", "layers")

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)
        # For a directory: the layers that make it up, topmost first. Nothing for what is no directory.
        self._folders: dict[bytes, tuple[Layer, ...]] = {b"": tuple(reversed(self.layers))}

    def lookup(self, path: bytes) -> Entry | None:
        """What is at a path, symlinks not followed. Hard links come as the file they name; `opaque` is never set."""
        found = self.find(path)
        return found[0] if found else None

    def find(self, path: bytes) -> tuple[Entry, Layer] | None:
        """Like `lookup`, with the layer that it comes from (for a directory: whose attributes it has, else the topmost)."""
        if not path:
            return None
        return self._seen(path, self._made_of(path.rpartition(b"/")[0]))

    def resolve(self, path: bytes, *, follow_last: bool = True) -> bytes:
        """`resolve` in this stack."""
        return resolve(self.lookup, path, follow_last=follow_last)

    def names(self, folder: bytes) -> list[bytes]:
        """The names in a directory, sorted; none for what is no directory."""
        layers = self._made_of(folder)
        found = {name for layer in layers for name in _names(layer.paths, folder)}
        prefix = folder + b"/" if folder else b""
        return [name for name in sorted(found) if self._seen(prefix + name, layers) is not None]

    def walk(self, prefix: bytes = b"") -> Iterator[tuple[Entry, Layer]]:
        """The merged tree, sorted by path: `prefix` and all below it, each entry with the layer it comes from.

        Directories are listed, implicit ones too. The first name of a linked file is the FILE, wherever it stood in its layer, the others HARDLINKs to it.
        """
        firsts: dict[tuple[int, bytes], bytes] = {}
        for path in _unique(heapq.merge(*(_below(layer.paths, prefix) for layer in self.layers))):
            seen = self._seen(path, self._made_of(path.rpartition(b"/")[0]))
            if seen is None:
                continue
            entry, layer = seen
            own = layer.at(path)
            if own is not None and entry.kind is not Kind.DIRECTORY:
                name = own.target if own.kind is Kind.HARDLINK else path
                first = firsts.setdefault((id(layer), name), path)
                if first != path:
                    entry = Entry(path, Kind.HARDLINK, entry.mode, entry.uid, entry.gid, target=first, xattrs=entry.xattrs)
            yield entry, layer

    def below(self, folder: bytes) -> Iterator[Entry]:
        """What `walk` has below a directory."""
        return (entry for entry, _ in self.walk(folder) if entry.path != folder)

    def flatten(self) -> list[Entry]:
        """The merged tree as the index of one layer on nothing."""
        return [entry for entry, _ in self.walk()]

    def implicit(self) -> list[bytes]:
        """Directories, sorted, that a mount of the folders would show wrongly unless one more layer, on top, has them as `lookup` says.

        Either the topmost layer has them only implicitly, so their attributes are not its own; or one layer alone has them and
        whiteouts in them: overlayfs filters names only where it merges, and would list those whiteouts as names of nothing.
        """
        wrong = set()
        for layer in self.layers:
            others = [other for other in self.layers if other is not layer]
            for path in layer.implicit:
                if not any(other.at(path) for other in others):
                    continue  # nobody gives it anything else, and the nodes of a large layer need not be made
                made_of = self._made_of(path)
                if made_of and path in made_of[0].implicit and self.lookup(path) != Entry(path, Kind.DIRECTORY, _DEFAULT_MODE):
                    wrong.add(path)
            for entry in layer.entries:
                if entry.kind is Kind.WHITEOUT:
                    folder = entry.path.rpartition(b"/")[0]
                    if folder and self._made_of(folder) == (layer,):
                        wrong.add(folder)
        # That layer's own parents must not be implicit in turn.
        return sorted({path[:at] for folder in wrong for path in [folder + b"/"] for at in range(len(path)) if path[at : at + 1] == b"/"})

    def read(self, path: bytes, limit: int = 1 << 20) -> bytes | None:
        """A file's content, symlinks followed within the root; None where there is no file. GraphbuildError for one larger than `limit`."""
        real = self.resolve(path)
        found = self.find(real)
        if found is None or found[0].kind is not Kind.FILE:
            return None
        if found[0].size > limit:
            raise mistake(f"/{os.fsdecode(real)} is larger than {limit} bytes")
        return found[1].read(real)

    def _made_of(self, folder: bytes) -> tuple[Layer, ...]:
        """The layers that make up a directory, topmost first; none if it is not one."""
        missing = []
        while (known := self._folders.get(folder)) is None:
            missing.append(folder)
            folder = folder.rpartition(b"/")[0]
        for each in reversed(missing):
            known = self._folders[each] = _union(each, known)
        return known

    def _seen(self, path: bytes, layers: tuple[Layer, ...]) -> tuple[Entry, Layer] | None:
        """What shows at a path whose parent is made of `layers`."""
        top: tuple[Entry, Layer] | None = None
        for layer in layers:
            entry = layer.at(path)
            if entry is None:
                continue
            if entry.kind is not Kind.DIRECTORY:
                return top or (None if entry.kind is Kind.WHITEOUT else (layer.file_of(entry), layer))
            if path not in layer.implicit:
                return (msgspec.structs.replace(entry, opaque=False) if entry.opaque else entry), layer
            top = top or (entry, layer)
        return top


def resolve(lookup: Callable[[bytes], Entry | None], path: bytes, *, follow_last: bool = True, strict: bool = False) -> bytes:
    """A path without symlinks, `.` and `..`, as the kernel would find it in a chroot. It need not exist.

    `lookup` says what is at a path, symlinks not followed. GraphbuildError after 40 symlinks; with `strict`, also where `..` would
    lead above the root.
    """
    real: list[bytes] = []
    rest = path.split(b"/")[::-1]
    links = 0
    while rest:
        part = rest.pop()
        if part in (b"", b"."):
            continue
        if part == b"..":
            if strict and not real:
                raise mistake(f"/{os.fsdecode(path)} leads out of where it is")
            del real[-1:]
            continue
        real.append(part)
        if not follow_last and not any(each not in (b"", b".") for each in rest):
            break
        entry = lookup(b"/".join(real))
        if entry is not None and entry.kind is Kind.SYMLINK:
            links += 1
            if links > _MOST_LINKS:
                raise mistake(f"too many symlinks on the way to /{os.fsdecode(path)}")
            real = [] if entry.target.startswith(b"/") else real[:-1]
            rest += entry.target.split(b"/")[::-1]
    return b"/".join(real)


def open_below(folder: Path, path: bytes) -> int:
    """A descriptor to read `path` below `folder`, no symlink followed on the way. The caller closes it."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    parts = path.split(b"/")
    for number, part in enumerate(parts, 1):
        above = fd
        try:
            fd = os.open(part, flags | (os.O_DIRECTORY if number < len(parts) else os.O_NONBLOCK), dir_fd=above)
        finally:
            os.close(above)
    return fd


def _union(folder: bytes, layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    made_of = []
    for layer in layers:
        entry = layer.at(folder)
        if entry is None:
            continue
        if entry.kind is not Kind.DIRECTORY:
            break
        made_of.append(layer)
        if entry.opaque:
            break
    return tuple(made_of)


def _names(paths: list[bytes], folder: bytes) -> Iterator[bytes]:
    """The names that sorted paths have in a folder, some twice: what is below each is skipped at once.

    Between a folder and what is below it there may be others: `a`, `a-b`, `a/x`.
    """
    prefix = folder + b"/" if folder else b""
    at = bisect_left(paths, prefix)
    while at < len(paths) and paths[at].startswith(prefix):
        name, below, _ = paths[at][len(prefix) :].partition(b"/")
        if name:
            yield name
        at = bisect_left(paths, prefix + name + b"0", at) if below else at + 1  # "0" follows "/"


def _below(paths: list[bytes], prefix: bytes) -> Iterator[bytes]:
    if not prefix:
        yield from paths
        return
    at = bisect_left(paths, prefix)
    if paths[at : at + 1] == [prefix]:
        yield prefix
    yield from paths[bisect_left(paths, prefix + b"/") : bisect_left(paths, prefix + b"0")]  # "0" follows "/"


def _unique(paths: Iterator[bytes]) -> Iterator[bytes]:
    last = None
    for path in paths:
        if path != last:
            yield path
        last = path
