"""The blast radius of a change of build.lock: which outputs become others, which layers with them, and what is pulled again.

Both graphs are evaluated and compared by content; nothing is built. So it is an estimate: a step may make the same of other inputs, and
what a layer will weigh is taken from the one that it replaces. Of an image of a registry the new layers are known, and weigh what they weigh.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from graphbuild.build.affected import action_prints, prints
from graphbuild.build.images import Images
from graphbuild.build.recorded import image_refs, last_record
from graphbuild.build.revisions import Tree
from graphbuild.graph.analyze import Graph
from graphbuild.layers.cancel import never
from graphbuild.layers.compression import codec_version
from graphbuild.rules.actions import Image, Pull
from graphbuild.rules.refs import Ref
from graphbuild.spec.workspace import Settings
from graphbuild.store.actions import LayerOutput
from graphbuild.store.store import Store
from graphbuild.values.errors import GraphbuildError
from graphbuild.values.label import Label


class Blast(msgspec.Struct, frozen=True):
    """`changed` are outputs, sorted, of `outputs` in all. Sizes are bytes, of the distinct layers of the images among them.

    `size` is that of the `sized` layers of which it is known, uncompressed. `compressed` counts a layer whole whose compressed size is not
    known: `packed` is the number of those where it is. `unknown`: layers of whose size nothing is known, for nothing was built that they replace.
    """

    changed: tuple[Label, ...]
    outputs: int
    layers: int = 0
    size: int = 0
    sized: int = 0
    compressed: int = 0
    packed: int = 0
    unknown: int = 0


class _Weight(msgspec.Struct, frozen=True):
    """A layer that is pulled again, or would be: bytes of its tar, and of that compressed; None where not known."""

    name: str
    size: int | None
    compressed: int | None = None


def blast(before: Graph | None, after: Graph, outputs: Sequence[Label], weigh: "Scales") -> Blast:
    """Compare. `before`: None where it cannot be known, then everything changes. `outputs`: those of the workspace that are locked now."""
    same = (Tree(Path(), {}), Settings())  # sources and settings are the same on both sides
    older, newer = (prints(before, *same) if before else {}), prints(after, *same)
    changed = sorted(label for label in outputs if newer[label] != older.get(label))
    actions = action_prints(before, *same) if before else {}
    now = action_prints(after, *same)
    layers: dict[Ref, str] = {}
    for image in image_refs(after, changed).values():
        action = after.nodes[image].action
        if isinstance(action, Image):
            layers |= {ref: action.compression for ref in action.layers if now[ref] != actions.get(ref)}
    weights = {weight.name: weight for ref, codec in layers.items() for weight in weigh(after, ref, codec)}.values()
    return Blast(
        tuple(changed),
        len(outputs),
        len(weights),
        sum(weight.size or 0 for weight in weights),
        sum(weight.size is not None for weight in weights),
        sum(weight.compressed or weight.size or 0 for weight in weights),
        sum(weight.compressed is not None for weight in weights),
        sum(weight.size is None and weight.compressed is None for weight in weights),
    )


class Scales:
    """What layers weigh, by what the store has of the last build. `images`: for those of registries, whose manifests are fetched."""

    def __init__(self, store: Store, workspace: str, images: Callable[[], Images], compression: str) -> None:
        self._store = store
        self._workspace = workspace
        self._images = images
        self._compression = compression

    def __call__(self, graph: Graph, ref: Ref, codec: str) -> Iterator[_Weight]:
        """The layers that an action is to make anew, in an image of that compression ("": the workspace's)."""
        action = graph.nodes[ref].action
        record = last_record(self._store, self._workspace, ref)
        old = record.outputs.layers if record else ()
        if isinstance(action, Pull) and (pulled := self._pulled(action, old)) is not None:
            yield from pulled
        elif record is None:
            yield _Weight(str(ref), None)
        else:
            yield from (self._weight(layer, codec or self._compression) for layer in old)

    def _weight(self, layer: LayerOutput, codec: str) -> _Weight:
        name, store = str(layer.tree), self._store
        if layer.packed is not None and (blob := store.blob(layer.packed)) is not None:
            return _Weight(name, self._content(layer), blob.stat().st_size)
        made = store.diff_id(layer.tree)
        if made is None:
            return _Weight(name, self._content(layer))
        known = store.compressed(made[0], codec_version(codec)) if codec != "none" else None
        return _Weight(name, made[1], known[1] if known else None)

    def _content(self, layer: LayerOutput) -> int:
        return sum(entry.size for entry in self._store.index(layer.tree))

    def _pulled(self, action: Pull, old: Sequence[LayerOutput]) -> list[_Weight] | None:
        """The layers of the new image that the old one has not; None where it cannot be asked about."""
        try:
            image = self._images().open(action.reference, action.digest, action.platform, never)
        except GraphbuildError:
            return None
        there = {layer.packed for layer in old}
        return [_Weight(str(layer.digest), None, layer.size) for layer in image.layers if layer.digest not in there]
