"""Parts put together as one layer on nothing, written as a folder form: archives, files, directories, symlinks; later ones win.

A symlink is followed for parts after it that name something below it, as unpacking onto a merged /usr needs: with `bin` → `usr/bin`,
an archive's `bin/sh` becomes `usr/bin/sh`. Pure file work: no script runs.
"""

from pathlib import Path
from types import TracebackType
from typing import Self

from graphbuild.layers.tar_disk import Folder
from graphbuild.layers.tar_headers import Readable, TarError
from graphbuild.layers.tar_intake import Limits
from graphbuild.layers.tar_read import Archives, clean_path, redirect
from graphbuild.layers.tar_tree import Ids
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import mistake

_LIMITS = Limits()


class Assembler:
    """Fills the empty `folder`. Use it as a context manager, or call `finish`; both give its descriptors back."""

    def __init__(self, folder: Path, *, epoch: int, ids: Ids = "full") -> None:
        self._sink = Folder(folder, epoch=epoch, ids=ids)
        self._archives = Archives(self._sink, limits=_LIMITS)
        self._tree = self._archives.tree
        self._redirects: dict[bytes, bytes] = {}
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def archive(self, stream: Readable, *, source: str) -> None:
        """Add all members of an uncompressed tar. GraphbuildError, naming `source`, for a bad one."""
        self._archives.add(stream, whiteouts=False, redirects=self._redirects, source=source)

    def file(self, path: bytes, content: bytes, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        """Add a file."""
        try:
            entry = Entry(self._place(path, exact=False), Kind.FILE, mode, uid, gid, len(content))
            self._tree.file(entry, iter([content] if content else []))
        except TarError as error:
            raise _blame(path, error) from None

    def directory(self, path: bytes, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
        """Add a directory, or give the one that is there these attributes."""
        try:
            self._tree.directory(Entry(self._place(path, exact=True), Kind.DIRECTORY, mode, uid, gid))
        except TarError as error:
            raise _blame(path, error) from None

    def symlink(self, path: bytes, target: bytes) -> None:
        """Add a symlink, which leads the parts after it. GraphbuildError if it leads above the root."""
        try:
            place = self._place(path, exact=False)
            self._tree.node(Entry(place, Kind.SYMLINK, 0o777, target=target))
            self._redirects[place] = _lead(place, target)
        except TarError as error:
            raise _blame(path, error) from None

    def finish(self) -> list[Entry]:
        """The sorted index of all parts; the folder is its folder form now."""
        try:
            return self._archives.finish("the parts")
        finally:
            self.close()

    def close(self) -> None:
        """Give up: what was written stays as it is."""
        if not self._closed:
            self._closed = True
            self._sink.__exit__(None, None, None)

    def _place(self, path: bytes, *, exact: bool) -> bytes:
        place = redirect(clean_path(path), self._redirects, exact=exact)
        if not place:
            raise TarError("a part that would replace the root")
        return place


def _lead(place: bytes, target: bytes) -> bytes:
    """Where a symlink leads, as a path from the root."""
    parts = [] if target.startswith(b"/") else place.split(b"/")[:-1]
    for part in target.split(b"/"):
        if part == b"..":
            if not parts:
                raise TarError("a symlink that leads above the root")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


def _blame(path: bytes, error: TarError) -> Exception:
    return mistake(f"/{path.decode(errors='backslashreplace')}: {error}")
