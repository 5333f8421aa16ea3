"""Ignore files: which one is about a context, and what it says."""

import os
import posixpath
from collections.abc import Callable

from graphbuild.rules import Patterns, read_ignore_file


def ignore_files(file: str, folder: str) -> tuple[str, str]:
    """Where the ignore file of a Dockerfile and its context may be; the first that is there counts."""
    return f"{file}.dockerignore", posixpath.join(folder, ".dockerignore")


def patterns_of(text: bytes) -> tuple[str, ...]:
    return read_ignore_file(text.decode("utf-8", "surrogateescape"))


def ignores(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Whether a path of the context, as it is written, is ignored. Of malformed patterns nothing is: using them says so."""
    try:
        found = Patterns(patterns)
    except ValueError:
        return lambda _path: False
    return lambda path: found.matches(os.fsencode(path.strip("/")))
