"""Performing `Fetch`. One with a digest is named by it. One without asks the server in every build, when it is prepared: its key is
what came, so what stands on it is built again exactly when that is something else.
"""

from graphbuild.build.keys import Field, Fields
from graphbuild.build.perform.downloads import LARGEST_DOWNLOAD, gave, latest
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.world import World
from graphbuild.network import Came, download
from graphbuild.network.seam import shown
from graphbuild.rules.actions import Fetch
from graphbuild.store.actions import Outputs
from graphbuild.values.digest import sha256
from graphbuild.values.errors import EXIT_FAILED, EXIT_INTERRUPTED, GraphbuildError, Problem


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
    if (action.anywhere or gave(action.url, digest, world.store)) and (path := world.store.blob(digest)) is not None:
        return Outputs((), blob=digest, size=path.stat().st_size)
    with world.store.blob_writer() as writer:
        task.progress(0, action.size, "bytes")
        urls = (action.url, *action.mirrors)
        limit = action.size or LARGEST_DOWNLOAD
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
            return latest(
                url, action.size or LARGEST_DOWNLOAD, world.store, world.network, offline=world.settings.offline, cancelled=world.cancelled
            )
        except GraphbuildError as error:
            if error.exit_code == EXIT_INTERRUPTED:
                raise
            problems += error.problems
    raise GraphbuildError(*problems, exit_code=EXIT_FAILED)
