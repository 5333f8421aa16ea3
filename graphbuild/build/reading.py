"""What a rule may look at while it is analysed: files of the workspace, and the configs of images. Both are noted as inputs."""

import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from graphbuild.build.inputs import Inputs
from graphbuild.graph.analyze import Node
from graphbuild.layers.cancel import never
from graphbuild.network import Network, download
from graphbuild.rules.actions import Action, Fetch, ImportImage, Pull
from graphbuild.rules.refs import ConfigExpression, HistoryEntry, Ref
from graphbuild.store.store import Store
from graphbuild.values.config import Config, ConfigPatch, apply_patch
from graphbuild.values.digest import sha256
from graphbuild.values.errors import mistake

if TYPE_CHECKING:
    from graphbuild.build.images import Images

_LARGEST = 64 << 30  # bytes of an image's archive


class WorkspaceReader:
    """`nodes` are the actions analysed so far. Each image is opened once; one that must be fetched is fetched here, and kept."""

    def __init__(self, inputs: Inputs, store: Store, network: Network, images: Callable[[], "Images"], nodes: Mapping[Ref, Node]) -> None:
        self._inputs = inputs
        self._store = store
        self._network = network
        self._images = images
        self._nodes = nodes
        self._configs: dict[Ref, Config] = {}

    def read(self, path: str) -> bytes | None:
        place = self._inputs.root / path
        status = self._inputs.watch(place)
        if status is None or stat.S_ISDIR(status.st_mode):
            return None
        if place.is_symlink():  # the link was noted; what it leads to is an input too
            self._inputs.watch(place.resolve())
        try:
            return place.read_bytes()
        except OSError as error:
            raise mistake(f"cannot read {path}: {error.strerror}") from None

    def config(self, expression: ConfigExpression, own: Mapping[Ref, Action] | None = None) -> Config:
        config = Config()
        for part in expression:
            match part:
                case Ref():
                    config = self._image(part, own or {})
                case Config():
                    config = part
                case ConfigPatch():
                    config = apply_patch(config, part)
                case HistoryEntry():
                    pass
        return config

    def _image(self, ref: Ref, own: Mapping[Ref, Action]) -> Config:
        known = self._configs.get(ref)
        if known is None:
            known = self._configs[ref] = self._read_image(own[ref] if ref in own else self._nodes[ref].action, ref)
        return known

    def _read_image(self, action: Action, ref: Ref) -> Config:
        from graphbuild.image.read import open_image

        if isinstance(action, Pull):
            if not action.digest and (kept := self._images().kept(action.reference, action.platform)):
                return kept.config
            return self._images().open(action.reference, action.digest, action.platform, never).config
        if not isinstance(action, ImportImage):
            raise mistake(f"the config that {ref} will have is not known before it is built")
        source = action.source
        if isinstance(source, Ref):
            path, name = self._fetched(source), str(source)
        else:
            path, name = self._place(source.path), source.path
        image = open_image(path, reference=action.reference, platform=action.platform, source=name)
        try:
            return image.config
        finally:
            image.close()

    def _place(self, path: str) -> Path:
        """Where an image of the workspace is; it is noted."""
        place = self._inputs.root / path
        self._inputs.watch(place / "index.json" if place.is_dir() else place)
        return place

    def _fetched(self, ref: Ref) -> Path:
        action = self._nodes[ref].action
        if not isinstance(action, Fetch) or not action.sha256:
            raise mistake(f"the image that {ref} will bring is not known before it is fetched", hint="give its sha256")
        known = self._store.blob(sha256(action.sha256))
        if known is not None:
            return known
        with self._store.blob_writer() as writer:
            urls = (action.url, *action.mirrors)
            digest, size = download(self._network, urls, writer.fd, sha256=action.sha256, size=action.size, limit=action.size or _LARGEST)
            return writer.commit(digest, size)


def reader_of(
    inputs: Inputs, store: Store, network: Network, images: Callable[[], "Images"]
) -> Callable[[Mapping[Ref, Node]], WorkspaceReader]:
    return lambda nodes: WorkspaceReader(inputs, store, network, images, nodes)
