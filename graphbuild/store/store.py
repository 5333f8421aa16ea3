"""The store: what every part of a build keeps and finds again. One object a process; threads and processes may share it.

This is the surface; what lies behind each method is in the module of its noun. Every method may raise GraphbuildError for
what the machine refuses (a full disk, missing rights, a damaged database).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from graphbuild.layers.cancel import never
from graphbuild.store.actions import Actions, LastRun, Record
from graphbuild.store.blobs import Blobs, BlobWriter
from graphbuild.store.containers import Containers
from graphbuild.store.database import Database, boot_id
from graphbuild.store.failed import Failed
from graphbuild.store.gate import Gate
from graphbuild.store.images import Images
from graphbuild.store.layers import Layers
from graphbuild.store.layout import open_root
from graphbuild.store.locks import key_lock
from graphbuild.store.logs import log_path, log_writer
from graphbuild.store.scratch import scratch_folder, sweep
from graphbuild.store.trouble import reported
from graphbuild.values.digest import Digest
from graphbuild.values.entry import Entry

if TYPE_CHECKING:
    from graphbuild.store.gc import GcReport
    from graphbuild.store.stats import Stats
    from graphbuild.store.verify import Damage


class Store:
    """A store on disk. Opening makes one where nothing is; GraphbuildError for what is no store of this user and version."""

    def __init__(self, root: Path, *, boot: str = "") -> None:
        """`boot` names this boot of the machine; the kernel's id if not given."""
        with reported(root):
            self.root = open_root(root)
            self._gate = Gate(self.root)
            self._database = _open_database(self.root, boot or boot_id(), self._gate)
        self._blobs = Blobs(self.root, self._database, self._gate)
        self._layers = Layers(self.root, self._database, self._gate)
        self._actions = Actions(self.root, self._database, self._gate, self._layers, self._blobs)
        self.images = Images(self.root, self._database, self._gate)
        self.containers = Containers(self.root, self._database, self._gate)
        self._failed = Failed(self.root, self._database, self._gate)

    @property
    def generation(self) -> Path:
        """A file that changes whenever something is taken out of the store: what a certificate of an unchanged build watches."""
        return self.root / "generation"

    def close(self) -> None:
        """Write down what was used and let go of the files. What was not synced is still valid until the machine restarts."""
        self._actions.flush()
        self._database.close()
        self._gate.close()

    def sync(self) -> None:
        """Make all that exists now survive a power cut: one syncfs(2). Call it once, at the end of a build."""
        self._actions.flush()
        with reported(self.root):
            self._database.sync()

    def blob(self, digest: Digest) -> Path | None:
        """The file of a blob, never to be changed, or None."""
        return self._blobs.find(digest)

    def blob_writer(self) -> AbstractContextManager[BlobWriter]:
        """A file to write a blob to (`.fd`); `.commit(digest, size)` makes it one, else it is gone in the end."""
        return self._blobs.writer()

    def put_blob(self, data: bytes) -> Digest:
        """Store bytes; returns their sha256."""
        return self._blobs.put(data)

    def adopt_blob(self, path: Path, digest: Digest, size: int) -> Path:
        """Make a finished file in the store's scratch a blob, by a rename. The digest is believed, the size (bytes) checked."""
        return self._blobs.adopt(path, digest, size)

    def put_layer(self, encoded_index: bytes, *, folder: Path | None, entries: list[Entry] | None = None) -> Digest:
        """Store a layer's index, and its folder form (on the store's file system) by a rename; returns the tree digest.

        `entries`: what the index holds, sorted, where the caller has it: who asks for the index is then given that.
        """
        return self._layers.put(encoded_index, folder, entries)

    def has_layer(self, tree: Digest) -> bool:
        """Whether a layer is there in at least one form."""
        return self._layers.has(tree)

    def index(self, tree: Digest) -> list[Entry]:
        """A layer's entries, sorted by path; shared, so not to be changed. KeyError for an unknown one."""
        return self._layers.index(tree)

    def folder(self, tree: Digest) -> Path | None:
        """A layer's folder form, never to be changed, or None."""
        return self._layers.folder(tree)

    def set_folder(self, tree: Digest, folder: Path) -> Path:
        """Rename a finished folder form in; returns where it is now. If there is one, that stays and `folder` goes."""
        return self._layers.set_folder(tree, folder)

    def diff_id(self, tree: Digest) -> tuple[Digest, int] | None:
        """Digest and size (bytes) of a layer's tar, if it was ever written; the blob need not exist."""
        return self._layers.diff_id(tree)

    def set_diff_id(self, tree: Digest, diff_id: Digest, size: int) -> None:
        self._layers.set_diff_id(tree, diff_id, size)

    def compressed(self, diff_id: Digest, codec_key: str) -> tuple[Digest, int] | None:
        """Digest and size (bytes) of a tar's compressed form; the blob need not exist. `codec_key`: codec, version, machine."""
        return self._layers.compressed(diff_id, codec_key)

    def set_compressed(self, diff_id: Digest, codec_key: str, digest: Digest, size: int) -> None:
        self._layers.set_compressed(diff_id, codec_key, digest, size)

    def lookup(self, key: Digest) -> Record | None:
        """What is recorded under an action key, if all that it names exists."""
        return self._actions.lookup(key)

    def record(self, key: Digest, record: Record) -> None:
        """Remember an action's result. What it names is in the store already."""
        self._actions.record(key, record)

    def last(self, workspace: str, target: str) -> LastRun | None:
        """How an action ("//a:b#run") of a workspace (its root's path) went last."""
        return self._actions.last(workspace, target)

    def set_last(self, workspace: str, target: str, last: LastRun) -> None:
        self._actions.set_lasts(workspace, ((target, last),))

    def set_lasts(self, workspace: str, lasts: Iterable[tuple[str, LastRun]]) -> None:
        """`set_last` of many, in one transaction."""
        self._actions.set_lasts(workspace, lasts)

    def lock(self, key: Digest, cancelled: Callable[[], bool], waiting: Callable[[], None]) -> AbstractContextManager[None]:
        """Exclusive between threads and processes, gone with its process. `waiting` is called once if somebody has it;
        Cancelled if `cancelled` says so while waiting.
        """
        return key_lock(self.root / "locks", key, cancelled, waiting)

    @contextmanager
    def lease(self) -> Iterator[None]:
        """While it lasts, no collection removes what this process looks up or puts here. Around every build and command."""
        with reported(self.root), self._gate.lease():
            try:
                yield
            finally:
                self._actions.flush()

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty folder on the store's file system; what is left in it goes to the trash by a rename."""
        with reported(self.root), scratch_folder(self.root) as path, reported(self.root):
            yield path

    def sweep(self) -> int:
        """Delete the trash and what dead processes left; how many things could not be deleted. At the end of a build."""
        with reported(self.root):
            return sweep(self.root)

    @contextmanager
    def cache_folder(self, id_: str, sharing: str, cancelled: Callable[[], bool] = never) -> Iterator[Path]:
        """The folder of a cache mount while it is used: "shared", "locked" (one at a time) or "private"."""
        from graphbuild.store.caches import cache_folder

        with cache_folder(self.root, id_, sharing, cancelled) as folder:
            yield folder

    def keep_failed(self, workspace: str, target: str, folder: Path, info: bytes) -> Path:
        """Keep what a failed step left, by a rename, in place of the target's older one; returns where it is now."""
        return self._failed.keep(workspace, target, folder, info)

    def failed(self, workspace: str, target: str) -> tuple[Path, bytes] | None:
        """What the target's last failed step left, and the `info` given with it."""
        return self._failed.find(workspace, target)

    def log_writer(self, key: Digest) -> AbstractContextManager[BinaryIO]:
        """A binary file that is the key's log when the context ends, also by an exception."""
        return log_writer(self.root, self._gate, key)

    def log(self, key: Digest) -> Path | None:
        return log_path(self.root, key)

    def gc(self, max_size: int | None, keep: float | None, *, dry_run: bool = False) -> "GcReport":
        """Remove what nothing needs, then the least recently used until `max_size` bytes are left and all of it was used
        within `keep` seconds. What running builds use stays.
        """
        from graphbuild.store.gc import collect

        self._actions.flush()
        if not dry_run:
            self.generation.touch()
        return collect(self.root, self._database, self._gate, max_size, keep, dry_run=dry_run)

    def verify(self, progress: Callable[[int, int], None], *, repair: bool = False) -> Iterator["Damage"]:
        """Check every byte and row; what differs, as it is found. `repair` drops it, so that it is built again."""
        from graphbuild.store.verify import verify

        if repair:
            self.generation.touch()
        return verify(self.root, self._database, self._gate, progress, repair=repair)

    def stats(self) -> "Stats":
        """What is in the store, in numbers."""
        from graphbuild.store.stats import take_stats

        self._actions.flush()
        return take_stats(self.root, self._database, self._gate)


def _open_database(root: Path, boot: str, gate: Gate) -> Database:
    """The database, made by the first process that comes while the others wait."""
    database = Database(root / "db.sqlite", boot, gate.mutex)
    if not database.complete:
        with gate.closed():  # its file is made once, whoever comes first; VERSION may be renamed over
            if not database.complete:
                database.create()
    return database
