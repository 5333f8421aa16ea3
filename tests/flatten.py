"""Reads the images of a docker archive and says, in words that can be compared, what is in them.

Independent of graphbuild on purpose: tarfile and the OCI image spec's rules for layers, nothing else. Modification times are not
looked at. A path is `/a/b` with surrogates for bytes that are no UTF-8.
"""

import fnmatch
import hashlib
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

_SHORT = 300  # bytes of a text that is quoted instead of hashed
_XATTR = "SCHILY.xattr."
_KINDS = {
    tarfile.DIRTYPE: "dir",
    tarfile.SYMTYPE: "symlink",
    tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
}
_CONFIG = (
    *("Env", "Cmd", "Entrypoint", "WorkingDir", "User", "ExposedPorts", "Volumes", "Labels"),
    *("Healthcheck", "StopSignal", "OnBuild", "Shell"),
)


class Node(msgspec.Struct, frozen=True, eq=False):
    """What a path names. Two paths of one Node are hard links."""

    kind: str
    mode: int
    owner: tuple[int, int]
    content: bytes = b""
    target: str = ""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, str], ...] = ()


Tree = dict[str, Node]


class Image(msgspec.Struct, frozen=True):
    tree: Tree
    config: dict[str, Any]


def read_archive(path: Path) -> dict[str, Image]:
    """The images of a docker archive by tag, or "" where one has none."""
    with tarfile.open(path) as archive:
        entries = json.loads(_member(archive, "manifest.json"))
        return {tag: image for entry in entries for image in [_image(archive, entry)] for tag in entry.get("RepoTags") or [""]}


def _image(archive: tarfile.TarFile, entry: Mapping[str, Any]) -> Image:
    tree: Tree = {"/": Node("dir", 0o755, (0, 0))}
    for name in entry["Layers"]:
        stream = archive.extractfile(_resolved(archive, name))
        assert stream is not None
        with tarfile.open(fileobj=stream) as layer:
            apply(tree, layer)
    return Image(tree, config_of(json.loads(_member(archive, entry["Config"]))))


def _resolved(archive: tarfile.TarFile, name: str) -> tarfile.TarInfo:
    """The member, behind the symlinks by which older engines name a layer twice."""
    member = archive.getmember(name)
    while member.issym():
        parts: list[str] = name.split("/")[:-1]
        for part in member.linkname.split("/"):
            parts = parts[:-1] if part == ".." else [*parts, part]
        name = "/".join(parts)
        member = archive.getmember(name)
    return member


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    stream: IO[bytes] | None = archive.extractfile(name)
    assert stream is not None
    return stream.read()


def config_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an image's config that a container is made from; what is empty is absent."""
    config = document.get("config") or {}
    found = {name: config[name] for name in _CONFIG if config.get(name)}
    for name in ("ExposedPorts", "Volumes"):
        if name in found:
            found[name] = sorted(found[name])
    if document.get("author"):
        found["Author"] = document["author"]
    return found


def apply(tree: Tree, layer: tarfile.TarFile) -> None:
    """Put a layer on top: first all it takes away from what is below, then what it brings."""
    members = [(clean(member.name), member) for member in layer]
    for path, _ in members:
        parent, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            _remove_below(tree, parent or "/")
        elif name.startswith(".wh."):
            _remove(tree, f"{parent}/{name.removeprefix('.wh.')}")
    brought: Tree = {}
    for path, member in members:
        if path.rpartition("/")[2].startswith(".wh."):
            continue
        node = _linked(tree, brought, member) if member.islnk() else _node(layer, member)
        brought[path] = node
        _put(tree, path, node)


def _linked(tree: Tree, brought: Tree, member: tarfile.TarInfo) -> Node:
    target = clean(member.linkname)
    return brought.get(target) or tree[target]


def clean(name: str) -> str:
    parts = [part for part in name.split("/") if part not in {"", "."}]
    assert ".." not in parts, name
    return "/" + "/".join(parts)


def _node(layer: tarfile.TarFile, member: tarfile.TarInfo) -> Node:
    headers = {name: value for name, value in member.pax_headers.items() if name.startswith(_XATTR)}
    xattrs = tuple(sorted((name.removeprefix(_XATTR), _shown(value.encode("utf-8", "surrogateescape"))) for name, value in headers.items()))
    owner, mode = (member.uid, member.gid), member.mode & 0o7777
    if member.isreg():
        stream = layer.extractfile(member)
        assert stream is not None
        return Node("file", mode, owner, stream.read(), xattrs=xattrs)
    kind = _KINDS[member.type]
    target = member.linkname if kind == "symlink" else ""
    device = (member.devmajor, member.devminor) if kind in {"char", "block"} else (0, 0)
    return Node(kind, mode, owner, target=target, device=device, xattrs=xattrs)


def _shown(value: bytes) -> str:
    return value.decode() if value.isascii() and value.decode().isprintable() else value.hex()


def _put(tree: Tree, path: str, node: Node) -> None:
    parent = path.rpartition("/")[0] or "/"
    if path != "/" and (parent not in tree or tree[parent].kind != "dir"):
        _put(tree, parent, Node("dir", 0o755, (0, 0)))
    if node.kind != "dir":
        _remove_below(tree, path)
    tree[path] = node


def _remove(tree: Tree, path: str) -> None:
    tree.pop(path, None)
    _remove_below(tree, path)


def _remove_below(tree: Tree, path: str) -> None:
    prefix = path.rstrip("/") + "/"
    for each in [each for each in tree if each.startswith(prefix) and each != path]:
        del tree[each]


def difference(image: Image, below: Image, varies: Iterable[str] = (), unseen: Iterable[str] = ()) -> dict[str, str]:
    """What an image's tree has that the one `below` has not, a line a path; of what is gone, the topmost path."""
    old, new = dict(_said(below.tree, {}, ())), dict(_said(image.tree, _contents(below.tree), varies))
    same = dict(_said(image.tree, {}, ()))
    found = {path: line for path, line in new.items() if old.get(path) != same[path]}
    gone = [path for path in old if path not in new]
    found |= {path: "removed" for path in gone if (path.rpartition("/")[0] or "/") not in gone}
    return {path: line for path, line in sorted(found.items()) if not _any(path, unseen)}


def _any(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _contents(tree: Tree) -> dict[bytes, str]:
    """Where a content that is too long to be quoted stands in the tree."""
    return {node.content: path for path, node in sorted(tree.items(), reverse=True) if len(node.content) > _SHORT}


def _said(tree: Tree, known: Mapping[bytes, str], varies: Iterable[str]) -> Iterator[tuple[str, str]]:
    first: dict[int, str] = {}
    for path, node in sorted(tree.items()):
        words = [node.kind, *([] if node.kind == "symlink" else [f"{node.mode:04o}"]), f"{node.owner[0]}:{node.owner[1]}"]
        if node.kind == "file":
            words.append("(varies)" if _any(path, varies) else _content(node.content, known))
        if node.kind == "symlink":
            words.append(f"-> {node.target}")
        if node.kind in {"char", "block"}:
            words.append(f"{node.device[0]},{node.device[1]}")
        words += [f"{name}={value}" for name, value in node.xattrs]
        if node.kind != "dir" and first.setdefault(id(node), path) != path:
            words.append(f"= {first[id(node)]}")
        yield path, " ".join(words)


def _content(content: bytes, known: Mapping[bytes, str]) -> str:
    if content in known:
        return f"as {known[content]}"
    if len(content) <= _SHORT:
        try:
            return json.dumps(content.decode(), ensure_ascii=False)
        except UnicodeDecodeError:
            pass
    return f"{len(content)} bytes sha256:{hashlib.sha256(content).hexdigest()}"
