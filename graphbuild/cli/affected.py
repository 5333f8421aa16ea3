"""`graphbuild affected --since REV`: which targets are not what they were at a revision."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from graphbuild.build.affected import Affected, TreeReader, affected
from graphbuild.build.revisions import Objects, as_it_is, at_commit, commit_of
from graphbuild.cli.session import Session, report, session
from graphbuild.values.errors import EXIT_OK
from graphbuild.values.label import Label


def affected_since(options: Any) -> int:
    """Print the labels, sorted."""
    with session(options, report) as opened:
        found = since(options.since, opened)
        wanted = set(opened.selected(options.labels)) if options.labels else None
        changed = [
            label for label in found.changed if (wanted is None or label in wanted) and (not options.outputs or is_output(label, opened))
        ]
        opened.project.saved()
    if found.why:
        report(f"everything counts as affected: {found.why}")
    if options.json:
        sys.stdout.write(json.dumps({"affected": list(map(str, changed)), "gone": list(map(str, found.gone)), "why": found.why}) + "\n")
    else:
        sys.stdout.writelines(f"{label}\n" for label in changed)
    return EXIT_OK


def since(revision: str, opened: Session) -> Affected:
    """What is not as it was at a revision, of all targets."""
    project, root = opened.project, opened.project.root
    commit = commit_of(root, revision)
    with Objects(root) as objects, opened.store.scratch() as scratch:
        before, now = at_commit(root, commit, objects), as_it_is(root)
        parts = (project.inputs, opened.store, opened.network, opened.images)
        return affected(before, now, project, commit, lambda tree: lambda nodes: TreeReader(tree, scratch, *parts, nodes))


def only_affected(revision: str, opened: Session, labels: Sequence[Label]) -> list[Label]:
    """Those of the targets that are not what they were at a revision."""
    found = since(revision, opened)
    if found.why:
        report(f"everything counts as affected: {found.why}")
    changed = set(found.changed)
    return [label for label in labels if label in changed]


def is_output(label: Label, opened: Session) -> bool:
    return opened.project.workspace.declaration(label).section == "outputs"
