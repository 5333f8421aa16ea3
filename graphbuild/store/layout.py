"""Where things lie in a store, and how a store is opened, created or refused.

Invariants: a folder that holds anything else is never made a store; `VERSION` is written last, so a store that has one is
complete. The store's root is 0700: what steps wrote is nobody else's business. Knows names, not what they hold.
"""

import os
import time
from pathlib import Path

from graphbuild.values.errors import mistake

VERSION = "1"
FOLDERS = (
    "blobs",
    "blobs/sha256",
    "layers",
    "index",
    "logs",
    "log",
    "tmp",
    "trash",
    "caches",
    "certificates",
    "leases",
    "failed",
    "exports",
    "containers",
    "volumes",
)
_FILES = ("VERSION", "gc.lock", "locks", "db.sqlite", "db.sqlite-journal", "db.sqlite-wal", "db.sqlite-shm")


def open_root(root: Path) -> Path:
    """The store's absolute root, created where there was nothing. GraphbuildError for what is no store of ours and this user's."""
    root = Path(os.path.abspath(root))
    try:
        version = (root / "VERSION").read_text("utf-8").strip()
    except FileNotFoundError:
        _create(root)
        version = VERSION
    except NotADirectoryError:
        raise mistake(f"{root} is not a folder", hint="name another folder with --store or GRAPHBUILD_STORE") from None
    except (UnicodeDecodeError, IsADirectoryError):
        version = "of unknown kind"
    if os.stat(root).st_uid != os.geteuid():  # as the namespaces number them: nothing to show to people
        raise mistake(f"the store {root} belongs to another user", hint="use a store of your own: --store or GRAPHBUILD_STORE")
    if version != VERSION:
        hint = "remove it, or name another folder with --store or GRAPHBUILD_STORE"
        raise mistake(f"the store {root} is of version {version[:20]}, this graphbuild reads {VERSION}", hint=hint)
    _make_folders(root)  # somebody may have deleted one
    return root


def _create(root: Path) -> None:
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, FileNotFoundError, NotADirectoryError) as error:
        hint = "name another folder with --store or GRAPHBUILD_STORE"
        raise mistake(f"cannot make the store {root}: {error.strerror}", hint=hint) from None
    known = {*_FILES, *FOLDERS}
    strange = sorted(name for name in os.listdir(root) if name not in known and not name.startswith("VERSION."))
    if strange:
        hint = "name an empty or new folder with --store or GRAPHBUILD_STORE"
        raise mistake(f"{root} is no store: it holds {strange[0]!r}", hint=hint)
    if os.stat(root).st_uid == os.geteuid():
        os.chmod(root, 0o700)
    _make_folders(root)
    temporary = root / f"VERSION.{unique_name()}"
    temporary.write_text(VERSION + "\n")
    temporary.rename(root / "VERSION")


def _make_folders(root: Path) -> None:
    for name in FOLDERS:
        try:
            os.mkdir(root / name, 0o700)
        except FileExistsError:
            if not os.path.isdir(root / name):
                raise mistake(f"the store {root} is damaged: {name} is not a folder", hint="remove it: it is made again") from None


def unique_name() -> str:
    """A name that nobody else uses: it never reaches a key or an output."""
    return f"{os.getpid():x}-{time.monotonic_ns():x}-{os.urandom(4).hex()}"
