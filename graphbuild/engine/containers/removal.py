"""Taking containers away, with the volumes that are nobody else's, and what they left in the kernel."""

import contextlib
from pathlib import Path

from graphbuild.engine.containers import groups
from graphbuild.engine.containers.shelf import Container, Shelf, failed, is_alive, locked
from graphbuild.store.store import Store
from graphbuild.store.trash import discard


def remove(shelf: Shelf, container: Container, *, volumes: bool) -> None:
    """Take away a container that does not run. GraphbuildError while it does; one that is gone already is fine."""
    with contextlib.suppress(FileNotFoundError), locked(container.folder):
        if is_alive(container.folder):
            raise failed(f"container {container.name} is running", "stop it before it is removed, or use rm -f")
        groups.remove(container.id)
        shelf.remove(container)
        if volumes:
            _remove_volumes(shelf, container)


def _remove_volumes(shelf: Shelf, container: Container) -> None:
    """The anonymous volumes that no other container has."""
    ours = {mount.source for mount in container.spec.mounts if mount.kind == "volume" and mount.anonymous}
    if ours:
        for name in ours - volumes_in_use(shelf):
            discard(shelf.store.root / "volumes" / name, shelf.store.root / "trash")


def volumes_in_use(shelf: Shelf) -> set[str]:
    return {mount.source for other in shelf.all() for mount in other.spec.mounts if mount.kind == "volume"}


def remove_own(container: Container, root: Path) -> None:
    """What the monitor of a `--rm` container does at its end: it holds `alive` itself."""
    store = Store(root)
    shelf = Shelf(store)
    with contextlib.suppress(FileNotFoundError), locked(container.folder):
        shelf.remove(container)
        _remove_volumes(shelf, container)
    store.sweep()
    store.close()
