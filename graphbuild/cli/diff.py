"""`graphbuild diff REV[..REV]`: both sides are built, or taken from the cache, and their images compared: a pull request's report."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from graphbuild.build.perform.content import Wanted, image_content
from graphbuild.build.perform.image import stored_image
from graphbuild.build.revisions import commit_of
from graphbuild.build.world import World
from graphbuild.cli import build
from graphbuild.cli.differences import markdown, plain
from graphbuild.cli.push import images_of
from graphbuild.cli.session import Session
from graphbuild.engine.comparing import Difference, difference
from graphbuild.engine.library import Library
from graphbuild.graph.analyze import Graph
from graphbuild.image.write import config_of
from graphbuild.spec.workspace import find_workspace
from graphbuild.store.images import StoredImage
from graphbuild.ui.text import size
from graphbuild.values.errors import EXIT_OK, mistake
from graphbuild.values.label import Label

Images = dict[str, StoredImage]
Then = Callable[[Session, Graph, World, Sequence[Label]], int]


class Report(msgspec.Struct, frozen=True):
    """Two revisions' images by label. `changed` ones are others in digest; `same` counts those that are not."""

    old: str
    new: str
    changed: dict[str, Difference]
    added: dict[str, int]  # label → bytes
    removed: list[str]
    same: int

    @property
    def pulled(self) -> int:
        """Bytes that a machine with the old images pulls to have the new ones."""
        return sum(found.pulled for found in self.changed.values()) + sum(self.added.values())


def diff(options: Any) -> int:
    """Build both sides and report. Returns the exit code."""
    old, dots, new = options.revisions.partition("..")
    root = find_workspace(Path.cwd())
    with contextlib.ExitStack() as held:
        older = held.enter_context(_checkout(root, commit_of(root, old)))
        newer = held.enter_context(_checkout(root, commit_of(root, new))) if new else root
        names = (old, new or ("HEAD" if dots else "the working tree"))
        if dots and not new:
            newer = held.enter_context(_checkout(root, commit_of(root, "HEAD")))
        return _compared(options, (older, newer), names)


def _compared(options: Any, sides: tuple[Path, Path], names: tuple[str, str]) -> int:
    """The new side is built while the old one's results are held: nothing that is compared may be collected."""
    below = Path.cwd().relative_to(find_workspace(Path.cwd()))
    options.labels = options.labels or ["//..."]

    def built_old(opened: Session, graph: Graph, world: World, labels: Sequence[Label]) -> int:
        before = _images(graph, labels, world)

        def built_new(opened: Session, graph: Graph, world: World, labels: Sequence[Label]) -> int:
            report = _report(Library(opened.store, world.forms), names, before, _images(graph, labels, world))
            sys.stdout.write(_shown(report, options.format))
            return EXIT_OK

        del opened, graph, world, labels
        return _at(sides[1] / below, options, built_new)

    return _at(sides[0] / below, options, built_old)


def _at(folder: Path, options: Any, then: Then) -> int:
    """Build the images of a folder's workspace; nothing is written out or named."""
    if not folder.is_dir():
        raise mistake(f"there is no {folder.name} at that revision", hint="start it from the workspace's root")
    os.chdir(folder)
    return build.run(options, choose=_only_images, then=then)


def _only_images(opened: Session, labels: Sequence[Label]) -> Sequence[Label]:
    graph = opened.graph(labels, locked=False)
    return list(images_of(graph, labels))


def _images(graph: Graph, labels: Sequence[Label], world: World) -> Images:
    """The images of a build by label, as the store keeps them; none is given a name."""
    found: Images = {}
    for label, action in images_of(graph, labels).items():
        made = image_content(action, world, Wanted(tars=False, codec="none"), lambda *_said: None)
        found[str(label)] = stored_image(world.store.put_blob(config_of(made)), made, action, world)
    return found


def _report(library: Library, names: tuple[str, str], before: Mapping[str, StoredImage], after: Mapping[str, StoredImage]) -> Report:
    both = sorted(before.keys() & after.keys())
    changed = {label: difference(library, before[label], after[label]) for label in both if before[label].id != after[label].id}
    added = {label: sum(layer.size for layer in after[label].layers) for label in sorted(after.keys() - before.keys())}
    return Report(*names, changed, added, sorted(before.keys() - after.keys()), len(both) - len(changed))


def _shown(report: Report, format_: str) -> str:
    if format_ == "json":
        return json.dumps({**msgspec.to_builtins(report), "pulled": report.pulled}, indent=2) + "\n"
    counts = f"{len(report.changed)} changed, {len(report.added)} added, {len(report.removed)} removed, {report.same} the same"
    if format_ == "markdown":
        text = f"## Images: {counts}\n\n`{report.old}` → `{report.new}`; {size(report.pulled)} to pull.\n"
        text += "".join(f"\n{markdown(found, f'`{label}`')}" for label, found in report.changed.items())
        text += "".join(f"\n### `{label}`\n\nNew, {size(count)}.\n" for label, count in report.added.items())
        return text + "".join(f"\n### `{label}`\n\nGone.\n" for label in report.removed)
    text = f"{report.old} → {report.new}: {counts}; {size(report.pulled)} to pull\n"
    for label, found in report.changed.items():
        text += f"{label}\n" + "".join(f"  {line}\n" for line in plain(found).splitlines())
    text += "".join(f"{label}\n  new, {size(count)}\n" for label, count in report.added.items())
    return text + "".join(f"{label}\n  gone\n" for label in report.removed)


@contextlib.contextmanager
def _checkout(root: Path, commit: str) -> Iterator[Path]:
    """A commit's files in a folder of their own, for as long as the context lasts; the workspace's root in it."""
    with tempfile.TemporaryDirectory(prefix="graphbuild-revision-") as folder:
        top = Path(_git(root, "rev-parse", "--show-toplevel"))
        _git(root, "worktree", "add", "--detach", "--quiet", f"{folder}/tree", commit)
        try:
            yield Path(folder) / "tree" / root.resolve().relative_to(top.resolve())
        finally:
            _git(root, "worktree", "remove", "--force", f"{folder}/tree")


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise mistake(f"git {words[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode().strip()
