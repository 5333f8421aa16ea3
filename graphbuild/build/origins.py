"""The lines where actions were written down, looked for in the specs when somebody must see one."""

from pathlib import Path

from graphbuild.graph.analyze import Node


def line_of(node: Node, root: Path) -> int:
    """The line of a node in its file. `root` is that of the workspace."""
    if node.path is None:
        return node.line
    from graphbuild.spec.problem import find_place, reader

    return find_place(node.path, reader(root)(node.path.file)).line
