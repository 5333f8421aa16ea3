"""Having the disk work while we do: what it was given long before a sync need not be waited for then."""

import functools
from collections.abc import Callable

_WRITE = 2  # SYNC_FILE_RANGE_WRITE: start writing what is dirty, wait for nothing


def start_writing_out(fd: int) -> None:
    """Ask the kernel to begin with a file's dirty pages (sync_file_range(2)). A hint: where it cannot be had, nothing happens."""
    if call := _sync_file_range():
        call(fd, 0, 0, _WRITE)


@functools.cache
def _sync_file_range() -> Callable[[int, int, int, int], object] | None:
    import ctypes

    libc = ctypes.CDLL(None)
    if not hasattr(libc, "sync_file_range"):
        return None
    libc.sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    call: Callable[[int, int, int, int], object] = libc.sync_file_range
    return call
