"""Parsed packages and settings, remembered by content: a file that did not change is not parsed again, nor a YAML parser imported.

One pack file holds everything: a checksum, then MessagePack of {key: encoded PackageSpec}. It is replaced by rename, so a
reader sees an old pack or a new one; two writers at once lose one's new entries, which only costs a parse. Anything wrong
with it is a miss. A key covers the parser's version, the rules' names, the file's name and its text.
"""

import contextlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec
from blake3 import blake3

from graphbuild import __version__
from graphbuild.spec.model import PackageSpec
from graphbuild.spec.workspace import Settings, parse_settings

VERSION = 2  # of what parsing a text gives; raise it when parse_package changes

_NAME = "packages"
_CHECKSUM = 32
_MAX_BYTES = 256 << 20
_pack = msgspec.msgpack.Decoder(dict[bytes, msgspec.Raw])
_spec = msgspec.msgpack.Decoder(PackageSpec)


class ParsedCache:
    """The cache in a folder, for one set of rules (name → kind or kinds). Not for use by several threads at once."""

    def __init__(self, folder: Path, rules: Mapping[str, str | tuple[str, ...]]) -> None:
        self._path = folder / _NAME
        self._rules = rules
        self._seed = blake3(msgspec.msgpack.encode([VERSION, __version__, sorted(rules.items())], order="deterministic")).digest()
        self._entries: dict[bytes, msgspec.Raw] | None = None
        self._used: dict[bytes, bytes | msgspec.Raw] = {}
        self._fresh = 0

    def package(self, text: bytes, file: str, package: str) -> PackageSpec:
        """What `parse_package` gives, from the cache where it is known. A file with problems is never remembered."""
        names = msgspec.msgpack.encode((file, package))
        key = blake3(self._seed + len(names).to_bytes(4, "little") + names + text).digest()
        found = self._read().get(key)
        if found is not None:
            try:
                spec = _spec.decode(found)
            except msgspec.DecodeError:
                pass
            else:
                self._used[key] = found
                return spec
        from graphbuild.spec.package import parse_package

        spec = parse_package(text, file, package, self._rules)
        self._used[key] = msgspec.msgpack.encode(spec)
        self._fresh += 1
        return spec

    def save(self) -> None:
        """Write what is new. Entries that were not asked for are kept while they are no more than those that were."""
        if not self._fresh:
            return
        entries: dict[bytes, bytes | msgspec.Raw] = dict(self._used)
        unused = [key for key in self._read() if key not in entries]
        for key in unused[: max(len(entries), 1000)]:
            entries[key] = self._read()[key]
        payload = msgspec.msgpack.encode({key: msgspec.Raw(value) for key, value in entries.items()})
        _replace(self._path, blake3(payload).digest() + payload)
        self._fresh = 0

    def _read(self) -> dict[bytes, msgspec.Raw]:
        if self._entries is None:
            self._entries = _load(self._path)
        return self._entries


def remembered_settings(path: Path, text: bytes, file: str) -> Settings:
    """What `parse_settings` gives, from the file at `path` if that is of the same text, and kept there otherwise. One with problems is not."""
    mark = blake3(msgspec.msgpack.encode((VERSION, __version__, file, text))).digest()
    with contextlib.suppress(OSError, msgspec.DecodeError):
        data = path.read_bytes()
        if data[:_CHECKSUM] == mark and blake3(data[2 * _CHECKSUM :]).digest() == data[_CHECKSUM : 2 * _CHECKSUM]:
            return msgspec.msgpack.decode(data[2 * _CHECKSUM :], type=Settings)
    settings = parse_settings(text, file)
    payload = msgspec.msgpack.encode(settings)
    _replace(path, mark + blake3(payload).digest() + payload)
    return settings


def _replace(path: Path, data: bytes) -> None:
    """Write a file in the place of another. A folder that cannot be written is no mistake: what is not remembered is parsed again."""
    partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()


def _load(path: Path) -> dict[bytes, msgspec.Raw]:
    """The entries of a pack; none where it is missing, too large or damaged."""
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES or blake3(data[_CHECKSUM:]).digest() != data[:_CHECKSUM]:
            return {}
        return _pack.decode(memoryview(data)[_CHECKSUM:])
    except (OSError, msgspec.DecodeError):
        return {}
