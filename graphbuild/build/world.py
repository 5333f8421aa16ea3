"""What actions are performed with: the store, the sandbox, the network, the workspace's inputs, and the build's settings.

It also knows how a layer's two forms are made from each other, which is why both are made once, whoever asks.
"""

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from graphbuild.build.exports import Exports
from graphbuild.build.folder_tree import FolderTree
from graphbuild.build.inputs import Inputs
from graphbuild.image.place import writing
from graphbuild.layers.cancel import Cancellable
from graphbuild.layers.folder import materialize
from graphbuild.layers.stack import Layer, Stack
from graphbuild.layers.tar_write import Earlier, write_layer_tar
from graphbuild.network import Network
from graphbuild.rules.actions import Action, ConfigExpression, Folder, Ref, stands_on
from graphbuild.sandbox.job import Limits, Sandbox
from graphbuild.store.actions import LayerOutput, Outputs
from graphbuild.store.store import Store
from graphbuild.values.config import Config, ConfigPatch, apply_patch
from graphbuild.values.digest import Digest
from graphbuild.values.entry import Entry
from graphbuild.values.errors import mistake

if TYPE_CHECKING:
    from graphbuild.build.images import Images

Answer = TypeVar("Answer")


class BuildSettings(msgspec.Struct, frozen=True):
    """What a whole build has in common. `ids`: "full", or "single" where only one user id is mapped."""

    epoch: int = 0
    ids: Literal["full", "single"] = "full"
    compression: str = "gzip"
    limits: Limits = Limits()
    jobs: int = 1
    timeout: float = 0
    offline: bool = False
    output_folder: str = ""


class Machine(msgspec.Struct, frozen=True):
    """What steps need of this machine, and what is in no key: proxies and a CA bundle to reach the network, ssh agents' sockets by id."""

    proxies: tuple[tuple[str, str], ...] = ()
    ca_bundle: str = ""
    agents: tuple[tuple[str, str], ...] = ()


class Answered:
    """The answer to a question that is asked once: in `values`, when there is one. `lock` is held by who asks."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.values: list[Any] = []


class World:
    """The effects of one build, and the results so far."""

    def __init__(
        self,
        store: Store,
        sandbox: Sandbox,
        network: Network,
        inputs: Inputs,
        settings: BuildSettings,
        secrets: Mapping[str, bytes],
        machine: Machine,
        cancelled: Callable[[], bool],
        actions: Mapping[Ref, Action],
        images: Callable[[], "Images"],
    ) -> None:
        """`actions`: those of the graph, which say what made a layer and what it was made on."""
        self.store = store
        self.sandbox = sandbox
        self.network = network
        self.inputs = inputs
        self.settings = settings
        self.secrets = secrets
        self.machine = machine
        self.cancelled = cancelled
        self.exports = Exports(store.root)
        self.results: dict[Ref, Outputs] = {}
        self.images = images
        self._actions = actions
        self._layers: dict[Digest, Layer] = {}
        self._trees: dict[Folder, FolderTree] = {}
        self._answers: dict[Hashable, Answered] = {}

    def outputs(self, refs: Iterable[Ref]) -> list[LayerOutput]:
        """The layers of results, lowest first, each once."""
        return [output for output, _ in self.made(refs)]

    def made(self, refs: Iterable[Ref]) -> list[tuple[LayerOutput, Ref]]:
        """The layers of results, lowest first, each once, with the action that made it.

        Two actions may make the same layer. Side by side (a union), what the first made stays below what was built on it. But
        a step that puts back what a step below it once made has the last word: its layer is on top, and the lower one hidden.
        """
        found: dict[Digest, tuple[LayerOutput, Ref]] = {}
        makers: dict[Digest, list[Ref]] = {}
        for ref in refs:
            below = {ref, *(stands_on(self._actions[ref]) if ref in self._actions else ())}
            for output in self.results[ref].layers:
                makers_before = makers.setdefault(output.tree, [])
                if not below.isdisjoint(makers_before):
                    del found[output.tree]
                makers_before.append(ref)
                found.setdefault(output.tree, (output, ref))
        return list(found.values())

    def stack(self, refs: Iterable[Ref]) -> Stack:
        return Stack([self.layer(output) for output in self.outputs(refs)])

    def layer(self, output: LayerOutput) -> Layer:
        known = self._layers.get(output.tree)
        if known is None:
            known = Layer(output.tree, self.store.index(output.tree), functools.cache(lambda: self.folder(output)))
            self._layers[output.tree] = known
        return known

    def config(self, expression: ConfigExpression) -> Config:
        """Fold a config expression over an empty config."""
        config = Config()
        for part in expression:
            match part:
                case Ref():
                    config = self.results[part].config or config
                case Config():
                    config = part
                case ConfigPatch():
                    config = apply_patch(config, part)
        return config

    def folder_tree(self, folder: Folder, make: Callable[[], FolderTree]) -> FolderTree:
        """The tree of a folder of the workspace, made once a build."""
        known = self._trees.get(folder)
        return known if known is not None else self._trees.setdefault(folder, make())

    def once(self, question: Hashable, ask: Callable[[], Answer]) -> Answer:
        """What `ask` returns, asked for once a build: all who need it see the same. An error is not kept."""
        answered = self._answers.setdefault(question, Answered())
        with answered.lock:
            if not answered.values:
                answered.values.append(ask())
            answer: Answer = answered.values[0]
            return answer

    def image_config(self, expression: ConfigExpression) -> Config:
        """The config of an image: the expression's, for this machine's architecture where nothing else was said."""
        config = self.config(expression)
        return config if config.architecture else msgspec.structs.replace(config, architecture=oci_architecture())

    def history(self, refs: Iterable[Ref]) -> tuple[str, ...]:
        """What made each layer of a stack, in the order of `outputs`."""
        return tuple(f"{type(self._actions[ref]).__name__.upper()} {ref.label}" for _, ref in self.made(refs))

    def place(self, path: str) -> Path:
        """Where an output goes: below the workspace, or below the folder that `-o` names."""
        return (Path(self.settings.output_folder) if self.settings.output_folder else self.inputs.root) / path

    def destination(self, path: str) -> Path:
        """`place`, its folder made. GraphbuildError when a symlink on the way leads out of where outputs go."""
        destination = self.place(path)
        with writing(destination):
            destination.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.isabs(path) and not destination.parent.resolve().is_relative_to(self.place("").resolve()):
            raise mistake(f"{path} leads out of the workspace through a symlink")
        return destination

    def folder(self, output: LayerOutput) -> Path:
        """The folder form of a layer, made from its blob if need be, once among all processes."""
        found = self.store.folder(output.tree)
        if found is not None:
            return found
        with self.store.lock(output.tree, self.cancelled, _quiet), self.store.scratch() as scratch:
            found = self.store.folder(output.tree)
            if found is not None:
                return found
            target = scratch / "folder"
            target.mkdir(mode=0o755)
            known = self._known_blob(output)
            if known is None:
                hint = "run `graphbuild cache verify --repair`, then build again: it is made anew"
                raise mistake(f"layer {output.tree.short} is gone from the store, folder and tar", hint=hint)
            with known[2].open("rb") as blob:
                materialize(
                    Cancellable(blob, self.cancelled),
                    self.store.index(output.tree),
                    target,
                    epoch=self.settings.epoch,
                    ids=self.settings.ids,
                )
            return self.store.set_folder(output.tree, target)

    def blob(self, output: LayerOutput) -> tuple[Digest, int, Path]:
        """The uncompressed tar of a layer: diff_id, size, path. Written from the folder form if need be."""
        known = self._known_blob(output)
        if known is not None:
            return known
        folder = os.fsencode(self.folder(output))

        def open_file(entry: Entry) -> int:
            return os.open(os.path.join(folder, entry.path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

        return self.write_blob(output.tree, self.store.index(output.tree), open_file)

    def _known_blob(self, output: LayerOutput) -> tuple[Digest, int, Path] | None:
        if output.diff_id is not None and (path := self.store.blob(output.diff_id)) is not None:
            return output.diff_id, path.stat().st_size, path
        if output.packed is not None and (path := self.store.blob(output.packed)) is not None:
            return self._unpacked(path, output)
        known = self.store.diff_id(output.tree)
        if known is not None and (path := self.store.blob(known[0])) is not None:
            return *known, path
        return None

    def _unpacked(self, packed: Path, output: LayerOutput) -> tuple[Digest, int, Path]:
        """The tar in a layer's blob as a registry had it."""
        from graphbuild.layers.compression import decompress

        with self.store.blob_writer() as writer, packed.open("rb") as compressed:
            found, size = decompress(compressed, writer.fd, cancelled=self.cancelled)
            if found != output.diff_id:
                raise mistake(f"layer {packed.name[:12]} is damaged", hint="run `graphbuild cache verify --repair`, then build again")
            return found, size, writer.commit(found, size)

    def write_blob(
        self, tree: Digest, entries: Sequence[Entry], open_file: Callable[[Entry], int], earlier: Digest | None = None
    ) -> tuple[Digest, int, Path]:
        """Write a layer's tar into the store and remember it as the layer's blob.

        `earlier`: a layer whose tar, where the store still has it, holds much of the same.
        """
        with self.store.blob_writer() as writer, self._earlier(earlier) as before:
            epoch, cancelled = self.settings.epoch, self.cancelled
            diff_id, size = write_layer_tar(entries, open_file, writer.fd, epoch=epoch, cancelled=cancelled, earlier=before)
            path = writer.commit(diff_id, size)
        self.store.set_diff_id(tree, diff_id, size)
        return diff_id, size, path

    @contextlib.contextmanager
    def _earlier(self, tree: Digest | None) -> Iterator[Earlier | None]:
        """The tar that this build's epoch and our own writer made of a layer, if it is at hand."""
        known = self.store.diff_id(tree) if tree else None
        path = self.store.blob(known[0]) if known else None
        if tree is None or path is None:
            yield None
            return
        try:
            entries = self.store.index(tree)
        except KeyError:
            yield None
            return
        with path.open("rb") as file:
            yield Earlier(entries, file.fileno())

    @contextlib.contextmanager
    def merged(self, refs: Iterable[Ref]) -> Iterator[Path]:
        """A stack's merged tree, mounted read-only while the context lasts."""
        from graphbuild.sandbox.overlay import mount, unmount
        from graphbuild.sandbox.stub import plan_stub, write_stub

        stack = self.stack(refs)
        folders = [layer.folder() for layer in stack.layers]
        with self.store.scratch() as scratch:
            target, restored = scratch / "merged", scratch / "stub"
            target.mkdir()
            if stack.implicit():
                restored.mkdir()
                write_stub(plan_stub(stack, {}), restored, self.settings.epoch)
                folders.append(restored)
            if not folders:
                yield target
                return
            mount(folders, target, upper=None, work=None)
            try:
                yield target
            finally:
                unmount(target)


_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")


def machine_of(environment: Mapping[str, str], agents: tuple[tuple[str, str], ...] = ()) -> Machine:
    """Docker's predefined proxy variables, in both cases, and the CA bundle that the environment names."""
    names = [case for name in _PROXIES for case in (name, name.lower())]
    bundle = environment.get("GRAPHBUILD_CA_BUNDLE") or environment.get("SSL_CERT_FILE") or ""
    proxies = tuple((name, environment[name]) for name in names if name in environment)
    return Machine(proxies, bundle if bundle and os.path.isfile(bundle) else "", agents)


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "riscv64": "riscv64"}


def oci_architecture() -> str:
    """This machine's architecture by its name in the OCI image spec (GOARCH)."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def _quiet() -> None:
    """Another process makes the same layer's folder: nothing to say about it."""
