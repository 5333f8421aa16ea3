"""What images hold: layer by layer, with what is shipped and never seen; where a file comes from; whether all of it is intact."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from graphbuild.engine.library import Library
from graphbuild.engine.packages import owner
from graphbuild.image.model import History, ImageConfig, RootFs, decode
from graphbuild.layers.stack import Layer, Stack
from graphbuild.layers.tar_read import read_index
from graphbuild.store.images import StoredImage, StoredLayer
from graphbuild.store.verify import check_folder
from graphbuild.values.digest import Digest, sha256
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import GraphbuildError, mistake


class Step(msgspec.Struct, frozen=True):
    """An entry of an image's history, with the layer that it made; none where it only changed the config."""

    history: History
    layer: StoredLayer | None


class ShippedFile(msgspec.Struct, frozen=True):
    """A file of a layer. `hidden`: "" where the image shows it, else "replaced" or "deleted" by a layer above."""

    path: bytes
    size: int
    hidden: str


class LayerContents(msgspec.Struct, frozen=True):
    """A layer's files, the biggest first. `entries` counts all that its index lists; sizes are in bytes."""

    step: Step
    files: tuple[ShippedFile, ...]
    entries: int

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def hidden(self) -> int:
        """Bytes that everybody pulls and nobody sees."""
        return sum(file.size for file in self.files if file.hidden)


class Origin(msgspec.Struct, frozen=True):
    """Where a path of an image comes from. `package`: the package that owns it, or "". `leads_to`: where a symlink ends."""

    entry: Entry
    step: Step
    number: int  # of the layer, from 1
    package: str
    leads_to: bytes = b""


def steps(about: ImageConfig, image: StoredImage) -> list[Step]:
    """The history, oldest first; layers that no history mentions have an empty one."""
    layers = iter(image.layers)
    found = [Step(history, None if history.empty_layer else next(layers, None)) for history in about.history or ()]
    return found + [Step(History(), layer) for layer in layers]


def layers_of(library: Library, image: StoredImage) -> list[LayerContents]:
    """What each layer ships, lowest first."""
    stack = library.forms.stack(library.outputs(image))
    by_tree = {layer.tree: layer for layer in stack.layers}
    made = [step for step in steps(library.about(image), image) if step.layer is not None]
    found = []
    for step in made:
        layer = by_tree.get(step.layer.tree) if step.layer and step.layer.tree else None
        files = [_shipped(entry, layer, stack) for entry in layer.entries if entry.kind is Kind.FILE] if layer else []
        files.sort(key=lambda file: (-file.size, file.path))
        found.append(LayerContents(step, tuple(files), len(layer.entries) if layer else 0))
    return found


def _shipped(entry: Entry, layer: Layer, stack: Stack) -> ShippedFile:
    seen = stack.find(entry.path)
    hidden = "" if seen is not None and seen[1] is layer else "deleted" if seen is None else "replaced"
    return ShippedFile(entry.path, entry.size, hidden)


def origin(library: Library, image: StoredImage, path: str) -> Origin:
    """Which layer, and so which target and line, a path comes from. GraphbuildError where the image has no such path, saying who deleted it."""
    stack = library.forms.stack(library.outputs(image))
    real = stack.resolve(os.fsencode(path).strip(b"/"), follow_last=False)
    seen = stack.find(real)
    made = [step for step in steps(library.about(image), image) if step.layer is not None and step.layer.tree is not None]
    if seen is None:
        raise mistake(f"image {image.id.short} has no /{os.fsdecode(real)}", hint=_lost(real, stack, made))
    number = len(stack.layers) - [*reversed(stack.layers)].index(seen[1])
    leads_to = stack.resolve(real) if seen[0].kind is Kind.SYMLINK else b""
    return Origin(seen[0], made[number - 1], number, owner(stack, real), leads_to)


def _lost(path: bytes, stack: Stack, made: list[Step]) -> str:
    had = [number for number, layer in enumerate(stack.layers) if layer.at(path) is not None and layer.at(path).kind is not Kind.WHITEOUT]  # type: ignore[union-attr]
    if not had:
        return "`graphbuild image tree` shows what it has"
    by = made[had[-1]].history.created_by or "?"
    return f"layer {had[-1] + 1} ({by[:60]}) has it, and a layer above deletes it"


def damages(library: Library, image: StoredImage) -> Iterator[str]:
    """Recompute every digest of an image: what differs, a line each."""
    try:
        document = library.document(image)
        about = decode(document, ImageConfig)
    except GraphbuildError as error:
        yield error.problems[0].message
        return
    except ValueError:  # its digest says so too, and better
        about = ImageConfig("", "", RootFs("layers", ()))
    found = sha256(hashlib.sha256(document).hexdigest())
    named = list(about.rootfs.diff_ids or ())
    if found != image.id:
        yield f"config {image.id.short}: its content has {found}"
    elif named != [str(layer.diff_id) for layer in image.layers]:
        yield f"config {image.id.short}: names other layers than the image has"
    for layer in image.layers:
        yield from _layer_damages(library, layer)


def _layer_damages(library: Library, layer: StoredLayer) -> Iterator[str]:
    path = library.tar(layer)
    if path is None:
        yield f"layer {layer.diff_id.short}: its tar is gone"
        return
    found = _sha256(path)
    if found != layer.diff_id:
        yield f"layer {layer.diff_id.short}: its tar has {found}"
        return
    try:
        with path.open("rb") as file:
            entries = read_index(file, whiteouts=True, source=str(layer.diff_id))
        if entries != (list(library.store.index(layer.tree)) if layer.tree is not None else []):
            yield f"layer {layer.diff_id.short}: its index is not that of its tar"
    except KeyError:
        yield f"layer {layer.diff_id.short}: its index is gone"
        return
    except (GraphbuildError, ValueError, OSError) as error:
        yield f"layer {layer.diff_id.short}: {error}"
        return
    folder = library.store.folder(layer.tree) if layer.tree is not None else None
    if folder is not None and (damage := check_folder(folder, entries)):
        yield f"layer {layer.diff_id.short}: in its folder {damage}"


def _sha256(path: Path) -> Digest:
    with path.open("rb") as file:
        return sha256(hashlib.file_digest(file, "sha256").hexdigest())
