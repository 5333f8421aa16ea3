"""A conformance case: a Dockerfile, the files around it, and what it is there to find out. Knows no engine."""

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec
from archives import Archive, packed

BASES = ("base", "configured", "onbuild", "debian")

_STAGE = re.compile(rf"(?im)^\s*FROM\s.*\sAS\s+({'|'.join(BASES)})\s*$")


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A regular file. `xattrs` are Latin-1; an owner is kept where the suite runs as root."""

    content: str | bytes = ""
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, str], ...] = ()


class Folder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A directory, also an empty one. Parents that are not named are 0755."""

    mode: int = 0o755
    owner: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, str], ...] = ()


class Symlink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    target: str


class Hardlink(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another name of a regular file that stands earlier in the same mapping."""

    to: str


class Fifo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mode: int = 0o644


Entry = str | bytes | File | Folder | Symlink | Hardlink | Fifo | Archive
Files = Mapping[str, Entry]


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One build and why it is here.

    In `dockerfile`, `files`, `outside` and `args`, `@HTTP@` and `@GIT@` become the URLs of the loopback servers of remote.py.
    """

    name: str  # unique, kebab-case
    why: str  # what a re-implementation would get wrong, one line
    dockerfile: str | bytes
    files: Files = {}  # the context: path -> content
    args: tuple[str, ...] = ()  # words that `docker buildx build` and `graphbuild dockerfile` share
    env: Mapping[str, str] = {}  # of both clients: --build-arg NAME, --secret id=…,env=…
    outside: Files = {}  # the clients' working directory, which is not the context: --secret id=…,src=NAME
    contexts: Mapping[str, Files | str] = {}  # named contexts: files, or the name of one of BASES
    file: str = "Dockerfile"  # where the Dockerfile is, from the context
    base: str = "base"  # the image that the verdict is a difference to: of the last stage, or "scratch"
    varies: tuple[str, ...] = ()  # fnmatch patterns of paths whose content is not the same twice
    unseen: tuple[str, ...] = ()  # fnmatch patterns of paths that are not looked at
    fails: str = ""  # it must fail everywhere, and this is in what graphbuild says
    line: int = 0  # the Dockerfile's line that graphbuild must point at; 0: any line; -1: none, the mistake is elsewhere
    differs: str = ""  # why graphbuild rightly does not do what the engine does; then `tree` or `fails` is ours
    skip_engine: str = ""  # why the engine cannot judge it; then `tree` and `config` are written by hand
    tree: Mapping[str, str] = {}  # only with skip_engine or differs: the difference to `base`, as in expected/*.json
    config: Mapping[str, object] = {}  # only with skip_engine or differs: what it changes in `base`'s config

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise ValueError(f"{self.name!r} is not kebab-case")
        if not (self.skip_engine or self.differs) and (self.tree or self.config):
            raise ValueError(f"{self.name}: an expectation is written by hand only with skip_engine or differs")
        if isinstance(self.dockerfile, str) and (found := _STAGE.search(self.dockerfile)):
            raise ValueError(f"{self.name}: a stage named {found[1]} is hidden by the base image of that name")

    def digest(self) -> str:
        """Of all that the verdict depends on: another digest, and the recorded verdict is stale."""
        parts = (
            self.dockerfile,
            self.files,
            self.args,
            self.env,
            self.outside,
            self.contexts,
            self.file,
            self.base,
            self.varies,
            self.unseen,
        )
        return hashlib.sha256(repr([*parts, bool(self.fails)]).encode("utf-8", "surrogateescape")).hexdigest()[:12]


class Place(msgspec.Struct, frozen=True):
    """Where a case lies on the disk."""

    context: Path
    dockerfile: Path
    cwd: Path
    contexts: tuple[tuple[str, str], ...]  # name -> directory, or "image:NAME"


def lay_out(case: Case, folder: Path, urls: Mapping[str, str] = {}) -> Place:
    """Write the case's files below `folder`, which no other case uses."""
    context, cwd = folder / "context", folder / "cwd"
    urls = urls_for(case, urls)
    write({**case.files, case.file: case.dockerfile}, context, urls)
    write(case.outside, cwd, urls)
    named = []
    for name, files in case.contexts.items():
        if isinstance(files, str):
            named.append((name, f"image:{files}"))
        else:
            write(files, folder / "named" / name, urls)
            named.append((name, str(folder / "named" / name)))
    return Place(context, context / case.file, cwd, tuple(named))


def urls_for(case: Case, urls: Mapping[str, str]) -> dict[str, str]:
    return {**urls, **({"@GIT@": f"{urls['@GIT@']}/{case.name}"} if "@GIT@" in urls else {})}


def place_urls(text: str, urls: Mapping[str, str]) -> str:
    for token, url in urls.items():
        text = text.replace(token, url)
    return text


def write(files: Files, folder: Path, urls: Mapping[str, str] = {}) -> None:
    """Write the files. Directories get their modes last, deepest first: one of them may forbid writing."""
    _parents(folder / "x")
    late = []
    for name, entry in files.items():
        path = folder / name.rstrip("/")
        _parents(path)
        match entry:
            case str() | bytes():
                _regular(path, File(entry), urls)
            case File():
                _regular(path, entry, urls)
            case Archive():
                _regular(path, File(packed(entry)), urls)
            case Folder():
                path.mkdir(exist_ok=True)
                late.append((path, entry))
            case Symlink():
                path.symlink_to(entry.target)
            case Hardlink():
                path.hardlink_to(folder / entry.to)
            case Fifo():
                os.mkfifo(path)
                path.chmod(entry.mode)
    for path, entry in sorted(late, reverse=True):
        _attributes(path, entry)


def _parents(path: Path) -> None:
    if not path.parent.is_dir():
        _parents(path.parent)
        path.parent.mkdir(exist_ok=True)
        path.parent.chmod(0o755)


def _regular(path: Path, entry: File, urls: Mapping[str, str]) -> None:
    content = entry.content
    path.write_bytes(content if isinstance(content, bytes) else place_urls(content, urls).encode("utf-8", "surrogateescape"))
    _attributes(path, entry)


def _attributes(path: Path, entry: File | Folder) -> None:
    for name, value in entry.xattrs:
        os.setxattr(path, name, value.encode("latin-1"))
    if entry.owner != (0, 0) and os.geteuid() == 0:
        os.chown(path, *entry.owner)
    if stat.S_IMODE(path.stat().st_mode) != entry.mode:
        path.chmod(entry.mode)
    # chown and chmod drop security.capability
    for name, value in entry.xattrs:
        os.setxattr(path, name, value.encode("latin-1"))
