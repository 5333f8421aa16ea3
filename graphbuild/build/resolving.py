"""The resolve phase: pin what targets ask for from outside. The only phase with network besides steps that ask for it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from graphbuild.build.lockfile import Change, Contexts, LockFile, Refresh
from graphbuild.build.perform.downloads import LARGEST_DOWNLOAD, latest
from graphbuild.graph.configure import Configured
from graphbuild.layers.cancel import never
from graphbuild.network import Network, download
from graphbuild.network.seam import shown
from graphbuild.rules.api import workspace_path
from graphbuild.store.store import Store
from graphbuild.values.errors import GraphbuildError, Problem, mistake
from graphbuild.values.label import Label
from graphbuild.values.platform import this_platform

if TYPE_CHECKING:
    from graphbuild.build.images import Images

_LARGEST = 2 << 30  # bytes of one index or package


class Resolving:
    """What `Rule.lock` is given: fetches through the seam, bodies kept in the store where their digest is known."""

    def __init__(
        self,
        target: Configured,
        root: Path,
        store: Store,
        network: Network,
        images: Callable[[], "Images"],
        report: Callable[[str], None],
        *,
        offline: bool = False,
        locked: Any = None,
        refresh: tuple[str, ...] = (),
    ) -> None:
        self.label: Label = target.label
        self.platform = target.platform
        self.build_platform = this_platform()
        self.locked = locked
        self.refresh = refresh
        self._offline = offline
        self._place = target.place
        self._root = root
        self._store = store
        self._network = network
        self._images = images
        self._report = report

    def fetch(self, url: str, *, sha256: str = "", size: int = 0) -> bytes:
        return self.fetch_file(url, sha256=sha256, size=size).read_bytes()

    def fetch_file(self, url: str, *, sha256: str = "", size: int = 0) -> Path:
        from graphbuild.values.digest import sha256 as sha256_digest

        if sha256 and (known := self._store.blob(sha256_digest(sha256))) is not None:
            return known
        with self._store.blob_writer() as writer:
            digest, found = download(self._network, (url,), writer.fd, sha256=sha256, size=size, limit=size or _LARGEST)
            return writer.commit(digest, found)

    def pin_image(self, reference: str) -> str:
        with self._placed():
            return str(self._images().pin(reference, never))

    def pin_url(self, url: str) -> str:
        with self._placed():
            if shown(url) != url:
                raise mistake(f"{shown(url)} takes a user or a password, which is not written into build.lock")
            return str(latest(url, LARGEST_DOWNLOAD, self._store, self._network, offline=self._offline, cancelled=never).digest)

    @contextlib.contextmanager
    def _placed(self) -> Iterator[None]:
        """Errors that stand nowhere stand at the target."""
        try:
            yield
        except GraphbuildError as error:
            problems = (msgspec.structs.replace(problem, place=problem.place or self._place) for problem in error.problems)
            raise GraphbuildError(*problems, exit_code=error.exit_code) from None

    def read(self, path: str) -> bytes:
        try:
            place = self._root / workspace_path(path, self.label.package)
            return place.read_bytes()
        except ValueError as error:
            raise mistake(str(error), self._place) from None
        except OSError as error:
            raise mistake(f"cannot read {path}: {error.strerror}", self._place) from None

    def report(self, text: str) -> None:
        self._report(f"{self.label}: {text}")


def resolve(
    configured: Mapping[Label, Configured],
    lock: LockFile,
    context: Contexts,
    *,
    refresh: Refresh = Refresh(),  # noqa: B008 - frozen
    locked: bool = False,
) -> list[Change]:
    """Lock what is not locked yet, and what is to be found again. Returns what is new; nothing is saved.

    With `locked`, what is missing is an error instead.
    """
    wanting = [target for target in configured.values() if target.rule.lock or target.rule.pins]
    if locked:
        missing = [target for target in wanting if lock.missing(target, context)]
        if missing:
            problems = (Problem(f"build.lock has nothing for {target.label}", target.place, "run `graphbuild lock`") for target in missing)
            raise GraphbuildError(*problems)
    return lock.resolve(wanting, context, refresh)
