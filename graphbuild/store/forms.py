"""The two forms of a layer, folder and tar, each made from the other when somebody needs it, once among all processes."""

import contextlib
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from graphbuild.layers.cancel import Cancel, Cancellable, never
from graphbuild.layers.compression import codec_version, compress, decompress, open_stream
from graphbuild.layers.draft import Draft
from graphbuild.layers.folder import materialize
from graphbuild.layers.stack import Layer, Stack
from graphbuild.layers.tar_headers import Readable
from graphbuild.layers.tar_read import unpack
from graphbuild.layers.tar_tree import Ids
from graphbuild.layers.tar_write import Earlier, write_layer_tar
from graphbuild.store.actions import LayerOutput
from graphbuild.store.reading import read_file
from graphbuild.store.store import Store
from graphbuild.values.digest import Digest, sha256
from graphbuild.values.entry import Entry, encode_index, tree_digest
from graphbuild.values.errors import mistake

_CHUNK = 1 << 20
_RATIO, _SMALLEST_BOUND = 200, 1 << 30  # layers compress to 1/2 … 1/20; a bomb to 1/1000 and less


class Forms:
    """The layers of a store as they are mounted and packed. `epoch` is the mtime of what is made; `ids`: which owners can be on disk."""

    def __init__(self, store: Store, epoch: int, ids: Ids, cancelled: Cancel = never) -> None:
        self._store = store
        self._epoch = epoch
        self._ids = ids
        self._cancelled = cancelled
        self._layers: dict[Digest, Layer] = {}
        self._drafts: list[Draft] = []

    def close(self) -> None:
        """Let go of the drafts that nobody needed."""
        for draft in self._drafts:
            draft.close()

    def layer(self, output: LayerOutput) -> Layer:
        known = self._layers.get(output.tree)
        if known is None:
            entries = self._store.index(output.tree)
            content = functools.partial(read_file, self._store, output, entries, epoch=self._epoch)
            known = Layer(output.tree, entries, functools.cache(lambda: self.folder(output)), content)
            self._layers[output.tree] = known
        return known

    def stack(self, outputs: Iterable[LayerOutput]) -> Stack:
        return Stack([self.layer(output) for output in outputs])

    def folder(self, output: LayerOutput) -> Path:
        """The folder form of a layer. GraphbuildError where the store has neither form any more."""
        store = self._store
        found = store.folder(output.tree)
        if found is not None:
            return found
        with store.lock(output.tree, self._cancelled, _quiet), store.scratch() as scratch:
            found = store.folder(output.tree)
            if found is not None:
                return found
            target = scratch / "folder"
            target.mkdir(mode=0o755)
            self._unpack(output, target)
            return store.set_folder(output.tree, target)

    def _unpack(self, output: LayerOutput, target: Path) -> None:
        known = self._known_blob(output)
        if known is None:
            hint = "run `graphbuild cache verify --repair`, then build again: it is made anew"
            raise mistake(f"layer {output.tree.short} is gone from the store, folder and tar", hint=hint)
        with known[2].open("rb") as blob:
            stream = Cancellable(blob, self._cancelled)
            materialize(stream, self._store.index(output.tree), target, epoch=self._epoch, ids=self._ids)

    def blob(self, output: LayerOutput) -> tuple[Digest, int, Path]:
        """The uncompressed tar of a layer: diff_id, size in bytes, path."""
        known = self._known_blob(output)
        if known is not None:
            return known
        folder = os.fsencode(self.folder(output))

        def open_file(entry: Entry) -> int:
            return os.open(os.path.join(folder, entry.path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

        return self.write_blob(output.tree, self._store.index(output.tree), open_file)

    def flattened(self, stack: Stack) -> Digest:
        """The tree of one layer on nothing that shows what the stack shows."""
        entries = stack.flatten()
        homes = {entry.path: layer for entry, layer in stack.walk()}

        def open_file(entry: Entry) -> int:
            return os.open(os.path.join(os.fsencode(homes[entry.path].folder()), entry.path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

        encoded = encode_index(entries, self._epoch)
        tree = tree_digest(encoded)
        if not self._store.has_layer(tree):
            self.write_blob(tree, entries, open_file)
            self._store.put_layer(encoded, folder=None)
        return tree

    def adopt(self, open_stored: Callable[[], BinaryIO], diff_id: Digest, source: str) -> Digest | None:
        """Take in a layer that somebody else made, from its compressed or plain tar: its tree, None where it holds nothing.

        The tar is kept under its `diff_id`, which is checked, and belongs to the images that name it: it is not the one that our
        writer makes of the same files, so it is never remembered as the tar of that tree. `source` names it in errors.
        """
        path = self._store.blob(diff_id)
        if path is not None:
            return self._unpacked(path, source)
        with open_stored() as stored:
            return self.take_tar(stored, source, diff_id)[1]

    def take_tar(self, stored: Readable, source: str, expected: Digest | None = None) -> tuple[Digest, Digest | None]:
        """The same for a tar that nobody has described: its diff_id and its tree."""
        with self._store.blob_writer() as writer:
            found, size = decompress(stored, writer.fd, cancelled=self._cancelled)
            if expected is not None and found != expected:
                raise mistake(f"{source} unpacks to {found}, its config says {expected}", hint="the image is damaged")
            path = writer.commit(found, size)
        return found, self._unpacked(path, source)

    def _unpacked(self, path: Path, source: str) -> Digest | None:
        with path.open("rb") as file, self._store.scratch() as scratch:
            folder = scratch / "folder"
            folder.mkdir(mode=0o755)
            stream = Cancellable(file, self._cancelled)
            entries = unpack(stream, folder, epoch=self._epoch, whiteouts=True, ids=self._ids, source=source)
            return self._store.put_layer(encode_index(entries, self._epoch), folder=folder) if entries else None

    def adopt_packed(self, stored: Readable, size: int, diff_id: Digest, source: str) -> Digest | None:
        """Take in a layer of somebody else that stays as it came: its tree, None where it holds nothing.

        `stored` are the `size` bytes of its blob; what is in them is checked against the `diff_id`, and makes the folder.
        """
        hashed = _Hashed(open_stream(Cancellable(stored, self._cancelled)), max(_SMALLEST_BOUND, size * _RATIO), source)
        with self._store.scratch() as scratch:
            folder = scratch / "folder"
            folder.mkdir(mode=0o755)
            entries = unpack(hashed, folder, epoch=self._epoch, whiteouts=True, ids=self._ids, source=source)
            found = hashed.finish()
            if found != diff_id:
                raise mistake(f"{source} unpacks to {found}, its config says {diff_id}", hint="the image is damaged")
            return self._store.put_layer(encode_index(entries, self._epoch), folder=folder) if entries else None

    def compressed(self, diff_id: Digest, path: Path, codec: str) -> tuple[Digest, int, Path]:
        """A tar's compressed form: made once a codec, its library's version and the machine's kind, remembered by diff_id."""
        version = codec_version(codec)
        known = self._store.compressed(diff_id, version)
        if known is not None and (blob := self._store.blob(known[0])) is not None:
            return *known, blob
        with self._store.blob_writer() as writer, path.open("rb") as source:
            digest, size = compress(source.fileno(), writer.fd, codec, cancelled=self._cancelled)
            blob = writer.commit(digest, size)
        self._store.set_compressed(diff_id, version, digest, size)
        return digest, size, blob

    def _known_blob(self, output: LayerOutput) -> tuple[Digest, int, Path] | None:
        store = self._store
        if output.diff_id is not None and (path := store.blob(output.diff_id)) is not None:
            return output.diff_id, path.stat().st_size, path
        if output.packed is not None and (path := store.blob(output.packed)) is not None:
            return self._opened(path, output)
        known = store.diff_id(output.tree)
        if known is not None and (path := store.blob(known[0])) is not None:
            return *known, path
        return None

    def _opened(self, packed: Path, output: LayerOutput) -> tuple[Digest, int, Path]:
        """The tar in a layer's blob as a registry had it."""
        with self._store.blob_writer() as writer, packed.open("rb") as compressed:
            found, size = decompress(compressed, writer.fd, cancelled=self._cancelled)
            if found != output.diff_id:
                raise mistake(f"layer {packed.name[:12]} is damaged", hint="run `graphbuild cache verify --repair`, then build again")
            return found, size, writer.commit(found, size)

    def draft(self) -> Draft:
        """A tar that is written before its layer is known."""
        draft = Draft(self._store.blob_writer, self._epoch, self._cancelled)
        self._drafts.append(draft)
        return draft

    def write_blob(
        self,
        tree: Digest,
        entries: Sequence[Entry],
        open_file: Callable[[Entry], int],
        earlier: Digest | None = None,
        draft: Draft | None = None,
    ) -> tuple[Digest, int, Path]:
        """Write a layer's tar into the store and remember it as the layer's blob.

        `earlier`: a layer whose tar, where the store still has it, holds much of the same. `draft`: it may be there already.
        """
        written = draft.finish(entries) if draft else None
        diff_id, size, path = written or self._write(entries, open_file, earlier)
        self._store.set_diff_id(tree, diff_id, size)
        return diff_id, size, path

    def _write(self, entries: Sequence[Entry], open_file: Callable[[Entry], int], earlier: Digest | None) -> tuple[Digest, int, Path]:
        with self._store.blob_writer() as writer, self._earlier(earlier) as before:
            diff_id, size = write_layer_tar(entries, open_file, writer.fd, epoch=self._epoch, cancelled=self._cancelled, earlier=before)
            return diff_id, size, writer.commit(diff_id, size)

    @contextlib.contextmanager
    def _earlier(self, tree: Digest | None) -> Iterator[Earlier | None]:
        """The tar that this build's epoch and our own writer made of a layer, if it is at hand."""
        known = self._store.diff_id(tree) if tree else None
        path = self._store.blob(known[0]) if known else None
        if tree is None or path is None:
            yield None
            return
        try:
            entries = self._store.index(tree)
        except KeyError:
            yield None
            return
        with path.open("rb") as file:
            yield Earlier(entries, file.fileno())


def _quiet() -> None:
    """Another process makes the same layer's folder: nothing to say about it."""


class _Hashed:
    """A stream that is hashed as it is read, and not longer than `bound` bytes."""

    def __init__(self, stream: Readable, bound: int, name: str) -> None:
        self._stream = stream
        self._state = hashlib.sha256()
        self._left = bound
        self._name = name

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise mistake(f"{self._name} unpacks to more than {_RATIO} times its size", hint="the image is a bomb")
        self._state.update(data)
        return data

    def finish(self) -> Digest:
        """The digest of all of it, what follows the archive's end included."""
        while self.read(_CHUNK):
            pass
        return sha256(self._state.hexdigest())
