"""A workspace in a temporary folder with a store of its own, driven through the command line as a user would."""

import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

from accounts import give

BASE = """\
bases:
  base: {tar: base.tar, visibility: public}
"""


class Done:
    """How a command line ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def certified(self) -> bool:
        """Whether the answer came from the certificate of an unchanged build."""
        return self.code == 0 and self.err.startswith("ok: all ") and "up to date" in self.err

    def __repr__(self) -> str:
        return f"exit code {self.code}\n{self.out}\n{self.err}"


class Workspace:
    """`files` are written by `write`; `run` is `graphbuild run`, `build` one whose events are kept.

    `prefix`: words that start every command, e.g. as an ordinary user. `owner`: whose the workspace's files are.
    """

    def __init__(
        self,
        folder: Path,
        store: Path,
        *,
        prefix: tuple[str, ...] = (),
        environment: Mapping[str, str] = {},
        owner: int | None = None,
    ) -> None:
        self.root, self.store, self.prefix, self.owner = folder, store, prefix, owner
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **environment}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "graphbuild.yaml").touch()

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if self.owner is not None:
            give(self.root, self.owner)

    def __call__(self, *words: str, cwd: str = "", input: str | None = None, **environment: str) -> Done:  # noqa: A002
        """Run a command line; whatever happens is in what comes back."""
        command = [*self.prefix, sys.executable, "-m", "graphbuild", *words]
        places = {"GRAPHBUILD_STORE": str(self.store), "PYTHONPATH": str(Path(__file__).parents[1])}
        variables = {**self.environment, **places, **environment}
        if input is None:
            done = subprocess.run(
                command, cwd=self.root / cwd, env=variables, capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=False
            )
        else:
            done = subprocess.run(
                command, cwd=self.root / cwd, env=variables, capture_output=True, input=input.encode(), timeout=120, check=False
            )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *words: str, **environment: str) -> Done:
        """A command line that must succeed."""
        done = self(*words, **environment)
        assert done.code == 0, done
        return done

    def run(self, *words: str, **environment: str) -> Done:
        return self.ok("run", "--progress=plain", *words, **environment)

    def fails(self, *words: str, code: int = 1, **environment: str) -> str:
        """What a command line that must fail says on stderr."""
        done = self(*words, **environment)
        assert done.code == code, done
        assert "Traceback" not in done.err, done.err
        return done.err

    def build(self, *words: str, code: int = 0, **environment: str) -> list[dict]:
        """The events of a build."""
        done = self("run", "--progress=quiet", "--events=-", *words, **environment)
        assert done.code == code, done
        return [json.loads(line) for line in done.out.splitlines() if line.startswith("{")]

    def statuses(self, *words: str, code: int = 0, **environment: str) -> dict[str, str]:
        """What a build did with every action, by `label#action`."""
        return fates(self.build(*words, code=code, **environment))

    def built(self, *words: str, code: int = 0, **environment: str) -> set[str]:
        """Which actions a build built."""
        return {name for name, status in self.statuses(*words, code=code, **environment).items() if status == "built"}

    def sh(self, script: str, *, head: str = BASE, **attributes: object) -> str:
        """What a step that runs the script on the base writes to /out."""
        step = {"from": ["base"], "run": script, **attributes}
        self.write({"build.yaml": head + spec_of(steps={"step": step}, outputs=taken("step", "/out", "dist/out"))})
        self.run(":taken")
        return (self.root / "dist/out/out").read_text()


def spec_of(**sections: dict) -> str:
    """The sections of a build.yaml, in JSON, a line each."""
    return "".join(f"{name}: {json.dumps(section)}\n" for name, section in sections.items())


def taken(target: str, path: str, to: str) -> dict:
    """An output that takes a path out of a target."""
    return {"taken": {"from": target, "files": {"paths": path, "to": {"dir": to}}}}


def fates(events: list[dict]) -> dict[str, str]:
    return {f"{event['label']}#{event['action']}": event["status"] for event in events if event["event"] == "action"}


def settle() -> None:
    """Wait until what was written is older than the clock's grain, so that a certificate may speak of it."""
    time.sleep(0.06)


def manifest(layout: Path) -> str:
    """The digest of the one manifest that a layout's index names, once a tag."""
    (digest,) = {descriptor["digest"] for descriptor in json.loads((layout / "index.json").read_bytes())["manifests"]}
    return digest


def blob(layout: Path, digest: str) -> dict:
    return json.loads((layout / "blobs" / digest.replace(":", "/")).read_bytes())


def config_of(layout: Path) -> dict:
    return blob(layout, blob(layout, manifest(layout))["config"]["digest"])


def layers_of(layout: Path) -> list[list[str]]:
    """The names in each layer, lowest first, with `/` after folders."""
    found = []
    for layer in blob(layout, manifest(layout))["layers"]:
        with tarfile.open(layout / "blobs" / layer["digest"].replace(":", "/")) as tar:
            found.append([member.name + "/" * member.isdir() for member in tar])
    return found


def tree_of(archive: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(archive) as tar:
        return {member.name.strip("/"): member for member in tar}


def tar_of(files: Mapping[str, bytes | str], mode: str = "w") -> bytes:
    """A tar: bytes are files' contents, text is symlinks' targets; a name that ends in / is a folder."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name.rstrip("/"))
            member.mode = 0o755
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
                member.mode = 0o1777 if name == "tmp/" else 0o755
                tar.addfile(member)
            elif isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return stream.getvalue()
