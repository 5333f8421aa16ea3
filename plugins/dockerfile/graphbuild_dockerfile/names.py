"""Paths and names of images as BuildKit writes them. Pure texts."""

import posixpath


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


def familiar(name: str) -> str:
    """An image's name in its shortest form: without docker.io, library and :latest. Two texts name the same if this is the same."""
    short = name.removeprefix("index.docker.io/").removeprefix("docker.io/")
    if short != name or "/" in name:
        short = short.removeprefix("library/") if short.count("/") == 1 else short
    return short.removesuffix(":latest")
