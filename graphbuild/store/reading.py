"""One file of a layer, from whichever form the store has: no folder and no tar is made for it.

The folder comes first; in a tar that our writer made, a content's place follows from the index; any other tar is read up to the file, and
what a registry packed is unpacked as it is read, for nothing else has it.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from graphbuild.layers.compression import DamagedStream, open_stream
from graphbuild.layers.stack import open_below
from graphbuild.layers.tar_headers import Members, Readable, TarError
from graphbuild.layers.tar_intake import content_of
from graphbuild.layers.tar_read import clean_path
from graphbuild.layers.tar_write import content_offset
from graphbuild.store.actions import LayerOutput
from graphbuild.store.store import Store
from graphbuild.values.entry import Entry
from graphbuild.values.errors import mistake


def read_file(store: Store, output: LayerOutput, entries: Sequence[Entry], entry: Entry, epoch: int) -> bytes:
    """The content of a FILE of the layer's index. GraphbuildError where the store has no form of the layer any more."""
    folder = store.folder(output.tree)
    if folder is not None:
        with os.fdopen(open_below(folder, entry.path), "rb") as file:
            return file.read(entry.size)
    made = store.diff_id(output.tree)
    if made is not None and (path := store.blob(made[0])) is not None:
        with path.open("rb") as file:
            file.seek(content_offset(entries, entry, epoch))
            return file.read(entry.size)
    for digest in (output.diff_id, output.packed):
        if digest is not None and (path := store.blob(digest)) is not None:
            return _from_tar(path, entry)
    hint = "run `graphbuild cache verify --repair`, then build again: it is made anew"
    raise mistake(f"layer {output.tree.short} is gone from the store, folder and tar", hint=hint)


def _from_tar(path: Path, entry: Entry) -> bytes:
    """The content that a foreign tar gives a path: that of the last member of its name."""
    with path.open("rb") as file:
        stream: Readable = open_stream(file)
        members, found = Members(stream), b""
        try:
            for member in members:
                if member.type in (b"0", b"\0", b"7") and member.size == entry.size and clean_path(member.name) == entry.path:
                    found = b"".join(bytes(chunk) for chunk in content_of(members, member))  # a hole is its length: as many zeros
        except (TarError, DamagedStream) as error:
            raise mistake(f"{path.name}: {error}", hint="run `graphbuild cache verify --repair`") from None
        return found
