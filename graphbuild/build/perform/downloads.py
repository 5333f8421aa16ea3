"""What a URL has now: asked for by builds that no digest pins, and when build.lock is written. What came stays in the store, and is sent once."""

from collections.abc import Callable

from graphbuild.build.perform.answers import answered, remember
from graphbuild.network import Came, Network, Validator, refresh
from graphbuild.store.actions import Outputs
from graphbuild.store.store import Store
from graphbuild.values.digest import Digest

LARGEST_DOWNLOAD = 64 << 30  # bytes, where nobody says how many


def latest(url: str, limit: int, store: Store, network: Network, *, offline: bool, cancelled: Callable[[], bool]) -> Came:
    """What a URL has now, in the store; `offline` what it had when it was asked last. GraphbuildError where it cannot be had."""
    before = _before(url, store)
    if before is not None and offline:
        return before
    with store.blob_writer() as writer:
        came = refresh(network, url, writer.fd, before, limit=limit, cancelled=cancelled)
        if came is before:
            return before
        writer.commit(came.digest, came.size)
    known = {"place": came.validator.place, "etag": came.validator.etag} if came.validator else {}
    remember(store, "fetch", (url,), Outputs((), blob=came.digest, size=came.size), known)
    return came


def gave(url: str, digest: Digest, store: Store) -> bool:
    """Whether that is what a URL had when it was asked last, and the store has it."""
    before = _before(url, store)
    return before is not None and before.digest == digest


def _before(url: str, store: Store) -> Came | None:
    known = answered(store, "fetch", (url,))
    if known is None or known[0].blob is None:
        return None
    outputs, said = known
    assert outputs.blob is not None
    return Came(outputs.blob, outputs.size, Validator(said["place"], said["etag"]) if said else None)
