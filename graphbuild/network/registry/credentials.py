"""Who one is to a registry: what `docker login` and `podman login` wrote down, and the credential helpers that they name.

Read: `$REGISTRY_AUTH_FILE`, `$DOCKER_CONFIG/config.json` (`~/.docker`), `$XDG_RUNTIME_DIR/containers/auth.json` and
`~/.config/containers/auth.json`; the first that knows the registry counts. Invariants: a secret is in no argument of a program, no
message and no file; a helper is a program of PATH whose name begins with docker-credential-. Knows no transport.
"""

import base64
import binascii
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from graphbuild.values.errors import GraphbuildError, lacking, mistake

_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PATIENCE = 60  # seconds that a helper may take
_LARGEST = 4 << 20
_DOCKER_HUB = "https://index.docker.io/v1/"  # what Docker calls itself
_HUB_NAMES = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


class Credentials(msgspec.Struct, frozen=True):
    """A user with a password, or an identity token, which a token server changes for tokens. Never shown: its repr is empty."""

    user: str = ""
    password: str = ""
    identity: str = ""

    def __repr__(self) -> str:
        return "Credentials()"


class Keyring:
    """The credentials that an environment leads to, each looked up once a registry."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._found: dict[tuple[str, str], Credentials | None] = {}
        self._lock = threading.Lock()

    def find(self, host: str, path: str) -> Credentials | None:
        """Those for a repository. GraphbuildError for a file that cannot be read, and (exit code 36) for a helper that is not there."""
        with self._lock:
            if (host, path) not in self._found:
                self._found[host, path] = next(self._candidates(host, path), None)
            return self._found[host, path]

    def _candidates(self, host: str, path: str) -> Iterator[Credentials]:
        for file in self._files():
            config = _read(file)
            for helper, server in _helpers(config, host):
                if found := self._ask(helper, server, file):
                    yield found
            if found := _written(config, host, path, file):
                yield found

    def _files(self) -> Iterator[str]:
        given, home = self._environment, self._environment.get("HOME") or "/"
        if named := given.get("REGISTRY_AUTH_FILE"):
            yield named
        yield os.path.join(given.get("DOCKER_CONFIG") or os.path.join(home, ".docker"), "config.json")
        if runtime := given.get("XDG_RUNTIME_DIR"):
            yield os.path.join(runtime, "containers", "auth.json")
        yield os.path.join(given.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"), "containers", "auth.json")

    def _ask(self, helper: str, server: str, file: str) -> Credentials | None:
        program = f"docker-credential-{helper}"
        path = shutil.which(program, path=self._environment.get("PATH")) if _HELPER.fullmatch(helper) else None
        if path is None:
            raise lacking(f"{file} names the credential helper {helper!r}, and there is no {program} in PATH", "install it, or log in anew")
        try:
            done = subprocess.run(
                [path, "get"],
                input=server.encode(),
                env=dict(self._environment),
                capture_output=True,
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise mistake(f"{program}: {getattr(error, 'strerror', None) or f'no answer in {_PATIENCE} s'}") from None
        if done.returncode:
            if b"not found" in done.stdout.lower():
                return None
            raise mistake(f"{program}: exit code {done.returncode}", hint=f"try it: echo {server} | {program} get")
        return _of_helper(done.stdout, program)


def _of_helper(text: bytes, program: str) -> Credentials | None:
    try:
        answer = msgspec.json.decode(text)
        user, secret = str(answer.get("Username") or ""), str(answer.get("Secret") or "")
    except (msgspec.DecodeError, AttributeError):
        raise mistake(f"{program}: its answer is no JSON object") from None
    if not secret:
        return None
    return Credentials(identity=secret) if user == "<token>" else Credentials(user, secret)


def _read(file: str) -> dict[str, Any]:
    try:
        with open(file, "rb") as stream:
            data = msgspec.json.decode(stream.read(_LARGEST) or b"{}")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, msgspec.DecodeError) as error:
        raise _unreadable(file, getattr(error, "strerror", None) or "it is not valid JSON") from None
    return data if isinstance(data, dict) else {}


def _unreadable(file: str, cause: str) -> GraphbuildError:
    return mistake(f"cannot read the credentials in {file}: {cause}", hint="repair it, or log in anew")


def _helpers(config: Mapping[str, Any], host: str) -> Iterator[tuple[str, str]]:
    """The helpers that may know a registry, and what they call it."""
    server = _DOCKER_HUB if host in _HUB_NAMES else host
    by_host = config.get("credHelpers")
    if isinstance(by_host, dict):
        for name, helper in by_host.items():
            if _is(name, host) and isinstance(helper, str):
                yield helper, server
                return
    if isinstance(store := config.get("credsStore"), str) and store:
        yield store, server


def _written(config: Mapping[str, Any], host: str, path: str, file: str) -> Credentials | None:
    """What stands in the file itself: the entry of the longest part of host/path."""
    auths = config.get("auths")
    found = [name for name in auths if _is(name, host, path)] if isinstance(auths, dict) else []
    for name in sorted(found, key=lambda text: (_place(text).count("/"), text), reverse=True):
        entry = auths[name] if isinstance(auths, dict) else None
        if isinstance(entry, dict) and (known := _entry(entry, name, file)):
            return known
    return None


def _entry(entry: Mapping[str, Any], name: str, file: str) -> Credentials | None:
    if identity := entry.get("identitytoken"):
        return Credentials(identity=str(identity))
    user, password = entry.get("username"), entry.get("password")
    if text := entry.get("auth"):
        try:
            user, colon, password = base64.b64decode(str(text), validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = ""
        if not colon:
            raise _unreadable(file, f"`auth` of {name} is not user:password in base64")
        password = str(password).rstrip("\0")
    return Credentials(str(user), str(password)) if user and password else None


def _place(name: str) -> str:
    """A name without its scheme, and without the versions that Docker adds."""
    text = name.partition("://")[2] if "://" in name else name
    return re.sub(r"/(v1|v2)?/?$", "", text)


def _is(name: str, host: str, path: str = "") -> bool:
    place = _place(name)
    at, _, below = place.partition("/")
    if at != host and not {at, host} <= _HUB_NAMES:
        return False
    return not below or f"{path}/".startswith(f"{below}/")
