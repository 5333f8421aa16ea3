"""`files`: build artifacts. Files, or a whole tree, of a target as a folder or a tar."""

from typing import Annotated

import msgspec
from msgspec import Meta

from graphbuild.rules import Analysis, Context, ExportFiles, Rule, StackFiles


class To(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to; both may be said."""

    dir: Annotated[str, Meta(description="A folder of the package, which becomes exactly these files.")] = ""
    tar: Annotated[str, Meta(description="A tar in the package.")] = ""


class Files(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which files, and where to."""

    to: Annotated[To, Meta(description="Where to write them.")]
    paths: Annotated[str | tuple[str, ...], Meta(description="Absolute globs in the target.")] = ("/**",)
    strip: Annotated[str, Meta(description="The beginning that is taken off every file's path.")] = ""


def files(context: Context, attributes: Files) -> Analysis:
    if not context.has_from:
        raise context.mistake("`files` needs a target to take them from", hint="say which: `from: TARGET`")
    places = [(format_, path) for format_, path in (("dir", attributes.to.dir), ("tar", attributes.to.tar)) if path]
    if not places:
        raise context.mistake("`to` says neither `dir` nor `tar`", "files", hint="for example `to: {dir: dist/files}`")
    patterns = (attributes.paths,) if isinstance(attributes.paths, str) else attributes.paths
    for pattern in patterns:
        if not pattern.removeprefix("!").startswith("/"):
            raise context.mistake(f"{pattern!r}: a path in a target is absolute", "files", "paths", hint=f"write /{pattern}")
    source = StackFiles(context.snapshot.layers, patterns)
    actions = tuple((format_, ExportFiles(source, context.path(path), format_, attributes.strip)) for format_, path in places)
    return Analysis(actions, (context.snapshot,))


RULES = (Rule("files", "output", Files, files, doc="Files of a target as a folder or a tar."),)
