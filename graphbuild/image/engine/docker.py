"""Docker, by its API on its socket (`DOCKER_HOST=unix://…`).

`/images/load` takes an archive in which layers are missing that the engine has below the same layers: so does Docker 20.10, and 28.5
with either of its image stores (measured). With containerd's image store a layer is a blob, and one that was pulled is another blob than
the tar of the same files: there only images count that we loaded.
"""

import http.client
import os
import socket
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from graphbuild.image.engine.seam import Loaded, Progress, Sought
from graphbuild.image.engine.stream import size_of, tar_of, without
from graphbuild.image.model import blob_name
from graphbuild.image.write import ImageContent, docker_members
from graphbuild.values.digest import Digest, parse_digest
from graphbuild.values.errors import EXIT_FAILED, GraphbuildError, Problem, lacking

_SOCKET = "/var/run/docker.sock"
_PATIENCE = 60.0  # seconds for a question
_LOADING = 3600.0  # seconds for it to unpack what was sent
_LOOKED_AT = 100  # images whose layers are asked for
_LARGEST = 64 << 20


class _Summary(msgspec.Struct, frozen=True, rename="pascal"):
    id: str


class _RootFs(msgspec.Struct, frozen=True, rename="pascal"):
    layers: tuple[str, ...] | None = None


class _Details(msgspec.Struct, frozen=True):
    id: str = msgspec.field(name="Id")
    root_fs: _RootFs = msgspec.field(name="RootFS", default=_RootFs())


class _Info(msgspec.Struct, frozen=True, rename="pascal"):
    driver_status: tuple[tuple[str, str], ...] | None = None


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Docker:
    """The engine that the environment names."""

    name = "docker"
    tars = True

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._path = socket_of(environment)

    def missing(self, sought: Sought) -> str:
        names = [name.familiar for name in sought.names] or [str(sought.config)]
        for name in names:
            found = self._details(name)
            if found is None:
                return f"docker has no {name}"
            if not sought.has(found.id):
                return f"docker has another {name}"
        return ""

    def load(self, content: ImageContent, codec: str, ours: Callable[[Digest], bool], progress: Progress) -> Loaded:
        del codec
        members, manifest = docker_members(content)
        known = self._known([str(layer.diff_id) for layer in content.layers], ours)
        absent = {blob_name(layer.diff_id) for layer in content.layers if str(layer.diff_id) in known}
        try:
            sent = without(members, absent)
            self._send(tar_of(sent, content.created, progress))
        except GraphbuildError:
            if not absent:
                raise
            sent = members  # it may have lost a layer meanwhile
            self._send(tar_of(sent, content.created, progress))
        names = {member.name for member in sent}
        return Loaded(manifest, len({layer.diff_id for layer in content.layers if blob_name(layer.diff_id) in names}), size_of(sent))

    def _known(self, layers: Sequence[str], ours: Callable[[Digest], bool]) -> set[str]:
        """The layers that the engine has, below the same layers."""
        blobs = any(value.startswith("io.containerd.") for _, value in self._info().driver_status or ())
        longest = 0
        for image in self._images()[:_LOOKED_AT]:
            found = self._details(image.id) if not blobs or ours(_parsed(image.id)) else None
            pairs = zip(layers, (found.root_fs.layers or ()) if found else (), strict=False)
            same = next((number for number, (one, other) in enumerate(pairs) if one != other), None)
            length = same if same is not None else min(len(layers), len((found.root_fs.layers or ()) if found else ()))
            longest = max(longest, length)
        return set(layers[:longest])

    def _info(self) -> _Info:
        return msgspec.json.decode(self._get("/info")[1], type=_Info)

    def _images(self) -> list[_Summary]:
        return msgspec.json.decode(self._get("/images/json")[1], type=list[_Summary])

    def _details(self, name: str) -> _Details | None:
        status, data = self._get(f"/images/{urllib.parse.quote(name)}/json")
        return msgspec.json.decode(data, type=_Details) if status == 200 else None

    def _get(self, path: str) -> tuple[int, bytes]:
        return self._request("GET", path, None, _PATIENCE)

    def _send(self, tar: Iterable[bytes]) -> None:
        status, data = self._request("POST", "/images/load?quiet=1", tar, _LOADING)
        for line in data.splitlines():
            said = _said(line)
            if "Error unpacking" in said:
                raise _refused(said)
        if status != 200:
            raise _refused(_said(data))

    def _request(self, method: str, path: str, body: Iterable[bytes] | None, timeout: float) -> tuple[int, bytes]:
        connection = _Connection(self._path, timeout)
        headers = {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"} if body is not None else {}
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise self._not_there(error) from None
        try:
            connection.request(method, path, body=body, headers=headers, encode_chunked=body is not None)
            response = connection.getresponse()
            data = response.read(_LARGEST)
        except (OSError, http.client.HTTPException) as error:
            raise _refused(getattr(error, "strerror", None) or type(error).__name__) from None
        else:
            return response.status, data
        finally:
            connection.close()

    def _not_there(self, error: OSError) -> GraphbuildError:
        if isinstance(error, PermissionError):
            return lacking(f"docker: this user may not use {self._path}", "join the group docker: usermod -aG docker USER")
        fix = "start it: systemctl start docker; or say where it is: DOCKER_HOST=unix:///path/to/docker.sock"
        return lacking(f"docker: no engine at {self._path} ({error.strerror})", fix)


def socket_of(environment: Mapping[str, str]) -> str:
    """Where the engine's socket is. GraphbuildError (36) for an engine that is reached in another way."""
    host = environment.get("DOCKER_HOST", "")
    if host.startswith("unix://"):
        return host.removeprefix("unix://")
    if host:
        raise lacking(
            f"docker: DOCKER_HOST={host.partition('@')[2] or host} is no unix socket", "name one: DOCKER_HOST=unix:///path/to/docker.sock"
        )
    own = os.path.join(environment.get("XDG_RUNTIME_DIR") or "/nowhere", "docker.sock")
    return own if not os.path.exists(_SOCKET) and os.path.exists(own) else _SOCKET


def _parsed(text: str) -> Digest:
    try:
        return parse_digest(text)
    except ValueError:
        raise _refused(f"{text[:100]!r} is no image's id") from None


def _said(line: bytes) -> str:
    """A line of the engine's answer in words."""
    try:
        data: Any = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line.decode("utf-8", "replace")[:500]
    if not isinstance(data, dict):
        return ""
    return str(data.get("error") or data.get("message") or data.get("stream") or "")[:500].strip()


def _refused(cause: str) -> GraphbuildError:
    return GraphbuildError(Problem(f"docker: {cause or 'refused the image'}"), exit_code=EXIT_FAILED)
