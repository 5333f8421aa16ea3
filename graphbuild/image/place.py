"""Putting a finished file or folder in its place at once: whoever looks sees the old one or the new one, never a half.

Invariants: everything is written beside its destination under a hidden name, synced, and renamed; an error or a kill
leaves the destination as it was. What a killed process left beside it is removed by the next one: such leftovers are
told by their lock, which dies with its owner. Knows nothing of images.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from graphbuild.layers.writeback import start_writing_out
from graphbuild.values.errors import EXIT_FAILED, GraphbuildError, Problem, is_full, lacking, mistake

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_MARK = ".graphbuild-"
_PIECE = 32 << 20  # bytes that are copied before the disk is told to begin with them: it must have them all when we are done


@contextlib.contextmanager
def writing(destination: Path) -> Iterator[None]:
    """Say what an OSError or EOFError means: a GraphbuildError that names the destination.

    Its exit code is 36 where the disk is full or may not be written to, 2 where something else is in the way, and 1 otherwise.
    """
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise mistake(f"cannot write {destination}: {error.strerror}", hint="remove what is there, or choose another path") from error
    except (OSError, EOFError) as error:
        if isinstance(error, OSError) and is_full(error):
            raise lacking(f"no space left to write {destination}", "free space there, or write to another disk: -o DIR") from error
        reason = error.strerror if isinstance(error, OSError) else str(error)
        if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise lacking(f"cannot write {destination}: {reason}", "write somewhere else: -o DIR") from error
        raise GraphbuildError(Problem(f"cannot write {destination}: {reason}"), exit_code=EXIT_FAILED) from error


@contextlib.contextmanager
def place_file(destination: Path) -> Iterator[int]:
    """A descriptor of a new file that takes the place of `destination` when the block ends without an error."""
    destination = _resolved(destination)
    temporary = _temporary(destination)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
        os.fsync(fd)
        temporary.replace(destination)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    _sync_folder(destination.parent)


@contextlib.contextmanager
def place_folder(destination: Path) -> Iterator[Path]:
    """A new, empty folder that takes the place of `destination`, a folder or nothing, when the block ends without an error.

    The caller syncs the files that it puts there.
    """
    destination = _resolved(destination)
    temporary = _temporary(destination)
    temporary.mkdir()
    lock = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield temporary
        for folder, _, _ in os.walk(temporary):
            _sync_folder(Path(folder))
        _swap(temporary, destination)
        _sync_folder(destination.parent)
    finally:
        _rmtree(temporary, ignore_errors=True)  # the half-written new one, or the old one
        os.close(lock)


def copy_range(source: Path, destination_fd: int, size: int) -> None:
    """Append the first `size` bytes of a file, inside the kernel: shared where the file system can share. OSError; EOFError for a shorter file."""
    source_fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        left = size
        copy = _copy_file_range
        while left:
            try:
                count = copy(source_fd, destination_fd, left)
            except OSError as error:
                if copy is _sendfile or error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM):
                    raise
                copy = _sendfile
                continue
            if count == 0:
                raise EOFError(f"{source} has {size - left} bytes, not {size}")
            left -= count
            start_writing_out(destination_fd)
    finally:
        os.close(source_fd)


def _copy_file_range(source_fd: int, destination_fd: int, size: int) -> int:
    return os.copy_file_range(source_fd, destination_fd, min(size, _PIECE))


def _sendfile(source_fd: int, destination_fd: int, size: int) -> int:
    # From the source's own offset, which copy_file_range has moved too: the two can take turns.
    return os.sendfile(destination_fd, source_fd, None, min(size, _PIECE))


def _resolved(destination: Path) -> Path:
    """A symlink to the destination is followed, as by every program that opens it."""
    destination = Path(os.path.realpath(destination))
    destination.parent.mkdir(parents=True, exist_ok=True)
    return destination


def _temporary(destination: Path) -> Path:
    prefix = f".{destination.name}{_MARK}"
    for name in os.listdir(destination.parent):
        if name.startswith(prefix):
            _remove_leftover(destination.parent / name)
    return destination.parent / f"{prefix}{os.urandom(4).hex()}"


def _remove_leftover(path: Path) -> None:
    """Remove what no living process has locked. Whatever goes wrong, it is another's and stays."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _rmtree(path) if path.is_dir() else path.unlink()
        finally:
            os.close(fd)


def _rmtree(path: Path, *, ignore_errors: bool = False) -> None:
    import shutil  # 2 ms that most builds need not wait for

    shutil.rmtree(path, ignore_errors=ignore_errors)


def _swap(new: Path, destination: Path) -> None:
    """`new` at `destination`; what was there at `new`."""
    with contextlib.suppress(OSError):
        new.rename(destination)  # nothing there, or an empty folder
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(destination), _RENAME_EXCHANGE) == 0:
        return
    if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):  # file systems that cannot exchange say EINVAL
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(destination))
    aside = new.with_name(f"{new.name}.old")
    destination.rename(aside)
    new.rename(destination)
    aside.rename(new)


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
