"""Files that a build writes for others at its end: whole or not at all."""

import os


def writable(path: str) -> bool:
    """Whether `replace` can write there, as far as that can be told before."""
    if _special(path):
        return not os.path.isdir(path) and os.access(path, os.W_OK)
    return bool(path) and "\0" not in path and os.access(os.path.dirname(path) or ".", os.W_OK | os.X_OK)


def replace(path: str, data: bytes) -> None:
    """Write beside `path` and rename, so that no reader sees half of it. OSError where that cannot be done."""
    special = _special(path)
    scratch = path if special else f"{path}.{os.getpid()}.tmp"
    try:
        with open(scratch, "wb") as file:
            file.write(data)
        if not special:
            os.replace(scratch, path)
    except OSError:
        if not special and os.path.exists(scratch):
            os.unlink(scratch)
        raise


def _special(path: str) -> bool:
    """Something like /dev/stdout or a fifo, which is written as it is; a file is replaced by a new one."""
    return "\0" not in path and os.path.exists(path) and not os.path.isfile(path)
