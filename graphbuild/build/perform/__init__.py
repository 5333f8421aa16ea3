"""How each kind of action is keyed and performed: `prepare(action, world) → Prepared`, one module a family of actions."""

from collections.abc import Iterable

from graphbuild.build.perform.prepared import Prepared
from graphbuild.build.world import World
from graphbuild.rules.actions import (
    Action,
    Assemble,
    Checkout,
    CommandTest,
    ConfigTest,
    Copy,
    ExportFiles,
    Fetch,
    FileTest,
    Flatten,
    Image,
    ImageIndex,
    ImportImage,
    ImportTar,
    Pull,
    Put,
    Run,
    Union,
    is_volatile,
)

__all__ = ["Prepared", "prepare", "reads_workspace", "warm_up"]


def prepare(action: Action, world: World) -> Prepared:  # noqa: C901, PLR0911 - one a family
    """The key fields of an action whose needs are done, and the work that a miss costs. GraphbuildError for bad inputs."""
    match action:
        case Run():
            from graphbuild.build.perform.run import prepare_run

            return prepare_run(action, world)
        case Copy():
            from graphbuild.build.perform.copy import prepare_copy

            return prepare_copy(action, world)
        case Put():
            from graphbuild.build.perform.put import prepare_put

            return prepare_put(action, world)
        case Fetch():
            from graphbuild.build.perform.fetch import prepare_fetch

            return prepare_fetch(action, world)
        case Checkout():
            from graphbuild.build.perform.checkout import prepare_checkout

            return prepare_checkout(action, world)
        case ImportTar() | ImportImage():
            from graphbuild.build.perform.imports import prepare_import

            return prepare_import(action, world)
        case Pull():
            from graphbuild.build.perform.pull import prepare_pull

            return prepare_pull(action, world)
        case Assemble() | Flatten() | Union():
            from graphbuild.build.perform.compose import prepare_compose

            return prepare_compose(action, world)
        case Image():
            from graphbuild.build.perform.image import prepare_image

            return prepare_image(action, world)
        case ImageIndex():
            from graphbuild.build.perform.index import prepare_index

            return prepare_index(action, world)
        case ExportFiles():
            from graphbuild.build.perform.files import prepare_files

            return prepare_files(action, world)
        case CommandTest() | FileTest() | ConfigTest():
            from graphbuild.build.perform.tests import prepare_test

            return prepare_test(action, world)


def reads_workspace(action: Action) -> bool:
    """Whether preparing it may take long: it scans or hashes files, or asks the network, so that a worker should do it."""
    match action:
        case Run():
            return bool(action.mounts)
        case CommandTest():
            return bool(action.run.mounts)
        case ConfigTest():
            return False
        case Fetch() | Checkout():
            return is_volatile(action)
        case Flatten():
            return False
        case _:
            return True


def warm_up(actions: Iterable[Action]) -> None:
    """Import what the last actions of a build take: they find it there if somebody has time before them."""
    if any(isinstance(action, Image) for action in actions):
        import graphbuild.build.perform.image  # noqa: F401
