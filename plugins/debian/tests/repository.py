"""A small Debian archive on a loopback port, signed by a throw-away key, and a lock context that really fetches from it."""

import hashlib
import lzma
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pysequoia

from graphbuild.rules import Label, mistake


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """`folder` over HTTP; its address, without a slash at the end."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Key:
    """A signing key that lives in memory."""

    def __init__(self) -> None:
        self._tsk = pysequoia.Tsk.generate("archive <archive@example.org>")

    @property
    def public(self) -> str:
        return str(self._tsk.extract_certificate())

    def sign(self, text: str) -> bytes:
        signer = self._tsk.signer()
        return bytes(pysequoia.sign(signer, text.encode(), mode=pysequoia.SignatureMode.CLEAR))


def release(files: dict[str, bytes], **changed: str) -> str:
    """The text of a Release of suite `testing-suite`; a field changed to "" is left out."""
    fields = {
        "Origin": "Test",
        "Suite": "fixture",
        "Codename": "nova",
        "Date": "Sat, 01 Jan 2022 00:00:00 UTC",
        "Architectures": "all amd64",
        "Components": "main",
        **{name.replace("_", "-"): value for name, value in changed.items()},
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    entries = [f" {hashlib.sha256(data).hexdigest()} {len(data)} {path}" for path, data in sorted(files.items())]
    return "\n".join([*lines, "SHA256:", *entries]) + "\n"


def publish(root: Path, key: Key, packages: str, *, suite: str = "nova", tamper: bytes = b"", **changed: str) -> None:
    """Write `dists/SUITE` of an archive; `tamper` takes the place of Packages.xz after it was listed."""
    plain = packages.encode()
    files = {"main/binary-amd64/Packages": plain, "main/binary-amd64/Packages.xz": lzma.compress(plain)}
    folder = root / "dists" / suite
    (folder / "main/binary-amd64").mkdir(parents=True, exist_ok=True)
    (folder / "main/binary-amd64/Packages.xz").write_bytes(tamper or files["main/binary-amd64/Packages.xz"])
    (folder / "InRelease").write_bytes(key.sign(release(files, **changed)))


class FetchingContext:
    """`LockContext` by urllib: every body is checked against its digest and size."""

    label = Label("", "base")
    platform = "linux/amd64"
    build_platform = "linux/amd64"

    def __init__(self, folder: Path, locked: object = None, refresh: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self.locked, self.refresh = locked, refresh
        self.reports: list[str] = []

    def fetch(self, url: str, *, sha256: str = "", size: int = 0) -> bytes:
        try:
            with urllib.request.urlopen(url, timeout=60) as response:
                body: bytes = response.read()
        except OSError as error:
            raise mistake(f"cannot fetch {url}: {error}") from error
        if sha256 and hashlib.sha256(body).hexdigest() != sha256:
            raise mistake(f"{url} is not what was expected: another SHA256")
        if size and len(body) != size:
            raise mistake(f"{url} is not what was expected: {len(body)} bytes, not {size}")
        return body

    def read(self, path: str) -> bytes:
        try:
            return (self._folder / path).read_bytes()
        except OSError as error:
            raise mistake(f"cannot read {path}: {error.strerror}") from error

    def fetch_file(self, url: str, *, sha256: str = "", size: int = 0) -> Path:
        body = self.fetch(url, sha256=sha256, size=size)
        path = self._folder / hashlib.sha256(body).hexdigest()
        path.write_bytes(body)
        return path

    def report(self, text: str) -> None:
        self.reports.append(text)
