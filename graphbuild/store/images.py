"""The images of a store by id and by name: which layers they stack, and who made those.

Invariants: a name leads to one image, an image may have any number of names, or none. An image's config and tars are blobs
under the digests that its config names, so its id can be recomputed. Images that were pulled, loaded, imported or committed
stay until somebody removes them; what a build made can be built again, so a collection may take it, unless somebody gave it a
name by hand. Names are opaque here.
"""

import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from graphbuild.store import reference as refer
from graphbuild.store.actions import LayerOutput
from graphbuild.store.database import Database
from graphbuild.store.gate import Gate
from graphbuild.store.reference import Reference
from graphbuild.store.trouble import reported
from graphbuild.values.digest import Digest, sha256


class StoredLayer(msgspec.Struct, frozen=True):
    """A layer of an image. `tree`: None for a tar without members. `size`: bytes of its files. `target` and `place` (file:line) made it.

    `packed`: the blob that is kept in the place of the tar, compressed by `codec`: it came from a registry like that.
    """

    diff_id: Digest
    tree: Digest | None
    size: int
    target: str = ""
    place: str = ""
    packed: Digest | None = None
    codec: str = ""

    @property
    def output(self) -> LayerOutput | None:
        return LayerOutput(self.tree, self.diff_id, self.packed, self.codec) if self.tree is not None else None


class StoredImage(msgspec.Struct, frozen=True):
    """An image; `id` is its config's digest, layers are lowest first. `built`: by a build, which can build it again."""

    id: Digest
    layers: tuple[StoredLayer, ...]
    built: bool = False


decode_image = msgspec.msgpack.Decoder(StoredImage).decode
_PUT = """INSERT INTO images (id, body, refs, used) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body, refs = excluded.refs, used = excluded.used"""
_NAME = "INSERT OR REPLACE INTO names (name, id) VALUES (?, ?)"


class Images:
    """The images of one store."""

    def __init__(self, root: Path, database: Database, gate: Gate) -> None:
        self._root = root
        self._database = database
        self._gate = gate

    def put(self, image: StoredImage, names: Iterable[str] = ()) -> None:
        """Remember an image, whose blobs and layers are in the store, and give it names: other images lose them."""
        key = _key(image.id)
        with reported(self._root), self._gate:
            for reference in references(image):
                self._gate.hold(reference)
            with self._database.write() as rows:
                known = rows.execute("SELECT body FROM images WHERE id = ?", (key,)).fetchone()
                if known is not None and image.built and not decode_image(known[0]).built:
                    image = msgspec.structs.replace(image, built=False)  # who loaded it wants to keep it
                rows.execute(_PUT, (key, msgspec.msgpack.encode(image), b"".join(references(image)), time.time()))
                rows.executemany(_NAME, [(name, key) for name in names])

    def find(self, image: Digest) -> StoredImage | None:
        """The image of an id."""
        with reported(self._root), self._gate:
            row = self._database.one("SELECT body FROM images WHERE id = ?", (_key(image),))
            return self._held(row[0]) if row else None

    def named(self, name: str) -> StoredImage | None:
        """The image of a name."""
        with reported(self._root), self._gate:
            row = self._database.one("SELECT i.body FROM names n JOIN images i ON i.id = n.id WHERE n.name = ?", (name,))
            return self._held(row[0]) if row else None

    def beginning(self, digits: str) -> list[StoredImage]:
        """The images whose id begins with some hex digits."""
        with reported(self._root), self._gate:
            rows = self._database.all("SELECT body FROM images WHERE lower(hex(id)) GLOB ? || '*'", (digits,))
            return [self._held(body) for (body,) in rows]

    def all(self) -> list[StoredImage]:
        """Every image, the newest in the store first."""
        with reported(self._root), self._gate:
            return [self._held(body) for (body,) in self._database.all("SELECT body FROM images ORDER BY used DESC, id")]

    def layer(self, diff_id: Digest) -> StoredLayer | None:
        """A layer as one of the images has it."""
        with reported(self._root), self._gate:
            for (body,) in self._database.all("SELECT body FROM images WHERE instr(refs, ?) LIMIT 1", (refer.blob(diff_id),)):
                for layer in self._held(body).layers:
                    if layer.diff_id == diff_id:
                        return layer
        return None

    def names(self) -> dict[str, Digest]:
        """Every name, sorted, with the id it leads to."""
        with reported(self._root):
            return {name: sha256(key.hex()) for name, key in self._database.all("SELECT name, id FROM names ORDER BY name")}

    def users(self, image: Digest) -> list[str]:
        """The names of the containers that are made of an image."""
        with reported(self._root):
            rows = self._database.all("SELECT name FROM containers WHERE instr(refs, ?) ORDER BY name", (refer.blob(image),))
        return [name for (name,) in rows]

    def set_name(self, name: str, image: Digest) -> None:
        """Give an image a name, by hand: it stays until somebody removes it. KeyError for an image that is not there."""
        with reported(self._root), self._gate, self._database.write() as rows:
            known = rows.execute("SELECT body FROM images WHERE id = ?", (_key(image),)).fetchone()
            if known is None:
                raise KeyError(str(image))
            kept = msgspec.structs.replace(self._held(known[0]), built=False)
            rows.execute("UPDATE images SET body = ? WHERE id = ?", (msgspec.msgpack.encode(kept), _key(image)))
            rows.execute(_NAME, (name, _key(image)))

    def remove_names(self, names: Iterable[str]) -> None:
        with reported(self._root), self._gate, self._database.write(durable=True) as rows:
            rows.executemany("DELETE FROM names WHERE name = ?", [(name,) for name in names])

    def remove(self, images: Iterable[Digest]) -> None:
        """Forget images and their names. A collection frees what nothing else holds."""
        keys = [(_key(image),) for image in images]
        with reported(self._root), self._gate, self._database.write(durable=True) as rows:
            rows.executemany("DELETE FROM names WHERE id = ?", keys)
            rows.executemany("DELETE FROM images WHERE id = ?", keys)

    def _held(self, body: bytes) -> StoredImage:
        """The image of a row; no collection takes its layers while this process has its lease."""
        image = decode_image(body)
        for reference in references(image):
            self._gate.hold(reference)
        return image


def _key(image: Digest) -> bytes:
    return bytes.fromhex(image.hex)


def references(image: StoredImage) -> list[Reference]:
    """All that an image needs: its config, its tars and the layers in them."""
    trees = [refer.layer(layer.tree) for layer in image.layers if layer.tree is not None]
    return [refer.blob(image.id), *(refer.blob(layer.packed or layer.diff_id) for layer in image.layers), *trees]
