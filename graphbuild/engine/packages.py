"""The packages in an image, as their managers' databases have them: dpkg, apk, Python distributions.

Sources: dpkg's `status` and `info/*.list` (deb-control(5), dpkg-query(1)), apk-tools' `installed` (apk index format), PEP 376 and
PEP 627 (RECORD).
What is no database, or a broken one, holds no packages: an image may come from anywhere.
"""

import os
import re
from collections.abc import Iterator

from graphbuild.layers.stack import Stack

_LARGEST = 64 << 20  # bytes of a database
_STATUS = b"var/lib/dpkg/status"
_STATUS_FOLDER = b"var/lib/dpkg/status.d"
_INFO = b"var/lib/dpkg/info"
_APK = b"lib/apk/db/installed"
_SITE = re.compile(rb"((?:.*/)?(?:site|dist)-packages)/(.+)")
_PYTHON = re.compile(rb"(?:.*/)?(?:site|dist)-packages/([^/]+)-([^/-]+)\.dist-info/METADATA")


def packages(stack: Stack) -> dict[str, str]:
    """`manager:name` → version."""
    found = {f"deb:{name}": version for text in _dpkg_texts(stack) for name, version in _stanzas(text, b"Package: ", b"Version: ")}
    found |= {f"apk:{name}": version for name, version in _stanzas(stack.read(_APK, _LARGEST) or b"", b"P:", b"V:")}
    for layer in stack.layers:
        for entry in layer.entries:
            match = _PYTHON.fullmatch(entry.path) if entry.path.endswith(b"/METADATA") else None
            if match and stack.lookup(entry.path) is not None:
                found[f"python:{match[1].decode(errors='replace')}"] = match[2].decode(errors="replace")
    return found


def _dpkg_texts(stack: Stack) -> Iterator[bytes]:
    yield stack.read(_STATUS, _LARGEST) or b""
    for name in stack.names(_STATUS_FOLDER):  # distroless images have a file a package
        if not name.endswith(b".md5sums"):
            yield stack.read(_STATUS_FOLDER + b"/" + name, _LARGEST) or b""


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
