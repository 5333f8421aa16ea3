"""Problems as the user sees them: place, line, caret and hint, in colours where that is a terminal."""

import os
import sys
from pathlib import Path

from graphbuild.spec.problem import reader, render
from graphbuild.spec.workspace import find_workspace
from graphbuild.ui.progress import wants_color
from graphbuild.values.errors import Problem


def shown(problem: Problem) -> str:
    """The text of a problem for stderr, without a newline at its end."""
    return render(problem, wants_color(sys.stderr, os.environ), reader(find_workspace(Path.cwd()))).rstrip("\n")
