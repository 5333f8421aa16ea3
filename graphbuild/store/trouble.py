"""What the machine refuses while the store works, told as what it is: a full disk, a missing right, a damaged database."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graphbuild.values.errors import EXIT_MACHINE, GraphbuildError, Problem, is_full, lacking

_ROOM = 4 << 20  # bytes: a writer asks for 1 MiB at once
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


class DamagedDatabase(GraphbuildError):  # noqa: N818 - said of the database
    """The database cannot be believed. `what` is wrong with it; `verify.drop_database` heals it."""

    def __init__(self, root: Path, what: str) -> None:
        hint = "run `graphbuild cache verify --repair`; what it knew is built again"
        super().__init__(Problem(f"the database of the store {root} is damaged: {what}", None, hint), exit_code=EXIT_MACHINE)
        self.what = what


@contextmanager
def reported(root: Path) -> Iterator[None]:
    """Turn errors of the store's file system and database into a GraphbuildError that names the fix; others pass.

    Around code of others too: what failed with a file elsewhere passes.
    """
    try:
        yield
    except OSError as error:
        told = _told(error, root)
        if told is None:
            raise
        raise told from error
    except sqlite3.Error as error:
        raise _database(error, root) from error


def _told(error: OSError, root: Path) -> GraphbuildError | None:
    ours = error.filename is not None and _is_below(error.filename, root)
    if is_full(error) and (ours or (error.filename is None and _has_no_room(root))):
        return _full(root)
    if error.errno in _REFUSED and ours:
        return lacking(f"cannot write the store {root}: {error.strerror}", "use a store of your own: --store or GRAPHBUILD_STORE")
    if error.errno in (errno.ENOTDIR, errno.EISDIR) and ours:
        name = os.fsdecode(error.filename)
        return lacking(f"the store {root} is damaged: {name}: {error.strerror}", "remove that, or all of the store: it is built again")
    if error.errno == errno.EIO and ours:
        return lacking(
            f"the disk of the store {root} fails: {error.strerror}", "look at `dmesg`; then run `graphbuild cache verify --repair`"
        )
    return None


def _is_below(name: object, root: Path) -> bool:
    """Whether a path lies in the store, or the store in it: its folder may not be makeable."""
    if not isinstance(name, str | bytes | os.PathLike):
        return False
    path, root = Path(os.path.abspath(os.fsdecode(name))), Path(os.path.abspath(root))
    return path.is_relative_to(root) or root.is_relative_to(path)


def need_room(root: Path) -> None:
    """GraphbuildError where the disk of the store is as good as full."""
    if _has_no_room(root):
        raise _full(root)


def _has_no_room(root: Path) -> bool:
    """Whether a write that failed without a name may have been one to the store."""
    free = os.statvfs(root)
    return free.f_bavail * free.f_frsize < _ROOM or free.f_favail < 16


def _full(root: Path) -> GraphbuildError:
    return lacking(f"no space left for the store {root}", "free space there, run `graphbuild cache gc`, or use another disk: --store")


def _database(error: sqlite3.Error, root: Path) -> GraphbuildError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _has_no_room(root)):
        return _full(root)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DamagedDatabase(root, str(error))
    if (root / "db.sqlite").is_dir():
        return DamagedDatabase(root, "it is a folder")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return lacking(f"cannot write the store {root}: {error}", "use a store of your own: --store or GRAPHBUILD_STORE")
    return lacking(f"the database of the store {root} failed: {error}", "look whether another process holds it, and at `dmesg`")
