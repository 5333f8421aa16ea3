"""`graphbuild lock`: resolve what comes from outside, pin it, and say what an update would change."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from graphbuild.build.blast import Blast, Scales, blast
from graphbuild.build.lockfile import Change, LockFile, Refresh, told
from graphbuild.build.resolving import resolve
from graphbuild.build.updating import refresh_of, split
from graphbuild.cli.session import Session, report, session
from graphbuild.graph.analyze import Graph
from graphbuild.graph.configure import configure_all
from graphbuild.ui.text import size
from graphbuild.values.errors import EXIT_OK, GraphbuildError
from graphbuild.values.label import Label

_SHOWN = 5  # outputs that are named where nobody asks for all


def lock(options: Any) -> int:
    """Resolve and write, or say what would be written. Returns the exit code."""
    with session(options, report) as opened:
        project = opened.project
        labels, refresh = _asked(opened, options)
        chosen = opened.selected(labels) if labels else opened.everything()
        configured = configure_all(project.workspace, chosen)
        changes = resolve(configured, project.lock, opened.lock_context, refresh=refresh)
        gone = 0 if labels else project.lock.prune(configured.values(), opened.lock_context)
        radius = _radius(opened) if options.dry_run and changes else None
        written = not options.dry_run and project.lock.save()
        project.saved()
    if options.format == "json":
        sys.stdout.write(json.dumps(_plain(changes, gone, radius, written=written), indent=2) + "\n")
    else:
        sys.stdout.write(_text(changes, gone, radius, options))
    return EXIT_OK


def _asked(opened: Session, options: Any) -> tuple[list[str], Refresh]:
    """The labels that it is about, none for all, and which answers are to be found again."""
    if options.update is None:
        return options.labels, Refresh()
    labels, names = split(word.strip() for word in options.update)
    labels = [*options.labels, *labels]
    entries, rules = opened.project.lock.entries(), list(opened.project.rules.values())
    try:
        refresh = refresh_of(names, entries, rules) if names else Refresh(everything=True)
    except GraphbuildError:
        own = _own_names(opened)
        short = [name for name in names if name in own]  # a label of this package may come without its colon
        if not short:
            raise
        rest = [name for name in names if name not in own]
        return [*labels, *short], refresh_of(rest, entries, rules) if rest else Refresh(everything=True)
    return labels, refresh


def _own_names(opened: Session) -> set[str]:
    """The names of this package's targets; none where the folder is no package."""
    workspace, package = opened.project.workspace, opened.project.package
    return {label.name for label in workspace.labels(package)} if package in workspace.packages(package) else set()


def _radius(opened: Session) -> Blast:
    """What the new lock changes, in all of the workspace."""
    project = opened.project
    before = LockFile(project.root)
    outputs = [label for label in opened.everything() if project.workspace.declaration(label).section == "outputs"]
    configured = configure_all(project.workspace, outputs)
    unlocked = opened.unlocked(configured)
    outputs = [label for label in outputs if label not in unlocked]
    scales = Scales(opened.store, str(project.root), opened.images, project.settings.compression)
    return blast(_graph_of(opened, outputs, before), opened.analyze(outputs), outputs, scales)


def _graph_of(opened: Session, outputs: Sequence[Label], before: LockFile) -> Graph | None:
    """The graph of what was locked; None where what was there cannot be read."""
    unlocked = opened.unlocked(configure_all(opened.project.workspace, outputs), before)
    try:
        return opened.analyze([label for label in outputs if label not in unlocked], before)
    except GraphbuildError as error:
        report(f"everything counts as changed: what was locked could not be read: {error.problems[0].message}")
        return None


def _text(changes: Sequence[Change], gone: int, radius: Blast | None, options: Any) -> str:
    lines = [str(change) for change in changes] if options.verbose else told(changes)
    if gone:
        lines.append(f"{gone} entries that nothing asks for any more")
    if not lines:
        return "build.lock is up to date\n"
    if radius is not None:
        lines += _spread(radius, verbose=options.verbose)
    lines.append("nothing was written" if options.dry_run else "wrote build.lock")
    return "".join(f"{line}\n" for line in lines)


def _spread(radius: Blast, *, verbose: bool) -> list[str]:
    """The blast radius, in lines."""
    count, outputs = len(radius.changed), "output" if radius.outputs == 1 else "outputs"
    shown = radius.changed if verbose else radius.changed[:_SHOWN]
    more = f" and {count - len(shown)} more (--verbose names all)" if count > len(shown) else ""
    named = f": {', '.join(map(str, shown))}{more}" if count else ""
    lines = [f"{count or 'none'} of {radius.outputs} {outputs} would change{named}"]
    if radius.layers:
        lines.append(f"{radius.layers} layer{'' if radius.layers == 1 else 's'} would be new; {_pulled(radius)}")
    return lines


def _pulled(radius: Blast) -> str:
    """How much a machine with these images pulls again."""
    known = radius.layers - radius.unknown
    if not known:
        return "how large is not known before something is built that they replace"
    compressed = f"{size(radius.compressed)} compressed" if radius.packed else ""
    whole = size(radius.size) if radius.sized == known else ""
    packed = f" (compressed sizes are known of {radius.packed} of them)" if radius.packed < known and radius.packed else ""
    unknown = f"; {radius.unknown} more, not built yet, of unknown size" if radius.unknown else ""
    return f"to pull again: at most about {', '.join(filter(None, (whole, compressed)))}{packed}, estimated from the layers that are there{unknown}"


def _plain(changes: Sequence[Change], gone: int, radius: Blast | None, *, written: bool) -> dict[str, Any]:
    return {
        "changes": [
            {
                "rule": change.key[0],
                "request": change.key[1],
                "label": str(change.label),
                "name": change.name,
                "old": change.old or None,
                "new": change.new or None,
            }
            for change in changes
        ],
        "unused": gone,
        "written": written,
        "radius": radius
        and {
            "changed": list(map(str, radius.changed)),
            "outputs": radius.outputs,
            "layers": radius.layers,
            "size": radius.size,
            "size_known": radius.sized,
            "compressed": radius.compressed,
            "compressed_known": radius.packed,
            "size_unknown": radius.unknown,
            "estimated": True,
        },
    }
