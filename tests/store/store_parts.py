"""What the store's tests build from: small layers and records, and child processes to kill."""

import os
import subprocess
import sys
from pathlib import Path

from blake3 import blake3

from graphbuild.store.actions import LayerOutput, Outputs, Record
from graphbuild.store.blobs import write_all
from graphbuild.store.store import Store
from graphbuild.values.digest import Digest, sha256, tree
from graphbuild.values.entry import Entry, Kind, encode_index


def key(number: int) -> Digest:
    return tree(blake3(b"key %d" % number).hexdigest())


def encoded_layer(content: bytes) -> bytes:
    """The index of a layer of one file `f`."""
    entry = Entry(b"f", Kind.FILE, 0o644, os.geteuid(), os.getegid(), len(content), blake3(content).digest())
    return encode_index([entry])


def put_folder_layer(store: Store, content: bytes) -> Digest:
    with store.scratch() as scratch:
        folder = scratch / "folder"
        folder.mkdir(mode=0o755)
        (folder / "f").write_bytes(content)
        (folder / "f").chmod(0o644)
        os.utime(folder / "f", (0, 0))
        return store.put_layer(encoded_layer(content), folder=folder)


def record_of(*layers: Digest, blob: Digest | None = None, log: bool = False) -> Record:
    return Record(Outputs(tuple(map(LayerOutput, layers)), blob=blob, size=3), b"fields", "//a:b#run", 1.5, log)


def write_blob(store: Store, data: bytes) -> Digest:
    import hashlib

    digest = sha256(hashlib.sha256(data).hexdigest())
    with store.blob_writer() as writer:
        write_all(writer.fd, data)
        writer.commit(digest, len(data))
    return digest


def never() -> bool:
    return False


def nothing() -> None:
    return None


def child(code: str, *arguments: object) -> "subprocess.Popen[bytes]":
    """A Python process with this module's names; its sys.argv[1:] are the arguments."""
    head = (
        f"import sys, os, time; sys.path.insert(0, {str(Path(__file__).parent)!r}); from pathlib import Path; from store_parts import *\n"
    )
    command = [sys.executable, "-c", head + code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE)


def damage(store: Store, **options: bool) -> list[tuple[str, str]]:
    return [(found.kind, found.name) for found in store.verify(lambda _done, _total: None, **options)]
