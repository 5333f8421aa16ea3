"""The workspace's files as a build sees them: chosen by globs, hashed once, remembered by stat.

A file's digest is taken from the stat cache when its size, mtime, ctime and inode are what they were. A file touched
within the clock's grain of the scan is *racy*: it may change again without its stat changing, so its digest is used
but not remembered (git's rule for racy index entries). Everything that was looked at is noted, for the certificate of
an unchanged build. Symlinks are inputs themselves and never followed.
"""

import contextlib
import errno
import operator
import os
import stat
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from graphbuild.build.digests import Digests
from graphbuild.build.drafting import Drafting
from graphbuild.build.glob import Match, ignore_matcher, is_literal, literal_prefix, matcher
from graphbuild.build.source import SourceFile
from graphbuild.build.statcache import StatCache
from graphbuild.layers.cancel import Cancel, check, never
from graphbuild.rules.refs import Sources
from graphbuild.values.entry import Kind
from graphbuild.values.errors import mistake

IGNORE_FILE = ".graphbuildignore"
_GRAIN = 50_000_000  # ns: the coarsest clock tick of a local file system, with room

_FILE = Kind.FILE  # an enum's members are slow to look up, tens of thousands of times
_PATH = operator.attrgetter("path")
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # what became a fifo must not block

Signature = tuple[int, int, int, int, int]  # size, mtime_ns, ctime_ns, inode, mode
Watched = dict[bytes, dict[bytes, Signature | None]]  # folder, with its slash → name → what it was; None: not there
Known = Callable[[bytes], Mapping[bytes, Signature | None] | None]  # the same of one folder; None: nobody knows


class Seen(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a path's lstat: a third of the memory, where there are many."""

    signature: Signature
    links: int
    device: int
    node: int  # what a device node stands for

    @property
    def mode(self) -> int:
        return self.signature[4]


def signature(status: os.stat_result) -> Signature:
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode)


class Inputs:
    """The inputs of one build. Thread-safe: what is shared is only ever added to."""

    def __init__(self, root: Path, cache_folder: Path, cancelled: Cancel = never) -> None:
        self.root = root
        self.watched: Watched = {}
        self.pinned: set[bytes] = set()
        self.visited: set[bytes] = set()
        self.racy = False
        self.known: Known = _unknown  # what need not be looked at: a build of the same files saw all of it, and nothing changed since
        self._cache_folder = cache_folder
        self._cancelled = cancelled
        self._settled = time.time_ns() - _GRAIN  # what changed before this shows a later change in its stat
        self._scans: dict[Sources, list[SourceFile]] = {}
        self._caches: dict[bytes, StatCache] = {}
        self._opening = threading.Lock()

    def watch(self, path: Path | bytes) -> os.stat_result | None:
        """Note that the build as a whole depends on this path as it is now (`pinned`); its lstat, or None when it is not there."""
        self.pinned.add(os.fsencode(path))
        return self.look(path)

    def visit(self, folder: Path) -> None:
        """Note that packages were looked for in this folder (`visited`)."""
        self.visited.add(os.fsencode(folder))
        self.look(folder)

    def look(self, path: Path | bytes) -> os.stat_result | None:
        """The same as `watch`, for a path that matters to an action which names it, or a folder above it, as a source."""
        folder, slash, name = os.fsencode(path).rpartition(b"/")
        names = self.watched.setdefault(folder + slash, {})
        try:
            status = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            names[name] = None
            return None
        self._note(names, name, status)
        return status

    def scan(self, sources: Sources, drafting: Drafting | None = None) -> list[SourceFile]:
        """The files that the patterns choose, sorted by path. GraphbuildError when a pattern without wildcards matches nothing.

        `drafting`: of a tar that is made of them. They are written to it if they have to be read, and are many.
        """
        known = self._scans.get(sources)
        if known is None:
            with _reading():
                known = self._scans[sources] = self._scan(sources, drafting)
        elif drafting is not None:
            drafting.lose()
            drafting.add(known)
        return known

    def file(self, path: str) -> SourceFile:
        """One file of the workspace by its path from the root. GraphbuildError when it is missing or no regular file."""
        absolute = os.fsencode(self.root / path)
        self._refuse_links(path)
        status = self.look(absolute)
        if status is None:
            raise mistake(f"no such file: {path}")
        if not stat.S_ISREG(status.st_mode):
            raise mistake(f"{path} is not a regular file")
        folder, name = os.path.split(absolute)
        source = _source(folder, name, signature(status))
        source.digest = self.digests(folder, {name: source.signature})[name]
        return source

    def kind(self, path: str) -> Kind:
        """Whether a path of the workspace is a FILE, a DIRECTORY or a SYMLINK. GraphbuildError when it is none."""
        self._refuse_links(path)
        status = self.look(os.fsencode(self.root / path))
        if status is None:
            raise mistake(f"no such file or folder: {path}")
        for test, kind in ((stat.S_ISREG, Kind.FILE), (stat.S_ISDIR, Kind.DIRECTORY), (stat.S_ISLNK, Kind.SYMLINK)):
            if test(status.st_mode):
                return kind
        raise mistake(f"{path} is neither a file, a folder nor a symlink")

    def opener(self, sources: Sources) -> Callable[[SourceFile], int]:
        """What opens scanned files for reading; GraphbuildError for one that is not what was scanned any more."""
        folder, opened = os.fsencode(self.root / sources.folder) + b"/", self.open
        return lambda source: opened(folder + source.path, source.signature)

    def _note(self, names: dict[bytes, Signature | None], name: bytes, status: os.stat_result) -> Signature:
        """Remember what a path was."""
        settled = self._settled
        changed, moved = status.st_mtime_ns, status.st_ctime_ns
        sign = names[name] = (status.st_size, changed, moved, status.st_ino, status.st_mode)
        if changed >= settled or moved >= settled:
            self.racy = True
        return sign

    def is_racy(self, sign: Signature) -> bool:
        """Whether a file is too fresh to be remembered beyond this build: changed again, it might look the same."""
        return sign[1] >= self._settled or sign[2] >= self._settled

    def _scan(self, sources: Sources, drafting: Drafting | None) -> list[SourceFile]:
        folder = os.fsencode(self.root / sources.folder)
        chosen = matcher(sources.patterns)
        positive = [pattern.strip("/") for pattern in sources.patterns if not pattern.startswith("!")]
        every = len(positive) == len(sources.patterns)
        ignored = self._ignored(sources.folder)
        files: list[SourceFile] = []
        with self._digesting(folder, drafting) as digests:
            for start in starts(positive):
                self._refuse_links("/".join(part for part in (sources.folder, start) if part))
                for here in self._walk(folder, os.fsencode(start), chosen, ignored, all_below=every):
                    files += here
                    if drafting is not None:
                        drafting.add(here)
                    digests.add({file.path: file.signature for file in here if file.kind is _FILE})
            files.sort(key=_PATH)
            for pattern in positive:
                if is_literal(pattern) and not _are_at(files, os.fsencode(pattern)):
                    raise mistake(f"no such file or folder: {'/'.join(filter(None, (sources.folder, pattern)))}")
            if not files:
                raise mistake(f"nothing matches {', '.join(sources.patterns)} in //{sources.folder}")
            known = digests.all()
        for file in files:
            if file.kind is _FILE:
                file.digest = known[file.path]
        return files

    def _walk(
        self, folder: bytes, start: bytes, chosen: Match, ignored: Callable[[bytes, bool], bool] | None, *, all_below: bool
    ) -> Iterator[list[SourceFile]]:
        """All that is chosen at or below `start` (relative to `folder`), as it is now, folder by folder.

        `all_below`: what is below a chosen folder is chosen, without asking.
        """
        status = self.look(os.path.join(folder, start) if start else folder)
        if status is None:
            return
        if not stat.S_ISDIR(status.st_mode):
            if chosen(start):
                yield [_source(folder, start, signature(status))]
            return
        above = [self._inside(folder, start, all_below and chosen(start))]
        note = self._note
        while above:
            inside = above[-1]
            prefix, whole, names = inside.prefix, inside.whole, inside.names
            found: list[SourceFile] = []
            for _, name, is_folder, entry in inside.entries:
                path = prefix + name
                if ignored is not None and ignored(path, is_folder):
                    continue
                taken = whole or chosen(path)
                if taken or is_folder:
                    sign = entry if isinstance(entry, tuple) else note(names, name, entry.stat(follow_symlinks=False))
                    if taken:
                        found.append(_source(folder, path, sign))
                    if is_folder:
                        above.append(self._inside(folder, path, taken and all_below))
                        break
            else:
                above.pop()
            yield found

    def _inside(self, folder: bytes, relative: bytes, whole: bool) -> "_Inside":
        """What is in a folder that is searched, sorted as a tar has it: what is in a folder follows the folder."""
        check(self._cancelled)
        absolute = os.path.join(folder, relative) if relative else folder
        known = self.known(absolute + b"/")
        names = self.watched.setdefault(absolute + b"/", {}) if known is None else {}
        entries = sorted(_entries(absolute) if known is None else _remembered(known))
        return _Inside(relative + b"/" if relative else b"", whole, names, iter(entries))

    def listing(self, folder: bytes) -> list[tuple[bytes, Seen]]:
        """The names in a folder, with what they are; each is noted."""
        names = self.watched.setdefault(folder.rstrip(b"/") + b"/", {})
        note = self._note
        check(self._cancelled)
        found = []
        with _reading(), os.scandir(folder) as entries:
            for entry in entries:
                name, status = entry.name, entry.stat(follow_symlinks=False)
                found.append((name, Seen(note(names, name, status), status.st_nlink, status.st_dev, status.st_rdev)))
        return found

    def seen(self, path: bytes) -> Seen | None:
        """What a path is, noted; None when it is not there."""
        status = self.look(path)
        return Seen(signature(status), status.st_nlink, status.st_dev, status.st_rdev) if status is not None else None

    def digests(self, folder: bytes, found: Mapping[bytes, Signature]) -> dict[bytes, bytes]:
        """blake3 of regular files by their paths from `folder`: remembered by their stat, else read now."""
        with _reading(), self._digesting(folder) as digests:
            digests.add(found)
            return digests.all()

    def open(self, path: bytes, signature_: Signature) -> int:
        """Open a file that was looked at; GraphbuildError when it is not what it was any more."""
        try:
            descriptor = os.open(path, _OPEN)
        except OSError as error:
            raise mistake(f"{os.fsdecode(path)} went away while it was built from: {error.strerror}") from None
        if signature(os.fstat(descriptor)) != signature_:
            os.close(descriptor)
            raise mistake(f"{os.fsdecode(path)} changed while it was built from", hint="run again when it is quiet")
        return descriptor

    def _digesting(self, folder: bytes, drafting: Drafting | None = None) -> Digests:
        with self._opening:
            cache = self._caches.get(folder) or self._caches.setdefault(folder, StatCache(self._cache_folder, folder))
        return Digests(folder, cache, self._settled, self._cancelled, drafting)

    def _ignored(self, folder: str) -> Callable[[bytes, bool], bool] | None:
        """What the ignore files of the workspace and of the folder leave out, by paths relative to the folder; None for nothing."""
        base = os.fsencode(folder) + b"/" if folder else b""
        tests = []
        for place, prefix in dict.fromkeys((("", base), (folder, b""))):
            file = self.root / place / IGNORE_FILE
            if self.watch(file) is not None and (place == folder or prefix):
                tests.append((prefix, ignore_matcher(file.read_text(errors="surrogateescape").splitlines())))

        def ignored(path: bytes, is_folder: bool) -> bool:
            return any(test(prefix + path, is_folder) for prefix, test in tests)

        return ignored if tests else None

    def _refuse_links(self, path: str) -> None:
        """A path whose folders are symlinks could lead out of the workspace: GraphbuildError."""
        parts = path.split("/")
        for count in range(1, len(parts)):
            if (self.root / "/".join(parts[:count])).is_symlink():
                raise mistake(f"{path} goes through the symlink {'/'.join(parts[:count])}", hint="name the folder itself")


class _Inside(msgspec.Struct, gc=False):
    """A folder that is searched, and what of it is still to come; `whole` if all of it is chosen."""

    prefix: bytes
    whole: bool
    names: dict[bytes, Signature | None]
    entries: "Iterator[_Found]"


def _unknown(_folder: bytes) -> None:
    """Every folder has to be looked at."""


# What a folder's entries are sorted by, their names, whether they are folders, and what they are.
_Found = tuple[bytes, bytes, bool, "os.DirEntry[bytes] | Signature"]


def _entries(folder: bytes) -> list[_Found]:
    """What is in a folder."""
    with os.scandir(folder) as entries:
        return [
            (entry.name + b"/", entry.name, True, entry) if entry.is_dir(follow_symlinks=False) else (entry.name, entry.name, False, entry)
            for entry in entries
        ]


def _remembered(known: Mapping[bytes, Signature | None]) -> list[_Found]:
    """The same of a folder that need not be looked at."""
    return [
        (name + b"/", name, True, sign) if stat.S_ISDIR(sign[4]) else (name, name, False, sign)
        for name, sign in known.items()
        if sign is not None
    ]


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Name the file that cannot be read, or that went away or became something else while we looked at it."""
    try:
        yield
    except OSError as error:
        moved = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ELOOP, errno.EISDIR)
        hint = "it changed while it was built from: run again when it is quiet" if moved else ""
        raise mistake(f"cannot read {os.fsdecode(error.filename or b'a source')}: {error.strerror}", hint=hint) from None


def _source(folder: bytes, path: bytes, sign: Signature) -> SourceFile:
    """What was found, as a source that has no digest yet. GraphbuildError for a device, a fifo or a socket."""
    mode = sign[4]
    if stat.S_ISREG(mode):
        return SourceFile(path, _FILE, 0o755 if mode & 0o100 else 0o644, sign[0], b"", b"", sign)
    if stat.S_ISDIR(mode):
        return SourceFile(path, Kind.DIRECTORY, 0o755)
    absolute = os.path.join(folder, path)
    if stat.S_ISLNK(mode):
        return SourceFile(path, Kind.SYMLINK, 0o777, target=os.readlink(absolute), signature=sign)
    raise mistake(f"{os.fsdecode(absolute)} is neither a file, a folder nor a symlink", hint=f"exclude it, or list it in {IGNORE_FILE}")


def _are_at(files: Sequence[SourceFile], path: bytes) -> bool:
    """Whether there is a file of that path, or one in a folder of that path."""
    for wanted in (path, path + b"/"):
        place = bisect_left(files, wanted, key=_PATH)
        if place < len(files) and files[place].path.startswith(wanted) and (files[place].path == path or wanted != path):
            return True
    return False


def starts(patterns: Iterable[str]) -> Sequence[str]:
    """The folders to search, none below another."""
    starts: list[str] = []
    for start in sorted({literal_prefix(pattern) for pattern in patterns}):
        if not any(not known or start.startswith(f"{known}/") for known in starts):
            starts.append(start)
    return starts
