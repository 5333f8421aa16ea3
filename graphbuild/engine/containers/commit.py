"""An image of a container: its image's layers and one more, its config, and a line of history that says who and what."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from graphbuild.engine.changes import apply_changes
from graphbuild.engine.containers.changed import capture_changes
from graphbuild.engine.containers.place import Opened, Place
from graphbuild.engine.containers.shelf import Container
from graphbuild.image.model import History, ImageConfig, RootFs, container_config, encode
from graphbuild.store.actions import LayerOutput
from graphbuild.store.images import StoredImage, StoredLayer
from graphbuild.values.config import Config
from graphbuild.values.entry import encode_index


def commit(
    place: Place,
    opened: Opened,
    container: Container,
    names: Sequence[str],
    *,
    message: str,
    author: str,
    changes: Sequence[str],
    pause: bool,
) -> StoredImage:
    """Keep an image of the container under `names` (full references). A container that changed nothing adds no layer."""
    image = container.spec.image
    config = apply_changes(committed(container.spec.config), changes)
    with opened.store.scratch() as scratch:
        entries, folder = capture_changes(place, opened, container, scratch, pause=pause)
        added: tuple[StoredLayer, ...] = ()
        if entries:
            tree = opened.store.put_layer(encode_index(entries), folder=folder, entries=entries)
            diff_id, _, _ = opened.forms.blob(LayerOutput(tree))
            added = (StoredLayer(diff_id, tree, sum(entry.size for entry in entries)),)
    document = _document(opened.library.about(image), config, added, message, author, " ".join(container.spec.config.cmd or ()))
    made = opened.library.put(encode(document), (*image.layers, *added), names)
    opened.store.sync()
    return made


def committed(config: Config) -> Config:
    """What of a container's config goes into an image: as Docker has it, all but triggers and the shell of a Dockerfile."""
    return msgspec.structs.replace(config, on_build=(), shell=None)


def _document(base: ImageConfig, config: Config, added: Sequence[StoredLayer], message: str, author: str, command: str) -> ImageConfig:
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    line = History(created, command or None, author or None, message or None, None if added else True)
    diff_ids = (*(base.rootfs.diff_ids or ()), *(str(layer.diff_id) for layer in added))
    return msgspec.structs.replace(
        base,
        created=created,
        author=author or None,
        config=container_config(config),
        rootfs=RootFs("layers", diff_ids),
        history=(*(base.history or ()), line),
    )
