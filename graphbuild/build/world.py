"""What actions are performed with: the store, the sandbox, the network, the workspace's inputs, and the build's settings."""

import contextlib
import os
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from graphbuild.build.exports import Exports
from graphbuild.build.folder_tree import FolderTree
from graphbuild.build.inputs import Inputs
from graphbuild.graph.analyze import Node
from graphbuild.image.place import writing
from graphbuild.layers.stack import Layer, Stack
from graphbuild.network import Network
from graphbuild.rules.actions import Action, Folder, stands_on
from graphbuild.rules.refs import ConfigExpression, HistoryEntry, Ref
from graphbuild.sandbox.job import Limits, Sandbox
from graphbuild.store.actions import LayerOutput, Outputs
from graphbuild.store.forms import Forms
from graphbuild.store.store import Store
from graphbuild.values.config import Config, ConfigPatch, Past, apply_patch
from graphbuild.values.digest import Digest
from graphbuild.values.errors import mistake
from graphbuild.values.platform import architecture_of, variant_of

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
    delivers: bool = True  # images are written out, and named in the store


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
        nodes: Mapping[Ref, Node],
        images: Callable[[], "Images"],
    ) -> None:
        """`nodes`: those of the graph, which say what made a layer, where that was written, and what it was made on."""
        self.store = store
        self.sandbox = sandbox
        self.network = network
        self.inputs = inputs
        self.settings = settings
        self.secrets = secrets
        self.machine = machine
        self.cancelled = cancelled
        self.exports = Exports(store.root)
        self.forms = Forms(store, settings.epoch, settings.ids, cancelled)
        self.results: dict[Ref, Outputs] = {}
        self._nodes = nodes
        self.images = images
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
            below = {ref, *(stands_on(self._nodes[ref].action) if ref in self._nodes else ())}
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
        return self.forms.layer(output)

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
                case HistoryEntry():
                    pass
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

    def image_config(self, expression: ConfigExpression, platform: str) -> Config:
        """The config of an image: the expression's, for `platform` where no base says another."""
        config = self.config(expression)
        if config.architecture:
            return config
        return msgspec.structs.replace(config, architecture=architecture_of(platform), variant=variant_of(platform))

    def history(self, refs: Iterable[Ref], expression: ConfigExpression) -> tuple[Past, ...]:
        """What made each layer of a stack, in the order of `outputs`, and what the expression says of the config in between."""
        said: dict[Digest, Past] = {}
        after: dict[Digest | None, list[Past]] = {None: []}
        last = None
        for layer, past in self._pasts(expression):
            if layer is None:
                after[last].append(msgspec.structs.replace(past, empty=True))
            else:
                said[layer], last = past, layer
                after.setdefault(layer, [])
        made = [(output.tree, Past(f"{type(self._nodes[ref].action).__name__.upper()} {ref.label}")) for output, ref in self.made(refs)]
        return (*after[None], *(past for tree, own in made for past in (said.get(tree, own), *after.get(tree, ()))))

    def action(self, ref: Ref) -> Action:
        """What makes a result."""
        return self._nodes[ref].action

    def origin(self, ref: Ref) -> str:
        """Where an action was written down: `file:line`."""
        node = self._nodes[ref]
        return f"{node.file}:{node.line}"

    def _pasts(self, expression: ConfigExpression) -> Iterator[tuple[Digest | None, Past]]:
        """The entries of a history, each with the layer that it is about."""
        for part in expression:
            match part:
                case Ref():
                    yield from self.results[part].history
                case HistoryEntry(layer=Ref() as layer) if self.results[layer].layers:
                    yield from ((output.tree, Past(part.text)) for output in self.results[layer].layers)
                case HistoryEntry():
                    yield None, Past(part.text)

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
