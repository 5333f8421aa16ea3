"""The built-in variables: `git.commit`, `platform.arch` and their like. Looked up only when a target mentions them.

git's files are read directly: starting git costs more than a whole unchanged build.
"""

import os
from collections.abc import Callable
from pathlib import Path

from graphbuild.values.errors import mistake
from graphbuild.values.platform import architecture_of, oci_architecture, this_platform, variant_of

NAMES = (
    "git.commit",
    "git.short",
    "git.branch",
    "platform",
    "platform.os",
    "platform.arch",
    "platform.variant",
    "build.platform",
    "build.arch",
    "package",
    "env.NAME",
)


class Builtins:
    """`builtins(name, package, platform)` gives a value or None. What it read is told to `watch`, what it asked the environment to `named`."""

    def __init__(self, root: Path, watch: Callable[[Path], object]) -> None:
        self._root = root
        self._watch = watch
        self.named: dict[str, str] = {}  # environment variables that were asked for

    def __call__(self, name: str, package: str, platform: str) -> str | None:
        if name.startswith("env."):
            return self._environment(name.removeprefix("env."))
        known: dict[str, Callable[[], str]] = {
            "platform": lambda: platform,
            "platform.os": lambda: platform.partition("/")[0],
            "platform.arch": lambda: architecture_of(platform),
            "platform.variant": lambda: variant_of(platform),
            "build.platform": this_platform,
            "build.arch": oci_architecture,
            "package": lambda: package,
            "git.commit": self._commit,
            "git.short": lambda: self._commit()[:12],
            "git.branch": lambda: self._head()[1].removeprefix("refs/heads/") or "HEAD",
        }
        return known[name]() if name in known else None

    def _environment(self, name: str) -> str:
        value = os.environ.get(name)
        if value is None:
            raise mistake(f"the environment has no {name}, which ${{env.{name}}} asks for", hint=f"set it: {name}=… graphbuild run")
        self.named[name] = value
        return value

    def _head(self) -> tuple[Path, str, str]:
        """The folder of git's shared files, the branch's ref ("" when HEAD is detached), the commit HEAD names itself ("" else)."""
        git = self._root / ".git"
        if git.is_file():  # a worktree or submodule: the file says where
            git = (self._root / git.read_text().removeprefix("gitdir:").strip()).resolve()
        head = git / "HEAD"
        if self._watch(head) is None:
            raise mistake("there is no git repository here to ask for ${git.…}", hint="run `git init`, or pass the value with --set")
        text = head.read_text().strip()
        common = git / "commondir"
        shared = (git / common.read_text().strip()).resolve() if common.is_file() else git
        return (shared, text.removeprefix("ref: "), "") if text.startswith("ref: ") else (shared, "", text)

    def _commit(self) -> str:
        shared, ref, detached = self._head()
        if detached:
            return detached
        loose = shared / ref
        if self._watch(loose) is not None:
            return loose.read_text().strip()
        packed = shared / "packed-refs"
        if self._watch(packed) is not None:
            for line in packed.read_text().splitlines():
                commit, _, name = line.partition(" ")
                if name == ref:
                    return commit
        raise mistake(f"git has no commit on {ref.removeprefix('refs/heads/')} yet", hint="commit something, or pass the value with --set")
