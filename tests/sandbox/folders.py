"""A stack whose layers are plain folders: what the sandbox needs of a stack, read straight from disk."""

import os
import stat
from pathlib import Path

from graphbuild.values.entry import Entry, Kind

KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.DIRECTORY, stat.S_IFLNK: Kind.SYMLINK}


class FolderLayer:
    def __init__(self, path):
        self.path = Path(path)

    def folder(self):
        return self.path


class FolderStack:
    """Lowest first; without whiteouts. `implicit_paths` are directories whose attributes `attributes` overrides."""

    def __init__(self, folders, implicit=(), attributes=None):
        self.layers = [FolderLayer(folder) for folder in folders]
        self.attributes = {os.fsencode(path): mode for path, mode in (attributes or {}).items()}
        self.implicit_paths = [os.fsencode(path) for path in implicit]

    def lookup(self, path):
        for layer in reversed(self.layers):
            name = os.path.join(os.fsencode(layer.path), path)
            if os.path.lexists(name):
                found = os.lstat(name)
                kind = KINDS[stat.S_IFMT(found.st_mode)]
                target = os.readlink(name) if kind is Kind.SYMLINK else b""
                return Entry(path, kind, self.attributes.get(path, found.st_mode & 0o7777), found.st_uid, found.st_gid, target=target)
        return None

    def resolve(self, path):
        todo, done = path.split(b"/"), []
        while todo:
            part = todo.pop(0)
            if part in (b"", b"."):
                continue
            if part == b"..":
                done = done[:-1]
                continue
            entry = self.lookup(b"/".join([*done, part]))
            if entry is not None and entry.kind is Kind.SYMLINK:
                done = [] if entry.target.startswith(b"/") else done
                todo = [*entry.target.split(b"/"), *todo]
            else:
                done.append(part)
        return b"/".join(done)

    def read(self, path):
        for layer in reversed(self.layers):
            name = os.path.join(os.fsencode(layer.path), self.resolve(path))
            if os.path.isfile(name):
                return Path(os.fsdecode(name)).read_bytes()
        return None

    def implicit(self):
        return self.implicit_paths
