"""Git repositories elsewhere, by the `git` of this machine: which commit a name stands for, and a commit's files.

Invariants: a repository is hostile. No hook of anybody runs, no configuration but ours is read, nothing is asked for at a terminal;
a repository that is reached safely leads to none that is not (no http after https, no local path after a URL, also not by submodules).
Passwords in URLs are in no argument, no message and no file that outlives the folder that is worked in. Knows no store.
"""

import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from graphbuild.network.seam import failure
from graphbuild.rules.actions import is_commit
from graphbuild.values.errors import EXIT_INTERRUPTED, GraphbuildError, lacking

_SCP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?!//)[^\x00-\x20\x7f]+")
_NAME = re.compile(r"(?!-)[^\x00-\x20\x7f~^:?*\[\\]+")
_SCHEMES = ("https", "http", "ssh", "git", "file")
_LONG = 64  # hex digits of a commit's SHA-256
_TICK = 0.1  # seconds between two looks whether to stop
_SAID = 4  # lines of git's complaint that a message holds
_CONFIG = """\
[core]
    hooksPath = /dev/null
    attributesFile = /dev/null
    excludesFile = /dev/null
    fsmonitor = false
    symlinks = true
    autocrlf = false
    logAllRefUpdates = false
[init]
    templateDir =
    defaultBranch = master
[gc]
    auto = 0
[maintenance]
    auto = false
[advice]
    detachedHead = false
[fetch]
    recurseSubmodules = false
[http]
    lowSpeedLimit = 1000
    lowSpeedTime = 60
[protocol]
    allow = never
"""


class Resolved(msgspec.Struct, frozen=True):
    """A commit, and the full name of the reference that stands for it ("" where the commit itself was named)."""

    commit: str
    name: str = ""


class _Place(msgspec.Struct, frozen=True):
    """Where a repository is. `url` holds no password; `secret` is the URL of its host with one, or ""."""

    url: str
    scheme: str
    secret: str = ""


def shown(url: str) -> str:
    """A repository's URL as messages and files may hold it: without a password. GraphbuildError for what is none."""
    return _place(url).url


class Git:
    """Works in `folder`, which is empty and nobody else's. `environment`: PATH, proxies, the agent's socket, the CA bundle."""

    def __init__(self, url: str, folder: Path, environment: Mapping[str, str], cancelled: Callable[[], bool]) -> None:
        """GraphbuildError for a URL that is none, and (exit code 36) where there is no git."""
        self._place = _place(url)
        self._folder = folder
        self._cancelled = cancelled
        if shutil.which("git", path=environment.get("PATH")) is None:
            raise lacking(f"{self._place.url}: a git repository needs git, and there is none in PATH", "install it: apt install git")
        self._environment = _environment(environment, folder)
        self._configure()

    def resolve(self, ref: str) -> Resolved:
        """The commit that a branch, a tag or a full reference names there now; of "" the default branch. Branches come first."""
        if is_commit(ref):
            return Resolved(ref)
        if ref and not _NAME.fullmatch(ref):
            raise failure(self._place.url, f"repository does not contain ref {ref!r}")
        name = ref or self._default_branch()
        lines = self._run("ls-remote", "--", self._place.url, name, f"{name}^{{}}").decode("utf-8", "replace").splitlines()
        found = {full: commit for commit, _, full in (line.partition("\t") for line in lines)}
        for full in (f"refs/{name.removeprefix('refs/')}", f"refs/heads/{name}", f"refs/tags/{name}", name):
            commit = found.get(f"{full}^{{}}") or found.get(full)
            if commit and is_commit(commit):
                return Resolved(commit, full)
        raise failure(self._place.url, f"repository does not contain ref {name}")

    def _default_branch(self) -> str:
        lines = self._run("ls-remote", "--symref", "--", self._place.url, "HEAD").decode("utf-8", "replace").splitlines()
        for line in lines:
            target, _, name = line.removeprefix("ref: ").partition("\t")
            if line.startswith("ref: ") and name == "HEAD":
                return target
        raise failure(self._place.url, "could not find its default branch", hint="name a branch, a tag or a commit")

    def checkout(self, wanted: Resolved, *, submodules: bool = True) -> Path:
        """The folder with the files of a commit, and `.git` among them; with those of its submodules."""
        tree = self._folder / "tree"
        tree.mkdir()
        self._run("init", "-q", *(("--object-format=sha256",) if len(wanted.commit) == _LONG else ()), cwd=tree)
        self._run("config", "remote.origin.url", self._place.url, cwd=tree)
        self._fetch(wanted, tree)
        self._run("checkout", "-q", "-f", "--detach", wanted.commit, cwd=tree)
        if submodules and (tree / ".gitmodules").is_file() and not (tree / ".gitmodules").is_symlink():
            self._update_submodules(tree)
        return tree

    def _fetch(self, wanted: Resolved, tree: Path) -> None:
        """Get the commit, alone where the server gives it; what its name stands for may have changed meanwhile."""
        name, everything = wanted.name, "+refs/heads/*:refs/remotes/origin/*"
        attempts: list[tuple[tuple[str, ...], str]] = [
            *([(("--depth=1", "--no-tags"), f"+{name}:{name}" if name.startswith("refs/") else name)] if name else []),
            (("--depth=1", "--no-tags"), wanted.commit),
            (("--depth=2147483647", "--tags"), everything),  # all of it, also where a part is there already
            (("--tags",), everything),
        ]
        error: GraphbuildError | None = None
        for options, refs in attempts:
            try:
                self._run("fetch", "-q", "--update-head-ok", *options, "--", "origin", refs, cwd=tree)
                self._run("cat-file", "-e", f"{wanted.commit}^{{commit}}", cwd=tree)
            except GraphbuildError as failed:
                if failed.exit_code == EXIT_INTERRUPTED:
                    raise
                error = error or failed
            else:
                return
        assert error is not None
        raise error

    def _update_submodules(self, tree: Path) -> None:
        words = ("submodule", "--quiet", "update", "--init", "--recursive", "--force")
        try:
            self._run(*words, "--depth=1", cwd=tree)
        except GraphbuildError as error:
            if error.exit_code == EXIT_INTERRUPTED or not re.search("depth|shallow|advertise", str(error)):
                raise
            self._run(*words, cwd=tree)

    def settle(self, tree: Path) -> None:
        """Make what `.git` folders hold depend on the commit alone, and not on clocks, inodes and how the server packed it."""
        for folder in _repositories(tree / ".git"):
            for pack in sorted((folder / "objects/pack").glob("*.pack")):
                loose = self._folder / "pack"
                pack.rename(loose)
                with loose.open("rb") as file:
                    self._run("--git-dir", str(folder), "unpack-objects", "-q", stdin=file.fileno())
                loose.unlink()
            for name in ("objects/pack", "objects/info", "logs", "hooks", "branches", "info"):
                shutil.rmtree(folder / name, ignore_errors=True)
            for name in ("index", "FETCH_HEAD", "ORIG_HEAD", "description", "gc.log"):
                (folder / name).unlink(missing_ok=True)
            self._run("--git-dir", str(folder), "read-tree", "HEAD")  # an index that knows no inode

    def _configure(self) -> None:
        scheme, secret = self._place.scheme, self._place.secret
        allowed = dict.fromkeys(("https", "ssh", scheme))
        lines = [_CONFIG, *(f'[protocol "{name}"]\n    allow = always\n' for name in allowed)]
        if secret:
            store = self._folder / "credentials"
            _write(store, f"{secret}\n")
            helper = f"store --file={shlex.quote(str(store))}".replace("\\", "\\\\").replace('"', '\\"')
            lines.append(f'[credential]\n    helper = "{helper}"\n')
        _write(self._folder / "config", "".join(lines))

    def _run(self, *words: str, cwd: Path | None = None, stdin: int = subprocess.DEVNULL) -> bytes:
        """Run git; returns what it prints. It is ended with all that it started when somebody asks to stop."""
        process = subprocess.Popen(
            ["git", *words],
            cwd=cwd or self._folder,
            env=self._environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            umask=0o022,
        )
        try:
            while True:
                try:
                    out, err = process.communicate(timeout=_TICK)
                    break
                except subprocess.TimeoutExpired:
                    if self._cancelled():
                        raise failure(self._place.url, "cancelled", exit_code=EXIT_INTERRUPTED) from None
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        if process.returncode:
            said = [line for line in err.decode("utf-8", "replace").splitlines() if line.strip()]
            name = next(word for word in words if not word.startswith(("-", "/")))
            raise failure(self._place.url, f"git {name} failed: {'; '.join(said[-_SAID:]) or f'exit code {process.returncode}'}")
        return out


def _place(url: str) -> _Place:
    if _SCP.fullmatch(url):
        return _Place(url, "ssh")
    try:
        parts = urllib.parse.urlsplit(url)
        host, user, password = parts.hostname or "", parts.username, parts.password
    except ValueError:
        raise failure("git repository", "its URL is malformed") from None
    bad = parts.scheme not in _SCHEMES or any(character <= " " or character == "\x7f" for character in url)
    if bad or host.startswith("-") or (user or "").startswith("-") or (not host and parts.scheme != "file"):
        raise failure(url, "is not the URL of a git repository", hint="https://, ssh://, git://, http:// or user@host:path")
    bare = parts.netloc.rpartition("@")[2]
    if user is None or parts.scheme not in ("http", "https"):
        return _Place(parts._replace(netloc=f"{user}@{bare}" if user is not None else bare).geturl(), parts.scheme)
    return _Place(parts._replace(netloc=bare).geturl(), parts.scheme, f"{parts.scheme}://{user}:{password or ''}@{bare}")


def _environment(given: Mapping[str, str], folder: Path) -> dict[str, str]:
    hosts = os.path.join(given.get("HOME") or "/", ".ssh", "known_hosts").replace('"', "").replace("'", "")
    ssh = f"""ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=yes -o 'UserKnownHostsFile="{hosts}"'"""
    return {
        **{name: value for name, value in given.items() if name != "HOME" and not name.startswith("GIT_")},
        **({"GIT_SSL_CAINFO": given["SSL_CERT_FILE"]} if given.get("SSL_CERT_FILE") else {}),
        "HOME": str(folder),
        "LC_ALL": "C",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(folder),
        "GIT_CONFIG_GLOBAL": str(folder / "config"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_SSH_COMMAND": ssh,
        "GIT_SSH_VARIANT": "ssh",
        "GIT_TERMINAL_PROMPT": "0",
    }


def _repositories(folder: Path) -> Iterator[Path]:
    """A `.git` folder, and those of the submodules in it."""
    yield folder
    for parent, names, _ in os.walk(folder / "modules"):
        if "objects" in names and stat.S_ISREG(os.lstat(os.path.join(parent, "HEAD")).st_mode):
            yield Path(parent)
            names[:] = [name for name in names if name == "modules"]


def _write(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(text)
