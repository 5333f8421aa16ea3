"""`graphbuild ci init`: a workflow for a CI service, to begin with. docs/ci.md has the same text, with what there is to say of it."""

import os
import re
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from graphbuild.spec.workspace import find_workspace
from graphbuild.values.errors import EXIT_OK, mistake

_BRANCH = re.compile(r"ref: refs/remotes/origin/([A-Za-z0-9][A-Za-z0-9._/-]*)\s*")
USUAL = {"github": ".github/workflows/images.yml", "gitlab": ".gitlab-ci.yml"}


def ci(options: Any) -> int:
    """Print the workflow, or write it."""
    text = workflow(options.service, default_branch(find_workspace(Path.cwd())), packages())
    if options.output is None:
        sys.stdout.write(text)
        return EXIT_OK
    path = options.output
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(path, "w" if options.force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise mistake(f"{path} is there already", hint="--force writes over it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        said = getattr(error, "strerror", None) or error
        raise mistake(f"cannot write {path!r}: {said}", hint=f"usual is -o {USUAL[options.service]}") from None
    sys.stdout.write(f"wrote {path}\n")
    return EXIT_OK


def workflow(service: str, branch: str, names: list[str]) -> str:
    """The text for a service; `names`: the packages that make graphbuild what it is here."""
    text = Path(__file__).with_name(f"workflow.{service}.yaml").read_text(encoding="utf-8")
    return text.replace("@BRANCH@", branch).replace("@PACKAGES@", " ".join(names))


def default_branch(root: Path) -> str:
    """What git says is the origin's, else main."""
    try:
        said = (root / ".git/refs/remotes/origin/HEAD").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return "main"
    found = _BRANCH.fullmatch(said)
    return found[1] if found else "main"


def packages() -> list[str]:
    """graphbuild, and the plugins that are installed beside it."""
    return ["graphbuild", *sorted({point.dist.name for point in entry_points(group="graphbuild.plugins") if point.dist})]
