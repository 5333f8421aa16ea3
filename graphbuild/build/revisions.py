"""The files of a workspace at a commit, and as they are now, as git tells them apart: by object names, and no file is read twice.

A Tree holds what git tracks, and now also what it would track; what it ignores is in no revision. Source: gitformat-index(5),
git-ls-files(1), git-ls-tree(1): paths end with NUL, an object's name is the hash of `blob SIZE NUL` and the content.
"""

import hashlib
import os
import stat
import subprocess
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import msgspec

from graphbuild.values.errors import GraphbuildError, Problem, lacking, mistake

_LINK, _MODULE = 0o120000, 0o160000
_MOST_LINKS = 40  # that lead to each other, as the kernel has it


class File(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`mode` as git has it: 100644, 100755, 120000 (octal). `name` of its content."""

    mode: int
    name: bytes


class Tree:
    """The files of one revision, by path from the workspace's root."""

    def __init__(self, root: Path, files: Mapping[bytes, File], objects: "Objects | None" = None) -> None:
        """`objects`: where contents are, of a commit; else they are read from the disk."""
        self.root = root
        self.files = files
        self._objects = objects
        self._paths = sorted(files)
        self._folders: dict[bytes, set[bytes]] | None = None

    def below(self, folder: bytes) -> Sequence[bytes]:
        """The paths below a folder, or the path itself where it is a file; b"" for all."""
        if not folder:
            return self._paths
        if folder in self.files:
            return [folder]
        return self._paths[bisect_left(self._paths, folder + b"/") : bisect_left(self._paths, folder + b"0")]  # "0" follows "/"

    def read(self, path: str) -> bytes | None:
        """A file's content; what a symlink leads to inside the workspace. None where there is none."""
        for _ in range(_MOST_LINKS):
            found = self.files.get(os.fsencode(path))
            if found is None or found.mode == _MODULE:
                return None
            content = self._content(path, found)
            if found.mode != _LINK or content is None:
                return content
            path = os.path.normpath(os.path.join(os.path.dirname(path), os.fsdecode(content)))
        return None

    def _content(self, path: str, found: File) -> bytes | None:
        """What a file holds, or where a symlink leads; None where it is gone."""
        if self._objects is not None:
            return self._objects.read(found.name)
        try:
            return os.fsencode(os.readlink(self.root / path)) if found.mode == _LINK else (self.root / path).read_bytes()
        except OSError:
            return None

    def children(self, folder: str) -> tuple[set[bytes], set[bytes]]:
        """The names of files and of folders in a folder."""
        if self._folders is None:
            self._folders = {}
            for path in self._paths:
                while path:
                    above, _, name = path.rpartition(b"/")
                    known = self._folders.setdefault(above, set())
                    if name in known:
                        break
                    known.add(name)
                    path = above  # noqa: PLW2901 - climbed
        names = self._folders.get(os.fsencode(folder), set())
        prefix = os.fsencode(folder) + b"/" if folder else b""
        files = {name for name in names if prefix + name in self.files}
        return files, names - files

    def write_below(self, folder: str, destination: Path) -> None:
        """Write a file, or all below a folder, out to where nothing is."""
        for path in self.below(os.fsencode(folder)):
            relative = os.fsdecode(path[len(os.fsencode(folder)) :].lstrip(b"/"))
            place = destination / relative if relative else destination
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(self.read(os.fsdecode(path)) or b"")


class Objects:
    """Contents by their names, from one git process that lives as long as the context."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, name: bytes) -> bytes:
        if self._process is None:
            command = ["git", "-C", str(self._root), "cat-file", "--batch"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(name + b"\n")
        self._process.stdin.flush()
        head = self._process.stdout.readline().split()
        if len(head) != 3:
            raise mistake(f"git has no object {name.decode()}", hint="a partial clone has few: `git fetch`")
        content = self._process.stdout.read(int(head[2]))
        self._process.stdout.read(1)
        return content

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.communicate()


def at_commit(root: Path, commit: str, objects: Objects) -> Tree:
    """What a commit (`commit_of`) holds below the workspace's root."""
    files = {}
    for entry in _git(root, "ls-tree", "-r", "-z", commit).split(b"\0")[:-1]:
        about, _, path = entry.partition(b"\t")
        mode, _, name = about.split(b" ")
        files[path] = File(int(mode, 8), name)
    return Tree(root, files, objects)


def as_it_is(root: Path) -> Tree:
    """What lies in the workspace now: what git tracks, as far as it is there, and what it does not ignore."""
    algorithm = _git(root, "rev-parse", "--show-object-format").decode().strip()
    files = {}
    for entry in _git(root, "ls-files", "-z", "-s").split(b"\0")[:-1]:
        about, _, path = entry.partition(b"\t")
        mode, name, _ = about.split(b" ")
        files[path] = File(int(mode, 8), name)
    for path in set(_git(root, "ls-files", "-z", "-m", "-d", "-o", "--exclude-standard").split(b"\0")[:-1]):
        found = _looked_at(os.path.join(os.fsencode(root), path), algorithm)
        if found is None:
            files.pop(path, None)
        elif files.get(path, found).mode != _MODULE:
            files[path] = found
    return Tree(root, files)


def commit_of(root: Path, revision: str) -> str:
    """The full name of the commit that a revision stands for."""
    if not revision or revision.startswith("-"):
        raise mistake(f"{revision!r} is no revision", hint="a branch, a tag, a commit, HEAD~1")
    done = _run(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if done.returncode:
        raise mistake(f"git knows no commit {revision}", hint="is it fetched? A shallow clone has few: `git fetch --unshallow`")
    return done.stdout.decode().strip()


def _looked_at(path: bytes, algorithm: str) -> File | None:
    """What git would call a file that lies there; None for what is none."""
    try:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            content, mode = os.readlink(path), _LINK
        elif stat.S_ISREG(status.st_mode):
            with open(path, "rb") as file:
                content = file.read()
            mode = 0o100755 if status.st_mode & 0o100 else 0o100644
        else:
            return None
    except OSError:
        return None
    return File(mode, hashlib.new(algorithm, b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest().encode())


def _git(root: Path, *arguments: str) -> bytes:
    done = _run(root, *arguments)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise GraphbuildError(Problem(f"git {arguments[0]}: {said[-1] if said else done.returncode}"))
    return done.stdout


def _run(root: Path, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        raise lacking("comparing revisions needs git", "install git") from None
