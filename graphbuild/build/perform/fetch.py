"""Performing `Fetch`. One with a digest is named by it. One without asks the server in every build, when it is prepared: its key is
what came, so what stands on it is built again exactly when that is something else.
"""

from graphbuild.build.keys import Field, Fields
from graphbuild.build.perform.answers import answered, remember
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.world import World
from graphbuild.network import Came, Validator, download, refresh
from graphbuild.network.seam import shown
from graphbuild.rules.actions import Fetch
from graphbuild.store.actions import Outputs
from graphbuild.values.digest import Digest, sha256
from graphbuild.values.errors import EXIT_FAILED, EXIT_INTERRUPTED, GraphbuildError, Problem

_LARGEST_DOWNLOAD = 64 << 30


def prepare_fetch(action: Fetch, world: World) -> Prepared:
    if action.sha256:
        fields = _fields(action.sha256)
        if not action.anywhere:
            fields = (*fields, Field("urls", [shown(url) for url in (action.url, *action.mirrors)]))
        return Prepared(fields, lambda task: _fetch(action, world, task))
    came = world.once(("fetch", action.url, *action.mirrors), lambda: _ask(action, world))
    return Prepared(_fields(came.digest.hex), lambda _task: Outputs((), blob=came.digest, size=came.size))


def _fields(digest: str) -> Fields:
    return (Field("action", "fetch"), Field("sha256", digest))


def _fetch(action: Fetch, world: World, task: Task) -> Outputs:
    digest = sha256(action.sha256)
    if (action.anywhere or _gave(action.url, digest, world)) and (path := world.store.blob(digest)) is not None:
        return Outputs((), blob=digest, size=path.stat().st_size)
    with world.store.blob_writer() as writer:
        task.progress(0, action.size, "bytes")
        urls = (action.url, *action.mirrors)
        limit = action.size or _LARGEST_DOWNLOAD
        found, size = download(
            world.network, urls, writer.fd, sha256=action.sha256, size=action.size, limit=limit, cancelled=world.cancelled
        )
        writer.commit(found, size)
    return Outputs((), blob=found, size=size)


def _ask(action: Fetch, world: World) -> Came:
    """What the first of the URLs that answers has now."""
    problems: list[Problem] = []
    for url in (action.url, *action.mirrors):
        try:
            return _latest(url, action.size or _LARGEST_DOWNLOAD, world)
        except GraphbuildError as error:
            if error.exit_code == EXIT_INTERRUPTED:
                raise
            problems += error.problems
    raise GraphbuildError(*problems, exit_code=EXIT_FAILED)


def _latest(url: str, limit: int, world: World) -> Came:
    """What a URL has now, in the store; under `--offline` what it had when it was asked last."""
    before = _before(url, world)
    if before is not None and world.settings.offline:
        return before
    with world.store.blob_writer() as writer:
        came = refresh(world.network, url, writer.fd, before, limit=limit, cancelled=world.cancelled)
        if came is before:
            return before
        writer.commit(came.digest, came.size)
    known = {"place": came.validator.place, "etag": came.validator.etag} if came.validator else {}
    remember(world.store, "fetch", (url,), Outputs((), blob=came.digest, size=came.size), known)
    return came


def _gave(url: str, digest: Digest, world: World) -> bool:
    before = _before(url, world)
    return before is not None and before.digest == digest


def _before(url: str, world: World) -> Came | None:
    known = answered(world.store, "fetch", (url,))
    if known is None or known[0].blob is None:
        return None
    outputs, said = known
    assert outputs.blob is not None
    return Came(outputs.blob, outputs.size, Validator(said["place"], said["etag"]) if said else None)
