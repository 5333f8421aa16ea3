"""The images that the store has of a graph's outputs: of the present inputs, else what the last build of this workspace made."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from graphbuild.build.forecast import forecast
from graphbuild.build.keys import decode_fields
from graphbuild.build.world import World
from graphbuild.graph.analyze import Graph
from graphbuild.rules.actions import Image
from graphbuild.rules.api import ImageProvider, IndexProvider
from graphbuild.rules.refs import Ref
from graphbuild.store.actions import Outputs, Record
from graphbuild.store.store import Store
from graphbuild.values.digest import Digest
from graphbuild.values.label import Label


class RecordedImage(msgspec.Struct, frozen=True):
    """An image as it was built. `current`: from the present inputs. `makers`: the target that made each layer, by tree, as far as known."""

    label: Label
    tags: tuple[str, ...]
    outputs: Outputs
    current: bool
    makers: Mapping[Digest, str]


def image_refs(graph: Graph, labels: Iterable[Label]) -> dict[Label, Ref]:
    """The actions that make the images of targets, by the labels of the images: of an index, those of all its platforms."""
    found: dict[Label, Ref] = {}
    for label in labels:
        image, index = graph.targets[label].get(ImageProvider), graph.targets[label].get(IndexProvider)
        found |= {ref.label: ref for _, ref in index.images} if index else {label: image.image} if image else {}
    return found


def recorded(graph: Graph, world: World, workspace: str, labels: Sequence[Label]) -> tuple[list[RecordedImage], list[Label]]:
    """The images of the labels that the store has, in their order; and the labels of those that it has not."""
    fates = {found.node.ref: found.fate for found in forecast(graph, world, workspace)}
    images: list[RecordedImage] = []
    missing: list[Label] = []
    for label, ref in image_refs(graph, labels).items():
        action = graph.nodes[ref].action
        assert isinstance(action, Image)
        if fates[ref] == "cached":
            makers = {output.tree: str(maker.label) for output, maker in world.made(action.layers)}
            images.append(RecordedImage(label, action.tags, world.results[ref], current=True, makers=makers))
            continue
        last = last_image(world.store, workspace, ref, action.layers)
        if last is None:
            missing.append(label)
        else:
            images.append(RecordedImage(label, action.tags, last[0], current=False, makers=last[1]))
    return images, missing


def last_image(store: Store, workspace: str, ref: Ref, layers: Sequence[Ref] = ()) -> tuple[Outputs, dict[Digest, str]] | None:
    """What the last build that made an image has in the store, and who made its layers. `layers`: the actions that are to make them now."""
    record = last_record(store, workspace, ref)
    if record is None:
        return None
    said = next((field.names for field in decode_fields(record.fields) if field.name == "layers"), ())
    makers = {output.tree: text for output, text in zip(record.outputs.layers, said, strict=False)}
    for layer in layers:
        made = last_record(store, workspace, layer)
        for output in made.outputs.layers if made else ():
            if output.tree in makers:
                makers[output.tree] = str(layer.label)
    return record.outputs, makers


def last_record(store: Store, workspace: str, ref: Ref) -> Record | None:
    """The result of an action's last run, as far as the store still has it; None also where it failed."""
    last = store.last(workspace, str(ref))
    return store.lookup(last.key) if last is not None and last.status != "failed" else None
