"""Which changes of files are worth a new build: what the last builds looked at, and as what they saw it.

It decides by stat, not by what a notification says: a file that was written again as it was, or an output that the build itself wrote,
is no change. What nobody looked at yet may be anything that a glob would match, so it counts, but for what editors leave beside
a file while they save it, git's own files, and the store's. Knows no notifier.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator

from graphbuild.build.inputs import Signature, Watched, signature

_EDITORS = re.compile(rb".*(~|\.sw[a-px]|\.___jb_(tmp|old)___)|\.#.*|#.*#|4913|flycheck_.*|\.goutputstream-.*", re.DOTALL)

_FOLDER: Signature = (0, 0, 0, 0, stat.S_IFDIR)


class Watching:
    """What is known of a workspace's files, by path."""

    def __init__(self, root: bytes, store: bytes) -> None:
        self._root = root.rstrip(b"/") + b"/"
        self._aside = (self._root + b".git/", store + b"/")
        self._known: dict[bytes, Signature | None] = {}
        self._outputs: set[bytes] = set()
        self._above: set[bytes] = set()  # the folders that outputs are in, at any depth
        self.folders: set[bytes] = {root}  # where something may change that matters: not what is below them

    def learn(self, watched: Watched, outputs: Iterable[bytes], *, everything: bool) -> None:
        """Take in what a build saw, and what it wrote. `everything`: there is nothing else that matters."""
        if everything:
            self._known, self.folders = {}, {self._root[:-1]}
        for output in outputs:
            self._outputs.add(output)
            self._above.update(self._parents(output))
        for folder, names in watched.items():
            self._enter(folder.rstrip(b"/"))
            for name, known in names.items():
                self._note(folder + name, known)

    def matters(self, path: bytes) -> bool:
        """Whether a build should look at a path of which a notifier said that it changed."""
        if not path.startswith(self._root) or self._written(path):
            return False
        now = _signature(path)
        if path in self._known:
            known = self._known[path]
            return False if _is_folder(known) and _is_folder(now) else now != known
        return now is not None and not path.startswith(self._aside) and not _EDITORS.fullmatch(path.rpartition(b"/")[2])

    def notice(self, paths: Iterable[bytes]) -> None:
        """Take these changes for known: a build is about to look, and what it does not look at is nobody's source, or gone."""
        self._known.update((path, _signature(path)) for path in paths)

    def stale(self) -> list[bytes]:
        """All paths that are not what they were, sorted: what a notifier that was not there yet cannot have said."""
        found = {path for path in self._known if self.matters(path)}
        for folder in self.folders:
            if folder in self._known and _signature(folder) != self._known[folder]:
                found.update(path for path in _names(folder) if path not in self._known and self.matters(path))
        return sorted(found)

    def _note(self, path: bytes, known: Signature | None) -> None:
        self._known[path] = known
        if _is_folder(known):
            self._enter(path)

    def _enter(self, folder: bytes) -> None:
        if (folder + b"/").startswith(self._root) and not (folder + b"/").startswith(self._aside[1]) and not self._written(folder):
            self.folders.add(folder)

    def _written(self, path: bytes) -> bool:
        """Whether a build writes there or below it, or makes it on the way to what it writes."""
        if path in self._above:
            return _is_folder(self._known.get(path, _FOLDER))
        return path in self._outputs or not self._outputs.isdisjoint(self._parents(path))

    def _parents(self, path: bytes) -> Iterator[bytes]:
        """The folders of the workspace that a path is in, but for the root."""
        while (path := path.rpartition(b"/")[0]).startswith(self._root):
            yield path


def _is_folder(known: Signature | None) -> bool:
    return known is not None and stat.S_ISDIR(known[4])


def _names(folder: bytes) -> list[bytes]:
    try:
        return [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError:
        return []


def _signature(path: bytes) -> Signature | None:
    try:
        return signature(os.lstat(path))
    except OSError:
        return None


def shown(paths: Iterable[bytes], root: bytes) -> str:
    """Paths for people, from the root: the first, and how many more there are."""
    names = sorted(os.fsdecode(path.removeprefix(root + b"/")) for path in paths)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}" if names else ""
