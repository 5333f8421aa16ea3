"""The images that a store keeps under names: found by what people type, put in, and read.

Invariants: names are full references (`docker.io/library/web:1`); an image put in has its config and every tar in the store as
blobs, whose digests are those that it names. Knows no command line and no network.
"""

import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol

from graphbuild.image.model import ImageConfig, decode, from_oci
from graphbuild.image.reference import parse_reference
from graphbuild.store.actions import LayerOutput
from graphbuild.store.forms import Forms
from graphbuild.store.images import StoredImage, StoredLayer
from graphbuild.store.store import Store
from graphbuild.values.config import Config
from graphbuild.values.digest import Digest
from graphbuild.values.errors import mistake

_ID = re.compile(r"(sha256:)?([0-9a-f]{1,64})")
_WHOLE_ID = re.compile(r"[0-9a-f]{64}")
_FEWEST = 2  # digits of an id that are looked up: fewer are a slip


class Source(Protocol):
    """An image that comes from somewhere else: `document` is its config's bytes, `diff_ids` are lowest first."""

    @property
    def document(self) -> bytes: ...

    @property
    def diff_ids(self) -> tuple[Digest, ...]: ...

    def open_layer(self, index: int) -> BinaryIO:
        """A layer's bytes, compressed or not."""
        ...

    def kept(self, index: int) -> tuple[Digest, int, str] | None:
        """Digest, size and codec of the layer's bytes, if the store has them once they were opened; None where they are elsewhere."""
        ...


class Library:
    """The images of one store."""

    def __init__(self, store: Store, forms: Forms) -> None:
        self.store = store
        self.forms = forms

    def find(self, text: str) -> StoredImage:
        """The image of a name, or of an id or its beginning, as Docker looks them up. GraphbuildError where there is none, or more than one."""
        image = self._named(text) or self._by_id(text)
        if image is None:
            raise mistake(
                f"no image {text}",
                hint=self._suggestion(text) or "`graphbuild image ls` lists those that are there, `graphbuild image pull` gets others",
            )
        return image

    def name_of(self, text: str, image: StoredImage) -> str:
        """The full name by which `text` found an image; "" where it was an id."""
        try:
            full = parse_reference(text).full
        except ValueError:
            return ""
        named = self.store.images.named(full)
        return full if named is not None and named.id == image.id else ""

    def names_of(self, image: StoredImage) -> tuple[str, ...]:
        """Every full name of an image, sorted."""
        return tuple(name for name, digest in self.store.images.names().items() if digest == image.id)

    def meant(self, text: str) -> list[tuple[StoredImage, str]]:
        """What is saved when somebody says `text`: a repository without a tag means all of it. With the name of each, "" for an id."""
        repository = _repository(text)
        names = [name for name in self.store.images.names() if name.rpartition(":")[0] == repository] if repository else []
        if not names:
            image = self.find(text)
            return [(image, self.name_of(text, image))]
        found = [(self.store.images.named(name), name) for name in names]
        return [(image, name) for image, name in found if image is not None]

    def _named(self, text: str) -> StoredImage | None:
        try:
            reference = parse_reference(text)
        except ValueError:
            return None
        if reference.digest is not None:  # an id; manifests have no place here
            return self.store.images.find(reference.digest)
        return self.store.images.named(reference.full)

    def _by_id(self, text: str) -> StoredImage | None:
        match = _ID.fullmatch(text)
        if match is None or len(match[2]) < _FEWEST:
            return None
        found = self.store.images.beginning(match[2])
        if len(found) > 1:
            raise mistake(f"{text} is the beginning of {len(found)} ids", hint=", ".join(image.id.short for image in found[:5]))
        return found[0] if found else None

    def _suggestion(self, text: str) -> str:
        import difflib

        names = {familiar(name): name for name in self.store.images.names()}
        close = difflib.get_close_matches(text, names, 1)
        return f"did you mean {close[0]}?" if close else ""

    def document(self, image: StoredImage) -> bytes:
        """An image's config, byte for byte."""
        path = self.store.blob(image.id)
        if path is None:
            raise mistake(f"image {image.id.short} is damaged: its config is gone", hint="run `graphbuild cache verify`")
        return path.read_bytes()

    def about(self, image: StoredImage) -> ImageConfig:
        """An image's config, decoded."""
        try:
            return decode(self.document(image), ImageConfig)
        except ValueError as error:
            raise mistake(f"image {image.id.short}: its config is not valid: {error}") from None

    def config(self, image: StoredImage) -> Config:
        """What a container of the image starts with."""
        try:
            return from_oci(self.about(image))
        except ValueError as error:
            raise mistake(f"image {image.id.short}: {error}") from None

    def outputs(self, image: StoredImage) -> list[LayerOutput]:
        """The layers of an image that hold something, lowest first: what `Forms.stack` takes."""
        return [layer.output for layer in image.layers if layer.output is not None]

    def tar(self, layer: StoredLayer) -> Path | None:
        """A layer's uncompressed tar; None where the store lost it."""
        kept = self.store.blob(layer.diff_id)
        return self.forms.blob(layer.output)[2] if kept is None and layer.output is not None and layer.packed is not None else kept

    def put(self, document: bytes, layers: Iterable[StoredLayer], names: Iterable[str] = (), *, built: bool = False) -> StoredImage:
        """Keep an image whose layers' tars are in the store. `names` are full references, which other images lose."""
        image = StoredImage(self.store.put_blob(document), tuple(layers), built)
        self.store.images.put(image, names)
        return image

    def take(self, source: Source, names: Iterable[str], origin: str) -> StoredImage:
        """Copy an image from elsewhere into the store; layers that are there are not read. `origin` names it in errors."""
        layers = []
        for number, diff_id in enumerate(source.diff_ids):
            layer = self.store.images.layer(diff_id)
            if layer is None or not self._is_there(layer):
                layer = self._adopted(source, number, diff_id, f"{origin} layer {number}")
            layers.append(layer)
        return self.put(source.document, layers, names)

    def _adopted(self, source: Source, number: int, diff_id: Digest, origin: str) -> StoredLayer:
        """A layer that is new here; one that a registry sent stays as it came, so that it goes out as it came."""
        kept = source.kept(number)
        if kept is None:
            tree = self.forms.adopt(partial(source.open_layer, number), diff_id, origin)
            return StoredLayer(diff_id, tree, self.size(tree))
        digest, size, codec = kept
        with source.open_layer(number) as stored:
            tree = self.forms.adopt_packed(stored, size, diff_id, origin)
        if tree is None:  # an empty tar is kept as such: it has no other form
            self.forms.adopt(partial(source.open_layer, number), diff_id, origin)
            return StoredLayer(diff_id, None, 0)
        return StoredLayer(diff_id, tree, self.size(tree), packed=digest, codec=codec)

    def _is_there(self, layer: StoredLayer) -> bool:
        """Whether a layer is as whole as an image needs it; what `cache verify --repair` took away is taken in again."""
        return self.store.blob(layer.packed or layer.diff_id) is not None and (layer.tree is None or self.store.has_layer(layer.tree))

    def size(self, tree: Digest | None) -> int:
        """Bytes of the files of a layer."""
        return sum(entry.size for entry in self.store.index(tree)) if tree is not None else 0


def full_name(text: str) -> str:
    """What a user types as a name, in full. GraphbuildError for what no image can be called."""
    try:
        reference = parse_reference(text)
    except ValueError as error:
        raise mistake(str(error), hint="a name is [registry/]repository[:tag], such as web:1.0") from None
    if reference.digest:
        raise mistake(f"{text!r} holds a digest", hint="a name is [registry/]repository[:tag]")
    if _WHOLE_ID.fullmatch(reference.path.removeprefix("library/")):
        raise mistake(f"{text!r} would be taken for an id", hint="a name is [registry/]repository[:tag], such as web:1.0")
    return reference.full


def _repository(text: str) -> str:
    """The repository, in full, of a text that names no tag and no digest; "" for any other."""
    try:
        reference = parse_reference(text)
    except ValueError:
        return ""
    return "" if reference.digest or text.endswith(f":{reference.tag}") else f"{reference.domain}/{reference.path}"


def familiar(name: str) -> str:
    """A full name as Docker shows it."""
    return parse_reference(name).familiar
