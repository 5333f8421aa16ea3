"""Where an action was written down, for people: of those that have a text of their own, such as an instruction of a Dockerfile."""

import os
from pathlib import Path

from graphbuild.build.origins import line_of
from graphbuild.graph.analyze import Node
from graphbuild.ui.text import clean

_LONGEST = 160  # characters of a text


def origin(node: Node, root: Path) -> list[str]:
    """The line that says it; none for what is only its target's. `root` is that of the workspace."""
    if not node.text:
        return []
    text = node.text if len(node.text) <= _LONGEST else node.text[: _LONGEST - 1] + "…"
    return [clean(f"{_near(node.file)}:{line_of(node, root)}: {text}")]


def _near(file: str) -> str:
    """A path as it is written from here, if it is below."""
    near = os.path.relpath(file) if os.path.isabs(file) else file
    return file if near.startswith("..") else near
