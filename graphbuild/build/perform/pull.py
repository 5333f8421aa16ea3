"""Performing `Pull`: the manifest is the key; the layers come when some action wants the image's files, side by side.

A layer is kept as it came, compressed, and as a folder: what is pushed to a registry again is then what came from it, byte by byte, and
its tar is made when somebody wants that. Its digest and its diff_id are both checked before anything of it is used.
"""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

from graphbuild.build.keys import Field
from graphbuild.build.perform.answers import answered, remember
from graphbuild.build.perform.prepared import Prepared, Task
from graphbuild.build.world import World
from graphbuild.image.registry import RegistryFiles
from graphbuild.image.source import SourceImage, SourceLayer
from graphbuild.layers.cancel import Cancellable, Readable
from graphbuild.layers.compression import open_stream
from graphbuild.layers.tar_read import unpack
from graphbuild.rules.actions import Pull
from graphbuild.store.actions import LayerOutput, Outputs
from graphbuild.values.digest import sha256
from graphbuild.values.entry import encode_index
from graphbuild.values.errors import mistake

_AT_ONCE = 4  # layers; registries take more connections ill
_CHUNK = 1 << 20
_RATIO, _SMALLEST_BOUND = 200, 1 << 30  # layers compress to 1/2 … 1/20; a bomb to 1/1000 and less


def prepare_pull(action: Pull, world: World) -> Prepared:
    image = world.images().open(action.reference, action.digest, action.platform, world.cancelled)
    fields = (Field("action", "pull"), Field("manifest", str(image.digest)), Field("epoch", world.settings.epoch))
    return Prepared(fields, lambda task: _pull(image, world, task))


def _pull(image: SourceImage, world: World, task: Task) -> Outputs:
    assert isinstance(image.files, RegistryFiles)
    image.files.watch = _Meter(sum(layer.size for layer in image.layers), task)
    layers = {layer.diff_id: (number, layer) for number, layer in enumerate(image.layers)}
    with ThreadPoolExecutor(max(1, min(len(layers), world.settings.jobs, _AT_ONCE))) as pool:
        made = dict(zip(layers, pool.map(lambda pair: _layer(image, pair[0], pair[1], world), layers.values()), strict=True))
    outputs = tuple(output for layer in image.layers for output in made[layer.diff_id])
    above = iter([next((output.tree for output in made[layer.diff_id]), None) for layer in image.layers])
    history = tuple((None if past.empty else next(above, None), past) for past in image.history)
    return Outputs(outputs, config=image.config, size=sum(layer.size for layer in image.layers), history=history)


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
    settings = world.settings
    name = f"{image.source} layer {layer.digest.short}"
    with image.open_layer(number) as packed, world.store.scratch() as scratch:
        folder = scratch / "folder"
        folder.mkdir(mode=0o755)
        hashed = _Hashed(open_stream(Cancellable(packed, world.cancelled)), max(_SMALLEST_BOUND, layer.size * _RATIO), name)
        entries = unpack(hashed, folder, epoch=settings.epoch, whiteouts=True, ids=settings.ids, source=name)
        found = hashed.finish()
        if found != layer.diff_id.hex:
            raise mistake(f"{name} unpacks to {sha256(found)}, its config says {layer.diff_id}", hint="the image is damaged")
        tree = world.store.put_layer(encode_index(entries, settings.epoch), folder=folder) if entries else None
    codec = layer.media_type.rpartition(".tar")[2].lstrip("+.")
    made = (LayerOutput(tree, layer.diff_id, layer.digest, codec or "none"),) if tree else ()
    remember(world.store, "layer", question, Outputs(made, size=layer.size), {})
    return made


class _Hashed:
    """A stream that is hashed as it is read, and not longer than `bound` bytes."""

    def __init__(self, stream: Readable, bound: int, name: str) -> None:
        self._stream = stream
        self._state = hashlib.sha256()
        self._left = bound
        self._name = name

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise mistake(f"{self._name} unpacks to more than {_RATIO} times its size", hint="the image is a bomb")
        self._state.update(data)
        return data

    def finish(self) -> str:
        """The hash of all of it, what follows the archive's end included."""
        while self.read(_CHUNK):
            pass
        return self._state.hexdigest()
