"""Git repositories for tests: made in a folder, the same commits each time."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

_IDENTITY = {
    **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "A"), ("EMAIL", "a@example.org"))},
    "GIT_AUTHOR_DATE": "2001-02-03T04:05:06Z",
    "GIT_COMMITTER_DATE": "2001-02-03T04:05:06Z",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}


def git(folder: Path, *words: str) -> str:
    if shutil.which("git") is None:
        pytest.skip("needs git (package git)")
    environment = {**{name: value for name, value in os.environ.items() if not name.startswith("GIT_")}, **_IDENTITY}
    words = ("-c", "protocol.file.allow=always", *words)
    return subprocess.run(["git", *words], cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout.strip()


class Repository:
    """`work` is a working tree, `bare` what is served, `url` where. Names that end in `*` are executable; contents that begin with `->` links."""

    def __init__(self, folder: Path, name: str = "repo") -> None:
        self.work, self.bare = folder / f"{name}-work", folder / f"{name}.git"
        self.url = f"file://{self.bare}"
        folder.mkdir(parents=True, exist_ok=True)
        git(folder, "init", "-q", "-b", "main", self.work.name)
        git(folder, "init", "-q", "-b", "main", "--bare", self.bare.name)
        git(self.work, "remote", "add", "origin", str(self.bare))

    def commit(self, files: Mapping[str, str], *, branch: str = "main", tag: str = "") -> str:
        """Add a commit with these files changed, and push it. Returns its name."""
        git(self.work, "checkout", "-q", "-B", branch)
        for name, content in files.items():
            path = self.work / name.rstrip("*")
            path.parent.mkdir(parents=True, exist_ok=True)
            if content.startswith("->"):
                path.symlink_to(content[2:])
            else:
                path.write_text(content)
                path.chmod(0o755 if name.endswith("*") else 0o644)
        git(self.work, "add", "-A")
        return self._push(branch, tag)

    def submodule(self, path: str, other: "Repository", url: str = "") -> str:
        """Add a commit with a submodule; `url` is what .gitmodules says."""
        git(self.work, "submodule", "--quiet", "add", other.url, path)
        git(self.work, "config", "-f", ".gitmodules", f"submodule.{path}.url", url or other.url)
        git(self.work, "add", "-A")
        return self._push("main", "")

    def _push(self, branch: str, tag: str) -> str:
        git(self.work, "commit", "-q", "--allow-empty", "-m", "c")
        if tag:
            git(self.work, "tag", "-a", "-m", tag, tag)
        git(self.work, "push", "-q", "--tags", "origin", f"+{branch}")
        return git(self.work, "rev-parse", "HEAD")
