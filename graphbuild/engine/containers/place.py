"""A store as commands on containers use it: opened for a moment, closed before any process is started that lives on."""

import contextlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from graphbuild.engine.containers.shelf import Container, Shelf
from graphbuild.store.store import Store

if TYPE_CHECKING:
    from graphbuild.engine.library import Library
    from graphbuild.sandbox.namespace import Identity
    from graphbuild.store.forms import Forms


class Opened:
    """An opened store."""

    def __init__(self, store: Store, identity: "Identity | None") -> None:
        self.store = store
        self.shelf = Shelf(store)
        self._identity = identity

    @cached_property
    def forms(self) -> "Forms":
        from graphbuild.store.forms import Forms

        return Forms(self.store, 0, self._identity.ids if self._identity else "full")

    @cached_property
    def library(self) -> "Library":
        from graphbuild.engine.library import Library

        return Library(self.store, self.forms)


class Place:
    """Where containers are. `identity`: what entering the namespaces gave; None where a command only looks."""

    def __init__(self, root: Path, identity: "Identity | None" = None) -> None:
        self.root = root
        self._identity = identity

    @property
    def identity(self) -> "Identity":
        if self._identity is None:
            from graphbuild.sandbox.namespace import enter

            self._identity = enter()
        return self._identity

    def join(self, container: Container) -> None:
        """Be where a container is, if it runs: an ordinary user's other namespaces have no power over its processes. Single-threaded only."""
        import os

        state = container.look().state
        if os.geteuid() == 0 or state is None or not container.look().running:
            assert self.identity
            return
        from graphbuild.sandbox import kernel
        from graphbuild.sandbox.namespace import identity

        descriptor = container.pidfd()
        kernel.setns(descriptor, kernel.CLONE_NEWUSER)
        os.close(descriptor)
        kernel.unshare(kernel.CLONE_NEWNS)
        kernel.mount(b"none", b"/", b"", kernel.MS_REC | kernel.MS_SLAVE)
        self._identity = identity()

    @contextlib.contextmanager
    def open(self, *, only_look: bool = False) -> Iterator[Opened]:
        """The store for a moment; `only_look`: nothing in it is used, so no collection need be kept away."""
        store = Store(self.root)
        if only_look:
            yield Opened(store, self._identity)
            store.close()
            return
        try:
            with store.lease():
                yield Opened(store, self._identity)
        finally:
            store.close()
