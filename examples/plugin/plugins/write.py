"""`write`: a file whose text stands in the spec. What a heredoc with COPY is in a Dockerfile; variables are expanded."""

import re

import msgspec

from graphbuild.rules import Analysis, Assemble, Context, FilePart, Rule, layer_target

_MODE = re.compile(r"0?[0-7]{3,4}")
_OWNER = re.compile(r"([0-9]{1,9})(?::([0-9]{1,9}))?")


class Write(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file `path` holds `content`. `mode` is octal, in quotes; `owner` is uid[:gid], numbers."""

    path: str
    content: str
    mode: str = "0644"
    owner: str = "0:0"


def write(context: Context, attributes: Write) -> Analysis:
    """One pure action: the file as a layer on nothing. It has no inputs, so only an edit of the spec changes its key."""
    if not attributes.path.startswith("/") or attributes.path.endswith("/") or ".." in attributes.path.split("/"):
        raise context.mistake(f"{attributes.path!r} is not the absolute path of a file", "write", "path", hint="for example /etc/motd")
    if not _MODE.fullmatch(attributes.mode):
        raise context.mistake(f"{attributes.mode!r} is not an octal mode", "write", "mode", hint='for example "0644"')
    owner = _OWNER.fullmatch(attributes.owner)
    if not owner:
        raise context.mistake(f"{attributes.owner!r} is not uid:gid", "write", "owner", hint='for example "1000:1000"')
    uid, gid = int(owner[1]), int(owner[2] or owner[1])
    part = FilePart(attributes.path.lstrip("/"), attributes.content.encode(), int(attributes.mode, 8), uid, gid)
    return layer_target(context, Assemble((part,)), "write")


RULES = (Rule("write", "step", Write, write, doc="A file whose text stands in the spec."),)
