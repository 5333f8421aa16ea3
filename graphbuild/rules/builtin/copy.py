"""`copy`: files of the workspace, or of another target, as a layer that does not depend on its base."""

import re
from typing import Annotated

import msgspec
from msgspec import Meta

from graphbuild.rules import Analysis, Context, Rule, Sources, StackFiles, layer_target
from graphbuild.rules import Copy as CopyAction

_MODE = re.compile(r"0?[0-7]{3,4}")


class Copy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Which files, and where to."""

    files: Annotated[str | tuple[str, ...], Meta(description="Globs below the package, or absolute ones in the target `from`.")]
    to: Annotated[str, Meta(description="The folder in the image; each file keeps its path below it, less `strip`.")] = "/"
    strip: Annotated[str, Meta(description="The beginning that is taken off every file's path.")] = ""
    chown: Annotated[str, Meta(description="The owner: user[:group], names of the base or ids; by default 0:0, or as in `from`.")] = ""
    chmod: Annotated[str, Meta(description='Permission bits, octal, in quotes: "0644". Folders get x where they get r.')] = ""
    from_: Annotated[str, Meta(description="The label of the target to take the files from.")] = ""


def _source(context: Context, attributes: Copy) -> Sources | StackFiles:
    patterns = (attributes.files,) if isinstance(attributes.files, str) else attributes.files
    positive = [pattern for pattern in patterns if not pattern.startswith("!")]
    if not positive:
        raise context.mistake("`files` names no file", "copy", "files", hint='for example ["src/**", "!**/test_*"]')
    bare = [pattern.removeprefix("!") for pattern in patterns]
    if attributes.from_:
        for pattern in positive:
            if not pattern.startswith("/"):
                raise context.mistake(f"{pattern!r}: a path in another target is absolute", "copy", "files", hint=f"write /{pattern}")
        return StackFiles(context.snapshot_of(attributes.from_).layers, patterns)
    from_root = [pattern.startswith("//") for pattern in positive]
    if any(from_root) and not all(from_root):
        raise context.mistake("`files` mixes paths of the package and of the workspace (//)", "copy", "files", hint="use two copies")
    for pattern in bare:
        if pattern.startswith("/") and not pattern.startswith("//"):
            hint = "paths are relative to the package; // starts at the workspace root; `from: TARGET` copies from a target"
            raise context.mistake(f"{pattern!r} is absolute", "copy", "files", hint=hint)
        if ".." in pattern.split("/"):
            hint = "start it with // to name a file from the workspace root"
            raise context.mistake(f"{pattern!r} leaves its package", "copy", "files", hint=hint)
    cleaned = tuple(("!" if pattern.startswith("!") else "") + pattern.removeprefix("!").removeprefix("//") for pattern in patterns)
    return Sources("" if any(from_root) else context.label.package, cleaned)


def copy(context: Context, attributes: Copy) -> Analysis:
    if not attributes.to.startswith("/"):
        raise context.mistake(
            f"`to` is a folder in the image and absolute, not {attributes.to!r}", "copy", "to", hint=f"write /{attributes.to}"
        )
    if attributes.chmod and not _MODE.fullmatch(attributes.chmod):
        raise context.mistake(f"{attributes.chmod!r} is not an octal mode", "copy", "chmod", hint='for example "0755"')
    action = CopyAction(
        _source(context, attributes),
        attributes.to,
        attributes.strip,
        attributes.chown,
        int(attributes.chmod, 8) if attributes.chmod else None,
        context.snapshot.layers,
    )
    return layer_target(context, action, "copy")


def dependencies(attributes: Copy) -> tuple[str, ...]:
    return (attributes.from_,) if attributes.from_ else ()


RULES = (
    Rule("copy", "step", Copy, copy, short="files", dependencies=dependencies, doc="Copy files of the workspace or of another target."),
)
