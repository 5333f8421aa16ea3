"""The plugin API: what a rule is, what it is given, what it returns.

A rule is a pure function `analyze(context, attributes) → Analysis`. It must not read, write, fetch or run anything, nor
look at clocks or the environment: all that it decides is in the actions it returns, and that is why plugin code needs
no place in any key. The one exception is `lock`, which runs only in the resolve phase and may fetch through its context.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from graphbuild.rules.actions import Action
from graphbuild.rules.refs import ConfigExpression, Ref
from graphbuild.values.config import Config, ConfigPatch
from graphbuild.values.errors import GraphbuildError, Problem, SpecPath, mistake
from graphbuild.values.label import Label

P = TypeVar("P", bound=msgspec.Struct)


class Snapshot(msgspec.Struct, frozen=True):
    """Provider: a stack of layers, lowest first, and the config that goes with it. What `from:` asks for.

    `needs`: checks that must have passed before anyone uses the stack (a union's overlap check).
    """

    layers: tuple[Ref, ...] = ()
    config: ConfigExpression = ()
    needs: tuple[Ref, ...] = ()


class ImageProvider(msgspec.Struct, frozen=True):
    """Provider: an image that an output makes."""

    image: Ref


class IndexProvider(msgspec.Struct, frozen=True):
    """Provider: an index that an output makes, and its images, each with its platform."""

    index: Ref
    images: tuple[tuple[str, Ref], ...]


class Target(msgspec.Struct, frozen=True):
    """An analysed dependency as a rule sees it: its label and its providers."""

    label: Label
    providers: tuple[msgspec.Struct, ...]

    def get(self, kind: type[P]) -> P | None:
        """The provider of that type, or None."""
        return next((provider for provider in self.providers if isinstance(provider, kind)), None)


def workspace_path(text: str, package: str) -> str:
    """A path of a spec, relative to its package or, after `//`, to the workspace, as a path from the workspace root.

    ValueError for one that is absolute or leaves its package (the workspace).
    """
    folder, rest = ("", text[2:]) if text.startswith("//") else (package, text)
    if rest.startswith("/"):
        raise ValueError(f"path {text!r} is absolute")
    parts: list[str] = []
    for part in rest.split("/"):
        if part == "..":
            if not parts:
                raise ValueError(f"path {text!r} leaves its package")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(part for part in (folder, *parts) if part)


class Settings(msgspec.Struct, frozen=True):
    """What a whole build has in common and a rule may depend on. `anywhere`: absolute paths are allowed, for the command line gave them."""

    platform: str = ""  # os/arch[/variant] that the target is built for
    build_platform: str = ""  # and that of this machine
    epoch: int = 0
    anywhere: bool = False

    @property
    def foreign(self) -> str:
        """The platform that is built for, where it is another than this machine's; else ""."""
        return "" if self.platform == self.build_platform else self.platform


class Reader(Protocol):
    """What a rule may look at besides its attributes: it is noted, so that a change of it is seen."""

    def read(self, path: str) -> bytes | None:
        """A file of the workspace by its path from the root; None where there is none. GraphbuildError when it cannot be read."""
        ...

    def config(self, expression: ConfigExpression, own: Mapping[Ref, Action]) -> Config:
        """What a config expression comes to; of an imported image only the config is read. GraphbuildError where it cannot be known yet.

        `own`: actions that the rule is about to return.
        """
        ...


class NoReader:
    """A Reader where there is nothing to look at."""

    def read(self, path: str) -> bytes | None:
        """No file is there."""
        del path
        return None

    def config(self, expression: ConfigExpression, own: Mapping[Ref, Action]) -> Config:
        del own
        raise mistake(f"no config is known here: {expression}")


class Origin(msgspec.Struct, frozen=True):
    """Where an action was written down, if not by its target's name: file, line, and the text that people know it by.

    Where `path` is given, the line is that of the path, and is looked for when somebody must see it.
    """

    file: str
    line: int
    text: str
    path: SpecPath | None = None


class Context(msgspec.Struct, frozen=True):
    """What a rule may know: its label, its dependencies, the attributes every target has, and its part of the lock.

    `snapshot` is the union of the target's `from:`, with the target's own `env`, `user`, `workdir` and `shell` patched
    onto its config; `inherited` is the config without these. `dependencies` holds what `Rule.dependencies` named, by the text that named it.
    """

    label: Label
    snapshot: Snapshot
    has_from: bool
    mounts: tuple[Any, ...]  # analysed mounts of the target
    network: Literal["none", "host"]
    timeout: float
    dependencies: tuple[tuple[str, Target], ...]
    lock: Any  # what `Rule.lock` returned, or None
    file: str  # the build.yaml that declares the target
    spec_path: tuple[str | int, ...]  # where in it
    reader: Reader = NoReader()
    settings: Settings = Settings()
    is_part: bool = False  # of an index: whoever makes that delivers it
    inherited: ConfigExpression = ()

    def ref(self, action: str) -> Ref:
        """The result of this target's action of that name."""
        return Ref(self.label, action)

    def dependency(self, text: str) -> Target:
        """The analysed target that `Rule.dependencies` named by `text`."""
        for name, target in self.dependencies:
            if name == text:
                return target
        raise KeyError(f"{text!r} was not named by the rule's `dependencies`")

    def snapshot_of(self, text: str) -> Snapshot:
        """The stack of a dependency; an error at the target for one that offers none."""
        snapshot = self.dependency(text).get(Snapshot)
        if snapshot is None:
            raise self.mistake(f"{text!r} offers no files", hint="name a base, a step or an output")
        return snapshot

    def path(self, text: str) -> str:
        """A path of the spec as a path from the workspace root (`workspace_path`); an error at the target for a bad one."""
        try:
            return text if self.settings.anywhere and text.startswith("/") else workspace_path(text, self.label.package)
        except ValueError as error:
            raise self.mistake(str(error), hint="paths are relative to the package; // starts at the workspace root") from None

    def read(self, text: str) -> bytes | None:
        """A file of the workspace, by a path as `path` takes it; None where there is none. For specs in a language of their own."""
        return self.reader.read(self.path(text))

    def config_of(self, snapshot: Snapshot, actions: Sequence[tuple[str, Action]] = ()) -> Config:
        """The config that comes down with a stack, for rules that must know it to say what is to be done.

        `actions`: the target's own, as far as the stack is made of them.
        """
        return self.reader.config(snapshot.config, {self.ref(name): action for name, action in actions})

    def origin(self, text: str, *path: str | int) -> Origin:
        """The place of `path` below the target, for an action that people know by `text`."""
        return Origin(self.file, 0, text, SpecPath(self.file, self.spec_path + path))

    def mistake(self, message: str, *path: str | int, hint: str = "") -> GraphbuildError:
        """An error at this target, or at `path` below it."""
        return GraphbuildError(Problem(message, SpecPath(self.file, self.spec_path + path), hint))


class Analysis(msgspec.Struct, frozen=True):
    """What a rule returns: named actions (names are unique within the target) and providers (one a type).

    `origins` say of actions, by name, where they were written down; `warnings` are told to the user. So are `notices`, a line each, which
    ask nothing of the user: each is told once, however many targets say it, and not at all where nothing changed.
    """

    actions: tuple[tuple[str, Action], ...] = ()
    providers: tuple[msgspec.Struct, ...] = ()
    origins: tuple[tuple[str, Origin], ...] = ()
    warnings: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()


class LockContext(Protocol):
    """What `Rule.lock` may do. `label` and `report` are for progress and errors; `platform` is what is built for, os/arch[/variant], and
    `build_platform` that of this machine.

    `locked` is what build.lock has for this request so far, as `lock` returned it, or None. `refresh` names what of it is to be looked up
    again, by a rule whose answer has parts (`Rule.partial`): these and what they must bring along, all else stays. () means all of it.
    """

    label: Label
    platform: str
    build_platform: str
    locked: Any
    refresh: tuple[str, ...]

    def fetch(self, url: str, *, sha256: str = "", size: int = 0) -> bytes:
        """The body of `url`, verified where a digest is given. GraphbuildError when it cannot be had."""
        ...

    def fetch_file(self, url: str, *, sha256: str = "", size: int = 0) -> Path:
        """Like `fetch`, for large bodies: a file in the store that must not be changed."""
        ...

    def pin_image(self, reference: str) -> str:
        """The digest ("sha256:…") that an image reference stands for in its registry now. GraphbuildError when it cannot be had."""
        ...

    def pin_url(self, url: str) -> str:
        """The digest ("sha256:…") of what a URL serves now, which stays in the store: a `Fetch` of it sends nothing again."""
        ...

    def read(self, path: str) -> bytes:
        """A file of the workspace, relative to the target's package or `//`. GraphbuildError when it cannot be read."""
        ...

    def report(self, text: str) -> None:
        """Say what is being done, for the progress display."""
        ...


def no_dependencies(_attributes: Any) -> Sequence[str]:
    return ()


class Rule(msgspec.Struct, frozen=True):
    """A rule, as a plugin exports it.

    `name` is the key in the spec; `kind` the section it belongs to (a "test" returns at least one of the actions that test, and nobody else
    returns any); `attributes` a Struct (frozen, unknown fields
    forbidden) whose fields are what the spec may say; `short` the field that a value which is no map fills. `dependencies` gives the labels,
    as texts, that the attributes name besides `from:`. `lock` resolves what must be pinned: it returns plain data (JSON
    types) that build.lock keeps under `lock_key(attributes, platform)` and `Context.lock` hands back. `partial`: `lock` heeds
    `LockContext.refresh`, so that one name in its answer can be updated. `pins` names the images of registries, and the http and https URLs,
    that a target needs, which may depend on what its files say: build.lock keeps a digest for each URL and each reference without one,
    whoever names it, and `Context.lock` is a map of them. `index` makes one target of those for several platforms: it is given the analysed
    target of each. Targets of a command are not locked: what their references stand for is asked in each build.
    """

    name: str
    kind: Literal["base", "step", "output", "test"]
    attributes: type[msgspec.Struct]
    analyze: Callable[[Context, Any], Analysis]
    short: str = ""
    dependencies: Callable[[Any], Sequence[str]] = no_dependencies
    lock: Callable[[LockContext, Any], Any] | None = None
    lock_key: Callable[[Any, str], str] | None = None
    pins: Callable[[LockContext, Any], Sequence[str]] | None = None
    index: Callable[[Context, Any, Sequence[tuple[str, Target]]], Analysis] | None = None
    doc: str = ""
    partial: bool = False


def layer_target(context: Context, action: Action, name: str = "layer", patch: ConfigPatch | None = None) -> Analysis:
    """The usual analysis of a base or step: one action whose layers go on top of `from:`, config carried along."""
    below = context.snapshot
    config = below.config + ((patch,) if patch else ())
    snapshot = Snapshot((*below.layers, context.ref(name)), config, below.needs)
    return Analysis(((name, action),), (snapshot,))
