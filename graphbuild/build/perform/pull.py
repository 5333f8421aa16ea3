"""Performing `Pull`: the manifest is the key, or the id of an image that the store keeps under that name; the layers come when some action wants the image's files, side by side.

A layer is kept as it came, compressed, and as a folder: what is pushed to a registry again is then what came from it, byte by byte, and
its tar is made when somebody wants that. Its digest and its diff_id are both checked before anything of it is used.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from graphbuild.build.images import Kept
from graphbuild.build.keys import Field
from graphbuild.build.perform.answers import answered, remember
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.world import World
from graphbuild.image.registry import RegistryFiles
from graphbuild.image.source import SourceImage, SourceLayer
from graphbuild.rules.actions import Pull
from graphbuild.store.actions import LayerOutput, Outputs
from graphbuild.store.images import StoredLayer
from graphbuild.values.config import Config, Past

_AT_ONCE = 4  # layers; registries take more connections ill


def prepare_pull(action: Pull, world: World) -> Prepared:
    if not action.digest and (kept := world.images().kept(action.reference, action.platform)):
        return Prepared((Field("action", "pull"), Field("image", str(kept.image.id))), lambda _task: _kept(kept))
    image = world.images().open(action.reference, action.digest, action.platform, world.cancelled)
    fields = (Field("action", "pull"), Field("manifest", str(image.digest)), Field("epoch", world.settings.epoch))
    return Prepared(fields, lambda task: _pull(image, world, task))


def _pull(image: SourceImage, world: World, task: Task) -> Outputs:
    assert isinstance(image.files, RegistryFiles)
    image.files.watch = _Meter(sum(layer.size for layer in image.layers), task)
    layers = {layer.diff_id: (number, layer) for number, layer in enumerate(image.layers)}
    with ThreadPoolExecutor(max(1, min(len(layers), world.settings.jobs, _AT_ONCE))) as pool:
        made = dict(zip(layers, pool.map(lambda pair: _layer(image, pair[0], pair[1], world), layers.values()), strict=True))
    return _outputs(image.config, [next(iter(made[layer.diff_id]), None) for layer in image.layers], image.history, image.layers)


def _kept(kept: Kept) -> Outputs:
    """An image of the store: all of it is there."""
    return _outputs(kept.config, [layer.output for layer in kept.image.layers], kept.history, kept.image.layers)


def _outputs(
    config: Config, outputs: list[LayerOutput | None], history: Sequence[Past], layers: Sequence[SourceLayer | StoredLayer]
) -> Outputs:
    """What an image brings. `outputs`: its layers, lowest first, None for one without files."""
    above = iter([output.tree if output else None for output in outputs])
    pasts = tuple((None if past.empty else next(above, None), past) for past in history)
    return Outputs(tuple(filter(None, outputs)), config=config, size=sum(layer.size for layer in layers), history=pasts)


class _Meter:
    """Adds up what several downloads say."""

    def __init__(self, total: int, task: Task) -> None:
        self._total = total
        self._task = task
        self._parts: dict[int, int] = {}
        self._lock = threading.Lock()

    def __call__(self, done: int, _total: int) -> None:
        with self._lock:
            self._parts[threading.get_ident()] = done
            self._task.progress(sum(self._parts.values()), self._total, "bytes")


def _layer(image: SourceImage, number: int, layer: SourceLayer, world: World) -> tuple[LayerOutput, ...]:
    """One layer in the store; () for an empty one. Another image's pull may have brought it."""
    question = (str(layer.digest), str(layer.diff_id), str(world.settings.epoch))
    known = answered(world.store, "layer", question)
    if known is not None:
        return known[0].layers
    with image.open_layer(number) as packed:
        tree = world.forms.adopt_packed(packed, layer.size, layer.diff_id, f"{image.source} layer {layer.digest.short}")
    made = (LayerOutput(tree, layer.diff_id, layer.digest, layer.codec),) if tree else ()
    remember(world.store, "layer", question, Outputs(made, size=layer.size), {})
    return made
