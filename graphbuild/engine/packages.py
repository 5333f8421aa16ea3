"""The packages in images, as their managers' databases have them: dpkg, apk, Python distributions.

Sources: dpkg's `status` and `info/*.list` (deb-control(5), dpkg-query(1)), apk-tools' `installed` (apk index format), PEP 376 and
PEP 627 (RECORD).
What is no database, or a broken one, holds no packages: an image may come from anywhere.
"""

import os
import re
from collections.abc import Iterator, Mapping

import msgspec

from graphbuild.engine.versions import Manager, normalized
from graphbuild.layers.stack import Layer, Stack
from graphbuild.values.digest import Digest
from graphbuild.values.entry import Kind

_LARGEST = 64 << 20  # bytes of a database
_STATUS = b"var/lib/dpkg/status"
_STATUS_FOLDER = b"var/lib/dpkg/status.d"
_INFO = b"var/lib/dpkg/info"
_APK = b"lib/apk/db/installed"
_SITE = re.compile(rb"((?:.*/)?(?:site|dist)-packages)/(.+)")
_PYTHON = re.compile(rb"(?:.*/)?(?:site|dist)-packages/([^/]+)-([^/-]+)\.dist-info/METADATA")
_FIELDS: dict[Manager, tuple[bytes, bytes]] = {"deb": (b"Package: ", b"Version: "), "apk": (b"P:", b"V:")}

_Versions = Mapping[str, tuple[str, ...]]  # by name: foreign architectures may bring several


class Installed(msgspec.Struct, frozen=True):
    """A package of an image. `path`: the file that says so, as the image shows it."""

    manager: Manager
    name: str
    version: str
    path: bytes


class Databases:
    """The package databases of layers: each is read once, however many images show it."""

    def __init__(self) -> None:
        self._files: dict[tuple[Digest, bytes], _Versions] = {}
        self._distributions: dict[Digest, tuple[tuple[bytes, str, str], ...]] = {}

    def all(self, stack: Stack) -> Iterator[Installed]:
        """Every package of an image."""
        for manager, path in _places(stack):
            for name, versions in self._shown(stack, manager, path).items():
                yield from (Installed(manager, name, version, path) for version in versions)
        for layer in stack.layers:
            for path, name, version in self._python(layer):
                if stack.lookup(path) is not None:
                    yield Installed("python", name, version, path)

    def named(self, stack: Stack, manager: Manager, name: str) -> Iterator[Installed]:
        """The packages of an image that one manager has under a name (`versions.normalized`)."""
        if manager == "python":
            for layer in stack.layers:
                for path, own, version in self._python(layer):
                    if normalized(manager, own) == name and stack.lookup(path) is not None:
                        yield Installed(manager, own, version, path)
            return
        for kind, path in _places(stack):
            if kind == manager:
                yield from (Installed(manager, name, version, path) for version in self._shown(stack, manager, path).get(name, ()))

    def brought_by(self, stack: Stack, package: Installed) -> Layer | None:
        """The layer that brought a package in this version: the lowest from which on the database has it, for a layer above repeats all of it."""
        brought = None
        if package.manager == "python":
            seen = stack.find(stack.resolve(package.path))
            return seen[1] if seen else None
        real = stack.resolve(package.path)
        for layer in reversed(stack.layers):
            entry = layer.at(real)
            if entry is None:
                continue
            if package.version not in self._versions(layer, package.manager, real).get(package.name, ()):
                break
            brought = layer
        return brought

    def _shown(self, stack: Stack, manager: Manager, path: bytes) -> _Versions:
        """A database as the image shows it."""
        real = stack.resolve(path)
        seen = stack.find(real)
        return self._versions(seen[1], manager, real) if seen and seen[0].kind is Kind.FILE else {}

    def _versions(self, layer: Layer, manager: Manager, path: bytes) -> _Versions:
        known = self._files.get((layer.tree, path))
        if known is None:
            found: dict[str, list[str]] = {}
            for name, version in _stanzas(_content(layer, path), *_FIELDS[manager]):
                found.setdefault(name, []).append(version)
            known = self._files[layer.tree, path] = {name: tuple(dict.fromkeys(versions)) for name, versions in found.items()}
        return known

    def _python(self, layer: Layer) -> tuple[tuple[bytes, str, str], ...]:
        """Path of its METADATA, name and version of each distribution in a layer."""
        known = self._distributions.get(layer.tree)
        if known is None:
            paths = (entry.path for entry in layer.entries if entry.kind is not Kind.WHITEOUT and entry.path.endswith(b"/METADATA"))
            matches = (match for path in paths if (match := _PYTHON.fullmatch(path)))
            known = tuple((match[0], *(match[group].decode(errors="replace") for group in (1, 2))) for match in matches)  # type: ignore[misc]
            self._distributions[layer.tree] = known
        return known


def packages(stack: Stack) -> dict[str, str]:
    """`manager:name` → version."""
    return {f"{one.manager}:{one.name}": one.version for one in Databases().all(stack)}


def _places(stack: Stack) -> Iterator[tuple[Manager, bytes]]:
    """Where an image has databases of one file."""
    yield "deb", _STATUS
    for name in stack.names(_STATUS_FOLDER):  # distroless images have a file a package
        if not name.endswith(b".md5sums"):
            yield "deb", _STATUS_FOLDER + b"/" + name
    yield "apk", _APK


def _content(layer: Layer, path: bytes) -> bytes:
    entry = layer.at(path)
    first = layer.at(entry.target) if entry is not None and entry.kind is Kind.HARDLINK else entry
    return (layer.read(path) or b"") if first is not None and first.size <= _LARGEST else b""


def _stanzas(text: bytes, name: bytes, version: bytes) -> Iterator[tuple[str, str]]:
    for stanza in text.split(b"\n\n"):
        fields = {
            key: line[len(key) :].decode(errors="replace").strip()
            for line in stanza.split(b"\n")
            for key in (name, version)
            if line.startswith(key)
        }
        removed = b"\nStatus: " in b"\n" + stanza and b" installed" not in stanza
        if len(fields) == 2 and not removed:
            yield fields[name], fields[version]


def owner(stack: Stack, path: bytes) -> str:
    """The package that owns a path, `name version`; "" for none."""
    found = _dpkg_owner(stack, path) or _apk_owner(stack, path) or _python_owner(stack, path)
    version = packages(stack).get(found, "") if found else ""
    return f"{found.partition(':')[2]} {version}".strip()


def _dpkg_owner(stack: Stack, path: bytes) -> str:
    # Before its files moved below /usr, a package listed them as /bin/…; dpkg knows both as one.
    wanted = {b"/" + path, b"/" + path.removeprefix(b"usr/")}
    for name in stack.names(_INFO):
        if name.endswith(b".list") and not wanted.isdisjoint((stack.read(_INFO + b"/" + name, _LARGEST) or b"").split(b"\n")):
            return f"deb:{os.fsdecode(name.removesuffix(b'.list')).partition(':')[0]}"
    return ""


def _apk_owner(stack: Stack, path: bytes) -> str:
    package = folder = b""
    for line in (stack.read(_APK, _LARGEST) or b"").split(b"\n"):
        if line.startswith(b"P:"):
            package, folder = line[2:], b""
        elif line.startswith(b"F:"):
            folder = line[2:]
        elif line.startswith(b"R:") and (folder + b"/" + line[2:]).lstrip(b"/") == path:
            return f"apk:{package.decode(errors='replace')}"
    return ""


def _python_owner(stack: Stack, path: bytes) -> str:
    """The distribution whose RECORD, lines of `path,hash,size`, names the file."""
    found = _SITE.fullmatch(path)
    if found is None:
        return ""
    site, below = found.groups()
    for name in stack.names(site):
        if name.endswith(b".dist-info"):
            lines = (stack.read(site + b"/" + name + b"/RECORD", _LARGEST) or b"").split(b"\n")
            if below.startswith(name + b"/") or any(line.startswith((below + b",", b'"' + below + b'",')) for line in lines):
                return f"python:{name.rpartition(b'-')[0].rpartition(b'-')[0].decode(errors='replace')}"
    return ""
