"""The list of images, and taking images off it: tags, removal, pruning, squashing."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from graphbuild.engine.importing import created_now
from graphbuild.engine.library import Library, familiar
from graphbuild.image.model import History, ImageConfig, RootFs, encode, timestamp
from graphbuild.store.actions import LayerOutput
from graphbuild.store.images import StoredImage, StoredLayer
from graphbuild.values.errors import GraphbuildError, mistake


class Shelved(msgspec.Struct, frozen=True):
    """An image as it is listed. `names` are full; `size` and `shared` are bytes of its layers' files, `shared` of those that other images have."""

    image: StoredImage
    names: tuple[str, ...]
    about: ImageConfig
    size: int
    shared: int


class Removed(msgspec.Struct, frozen=True):
    """`names` that are gone; `image` where it went too."""

    names: tuple[str, ...]
    image: StoredImage | None


def shelf(library: Library) -> list[Shelved]:
    """Every image, the newest first."""
    images = library.store.images.all()
    names: dict[str, list[str]] = {}
    for name, digest in library.store.images.names().items():
        names.setdefault(digest.hex, []).append(name)
    owners = Counter(diff_id for image in images for diff_id in {layer.diff_id for layer in image.layers})
    found = []
    for image in images:
        size = sum(layer.size for layer in image.layers)
        shared = sum(layer.size for layer in image.layers if owners[layer.diff_id] > 1)
        found.append(Shelved(image, tuple(names.get(image.id.hex, ())), _about(library, image), size, shared))
    return sorted(found, key=lambda shelved: shelved.about.created or "", reverse=True)


def _about(library: Library, image: StoredImage) -> ImageConfig:
    """An image's config; an empty one for a damaged image, which must not keep the others from being listed."""
    try:
        return library.about(image)
    except GraphbuildError:
        return ImageConfig("", "", RootFs("layers", ()))


def remove(library: Library, text: str, *, force: bool) -> Removed:
    """Take a name away; the image itself goes with its last name, or by its id. GraphbuildError while something still needs it."""
    images = library.store.images
    image = library.find(text)
    names = library.names_of(image)
    by_name = library.name_of(text, image)
    if by_name and len(names) > 1:
        images.remove_names([by_name])
        return Removed((by_name,), None)
    if not by_name and len(names) > 1 and not force:
        shown = ", ".join(familiar(name) for name in names)
        raise mistake(f"image {image.id.short} has several names: {shown}", hint="remove them one by one, or all with -f")
    users = images.users(image.id)
    if users and not force:
        raise mistake(f"container {users[0]} is made of image {text}", hint="remove the container first, or say -f")
    images.remove([image.id])
    return Removed(names, image)


def prune(library: Library, *, everything: bool) -> list[StoredImage]:
    """Remove images without a name (with `everything`: all) that no container is made of."""
    images = library.store.images
    named = set(images.names().values())
    going = [image for image in images.all() if (everything or image.id not in named) and not images.users(image.id)]
    images.remove(image.id for image in going)
    return going


def squash(library: Library, image: StoredImage, names: Sequence[str], message: str = "") -> StoredImage:
    """An image of one layer that shows what `image` shows, with its config."""
    about = library.about(image)
    layers: list[StoredLayer] = []
    if outputs := library.outputs(image):
        tree = library.forms.flattened(library.forms.stack(outputs))
        layers.append(StoredLayer(library.forms.blob(LayerOutput(tree))[0], tree, library.size(tree)))
    created = timestamp(created_now())
    comment = message or f"squashed from {image.id}"
    document = msgspec.structs.replace(
        about,
        rootfs=RootFs("layers", tuple(str(layer.diff_id) for layer in layers)),
        history=(History(created, "graphbuild image squash", comment=comment, empty_layer=None if layers else True),),
        created=created,
    )
    return library.put(encode(document), layers, names)
