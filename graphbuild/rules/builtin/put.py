"""`put` and `directory`: things put in place by the rules of a Dockerfile's COPY, ADD and WORKDIR.

`copy` takes files by globs and keeps their paths; `put` takes what a path names, to where `to` says: a file, what is in a folder, a
text, a download, an archive's content.
"""

import posixpath
import re
import urllib.parse
from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from graphbuild.rules import (
    Action,
    Analysis,
    BlobItem,
    Context,
    Fetch,
    Folder,
    GraphbuildError,
    Item,
    Pick,
    Rule,
    StackTree,
    TextItem,
    layer_target,
    parse_mode,
    read_ignore_file,
)
from graphbuild.rules import Put as PutAction

_SHA256 = re.compile(r"(sha256:)?[0-9a-f]{64}")
_MODE = re.compile(r"[0-7]{3,4}")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """One thing to put: exactly one of `path`, `text` and `url`."""

    path: Annotated[str, Meta(description="A path of the package (or of `folder`, or in the target `from`); wildcards choose several.")] = (
        ""
    )
    from_: Annotated[str, Meta(description="The label of the target that `path` is in, where it is another one than the put's.")] = ""
    text: Annotated[str | None, Meta(description="A file, written out; it needs a `name`.")] = None
    url: Annotated[str, Meta(description="A file to download; http or https.")] = ""
    sha256: Annotated[str, Meta(description="The digest of what `url` serves; without it the server is asked each time.")] = ""
    name: Annotated[str, Meta(description="The file's name, of `text` and `url`; by default the last of the URL's path.")] = ""
    mode: Annotated[str, Meta(description='Its permission bits, octal, in quotes; "0644" for a text, "0600" for a download.')] = ""
    include: Annotated[tuple[str, ...], Meta(description="Of a folder only what these patterns choose, with the folders on the way.")] = ()
    literal: Annotated[bool, Meta(description="`path` has no wildcards, whatever its letters.")] = False
    unpack: Annotated[bool, Meta(description="An archive stands for what is in it.")] = False


class Put(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """What, and where to."""

    files: Annotated[str | tuple[str | Entry, ...], Meta(description="Paths, of which a folder means what is in it; or maps.")]
    to: Annotated[str, Meta(description="Where to, absolute; with a slash at its end, or where a folder is, into it.")]
    from_: Annotated[str, Meta(description="The label of the target to take the files from.")] = ""
    folder: Annotated[str, Meta(description="The folder to take them from; the package by default.")] = ""
    ignore: Annotated[str, Meta(description="A file that says what is not there, in the language of a .dockerignore.")] = ""
    exclude: Annotated[tuple[str, ...], Meta(description="Patterns of what is left out, in that language.")] = ()
    chown: Annotated[str, Meta(description="The owner: user[:group], names of the base or ids; by default 0:0, or as in `from`.")] = ""
    chmod: Annotated[str, Meta(description='Permission bits, "0644" or "u=rwX,go=rX"; by default those that the files have.')] = ""
    unpack: Annotated[bool, Meta(description="A path that is an archive stands for what is in it.")] = False
    link: Annotated[bool, Meta(description="Look at nothing below: follow no symlink, know no name, wait for nothing.")] = False


class Directory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A folder; one that is there stays as it is."""

    path: Annotated[str, Meta(description="The folder, absolute; what is missing on the way is made too.")]
    chown: Annotated[str, Meta(description="The owner of what is made: user[:group], names of the base or ids.")] = ""
    chmod: Annotated[str, Meta(description='Permission bits of what is made; "0755" by default.')] = ""


def put(context: Context, attributes: Put) -> Analysis:
    entries = (attributes.files,) if isinstance(attributes.files, str) else attributes.files
    if not entries:
        raise context.mistake("`files` names nothing", "put", "files", hint="a path, or `directory` for an empty folder")
    _check_place(context, attributes.to, "put", "to")
    _check_mode(context, attributes.chmod, "put")
    tree = _tree(context, attributes)
    fetches: list[tuple[str, Action]] = []
    items = []
    for number, entry in enumerate(entries):
        one = Entry(path=entry or ".", unpack=attributes.unpack) if isinstance(entry, str) else entry
        where = ("put", "files") if isinstance(attributes.files, str) else ("put", "files", number)
        items.append(_item(context, one, tree, where, fetches))
    action = PutAction(
        tuple(items),
        attributes.to,
        attributes.chown,
        attributes.chmod,
        attributes.exclude,
        () if attributes.link else context.snapshot.layers,
    )
    made = layer_target(context, action, "put")
    return Analysis((*fetches, *made.actions), made.providers)


def _tree(context: Context, attributes: Put) -> Folder | StackTree:
    if attributes.from_:
        for name in ("folder", "ignore"):
            if getattr(attributes, name):
                raise context.mistake(f"`{name}` is about files of the workspace, `from` about those of a target", "put", name)
        return StackTree(context.snapshot_of(attributes.from_).layers)
    ignored: tuple[str, ...] = ()
    if attributes.ignore:
        text = context.read(attributes.ignore)
        if text is None:
            raise context.mistake(f"no such file: {attributes.ignore}", "put", "ignore")
        ignored = read_ignore_file(text.decode("utf-8", "surrogateescape"))
    return Folder(context.path(attributes.folder or "."), ignored)


def _item(
    context: Context, entry: Entry, tree: Folder | StackTree, where: tuple[str | int, ...], fetches: list[tuple[str, Action]]
) -> Item:
    if bool(entry.path) + (entry.text is not None) + bool(entry.url) != 1:
        raise context.mistake("an entry says one of `path`, `text` and `url`", *where)
    if entry.mode and not _MODE.fullmatch(entry.mode):
        raise context.mistake(f"{entry.mode!r} is not an octal mode", *where, "mode", hint='for example "0755"')
    mode = int(entry.mode, 8) if entry.mode else 0
    name = entry.name or posixpath.basename(urllib.parse.unquote(entry.url.partition("?")[0].partition("#")[0]))
    if not entry.path and (not name or "/" in name or name in (".", "..")):
        raise context.mistake("a file needs a `name`, without slashes", *where)
    if entry.text is not None:
        return TextItem(name, entry.text.encode("utf-8", "surrogateescape"), mode or 0o644)
    if entry.url:
        if not entry.url.startswith(("http://", "https://")):
            raise context.mistake(f"{entry.url!r} is not an http or https URL", *where, "url")
        if entry.sha256 and not _SHA256.fullmatch(entry.sha256):
            raise context.mistake(f"{entry.sha256!r} is not a SHA-256", *where, "sha256", hint="64 hex digits")
        fetch = f"fetch {len(fetches) + 1}" if fetches else "fetch"
        fetches.append((fetch, Fetch(entry.url, entry.sha256.removeprefix("sha256:"))))
        return BlobItem(context.ref(fetch), name, mode or 0o600, entry.unpack)
    path = posixpath.normpath("/" + entry.path).lstrip("/")
    if entry.from_:
        tree = StackTree(context.snapshot_of(entry.from_).layers)
    return Pick(tree, path, entry.include, entry.unpack, entry.literal)


def _check_place(context: Context, path: str, *where: str) -> None:
    if not path.startswith("/"):
        raise context.mistake(f"a place in the image is absolute, not {path!r}", *where, hint=f"write /{path}")


def _check_mode(context: Context, mode: str, rule: str) -> None:
    try:
        if mode:
            parse_mode(mode)
    except (ValueError, GraphbuildError):
        raise context.mistake(f"{mode!r} is no mode", rule, "chmod", hint='for example "0755" or "u=rwX,go=rX"') from None


def directory(context: Context, attributes: Directory) -> Analysis:
    _check_place(context, attributes.path, "directory")
    _check_mode(context, attributes.chmod, "directory")
    action = PutAction((), attributes.path.rstrip("/") + "/", attributes.chown, attributes.chmod, base=context.snapshot.layers)
    return layer_target(context, action, "directory")


def dependencies(attributes: Put) -> Iterator[str]:
    entries = () if isinstance(attributes.files, str) else attributes.files
    yield from sorted({attributes.from_, *(entry.from_ for entry in entries if isinstance(entry, Entry))} - {""})


RULES = (
    Rule(
        "put",
        "step",
        Put,
        put,
        dependencies=lambda attributes: tuple(dependencies(attributes)),
        doc="Put files, folders, texts, downloads and archives in place, by the rules of a Dockerfile's COPY and ADD.",
    ),
    Rule("directory", "step", Directory, directory, short="path", doc="Make a folder, if it is not there."),
)
