"""Paths and references as BuildKit writes them. Pure texts."""

import posixpath
import re

_DOMAIN = re.compile(r"[a-zA-Z0-9.-]+(:[0-9]+)?")
_REFERENCE = re.compile(
    r"(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?)/)?"
    r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)


def clean(path: str) -> str:
    """Go's path.Clean of an absolute path."""
    cleaned = posixpath.normpath("/" + path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def relative(path: str) -> str:
    """Go's path.Clean of any path."""
    return clean(path) if path.startswith("/") else posixpath.normpath(path)


def below(folder: str, path: str) -> str:
    """A path as seen from a folder: absolute and clean."""
    return clean(path if path.startswith("/") else f"{folder}/{path}")


def destination(folder: str, path: str) -> str:
    """`below`, but a slash or `/.` at its end is kept: it says that a folder is meant."""
    place = below(folder, path)
    if path.endswith("/") or path == ".":
        return place.rstrip("/") + "/"
    if path.endswith("/."):
        return place.rstrip("/") + "/."
    return place


def is_reference(name: str) -> bool:
    """Whether a text can name an image."""
    return _REFERENCE.fullmatch(name) is not None


def familiar(name: str) -> str:
    """An image's name in its shortest form: without docker.io, library and :latest. Two texts name the same if this is the same."""
    short = name.removeprefix("index.docker.io/").removeprefix("docker.io/")
    if short != name or "/" in name:
        short = short.removeprefix("library/") if short.count("/") == 1 else short
    return short.removesuffix(":latest")
