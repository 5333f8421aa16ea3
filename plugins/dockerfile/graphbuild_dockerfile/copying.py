"""COPY and ADD as `Put` actions: what each source names, and which tree it is taken from."""

import posixpath
import urllib.parse
from typing import TYPE_CHECKING

from graphbuild.rules import BlobItem, Fetch, Folder, Item, Pick, Put, StackTree, TextItem, parse_mode
from graphbuild_dockerfile.instructions import Add, Copy, Document
from graphbuild_dockerfile.names import clean, destination
from graphbuild_dockerfile.program import Stage
from graphbuild_dockerfile.state import State
from graphbuild_dockerfile.text import Node
from graphbuild_dockerfile.words import HEREDOC, expansion

if TYPE_CHECKING:
    from graphbuild_dockerfile.stages import Stages


def copy(said: Copy | Add, state: State, stage: Stage, stages: "Stages") -> None:
    """Add the layer of a COPY or ADD to its stage."""
    node = said.node

    def fill(word: str) -> str:
        return stages.expand(word, state, node)

    sources = [fill(word) for word in said.sources]
    to = fill(said.dest)
    if isinstance(said, Add) and said.checksum and not any(_is_remote(source) for source in sources):
        raise stages.fault(node, "checksum requires HTTP(S) or Git sources")
    from_ = said.from_ if isinstance(said, Copy) else ""
    tree = stages.source(from_, stage.index, node) if from_ else stages.request.folder
    items = [item for source in sources for item in _items(source, said, tree, state, stages)]
    for document in said.documents:
        if "/" in document.name:
            raise stages.fault(node, f"{document.name!r} is no name of a file", "a heredoc of COPY and ADD makes a file of that name")
        items.append(_text(document, state))
    mode = _mode(fill(said.chmod), node, stages) if said.chmod else ""
    put = Put(
        tuple(items),
        destination(state.workdir, to),
        owner=fill(said.chown) if said.chown else "",
        mode=mode,
        exclude=said.exclude,
        base=() if said.link and not mode else state.layers,  # BuildKit does not link where it changes modes
    )
    stages.layer(put, node.keyword, node, state)


def _mode(text: str, node: Node, stages: "Stages") -> str:
    try:
        if text:
            parse_mode(text)
    except ValueError:
        hint = "octal, from 0 to 07777, or symbolic, such as u=rwX,go=rX"
        raise stages.fault(node, f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777", hint) from None
    return text


def _items(source: str, said: Copy | Add, tree: Folder | StackTree, state: State, stages: "Stages") -> list[Item]:
    node = said.node
    if isinstance(said, Add) and _is_remote(source):
        return [_download(source, said, state, stages)]
    if _is_remote(source):
        raise stages.fault(node, "source can't be a URL for COPY", "use ADD")
    include: tuple[str, ...] = ()
    if isinstance(said, Copy) and said.parents:
        pivot, found, rest = source.partition("/./")
        source, pattern = (pivot, rest) if found else ("/", source)
        include = (clean(pattern).removeprefix("/"),)
    unpack = isinstance(said, Add) and said.unpack is not False
    return [Pick(tree, clean(source).removeprefix("/"), include, unpack)]


def _is_remote(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _download(url: str, said: Add, state: State, stages: "Stages") -> Item:
    """A file from the network: its name is the last of the URL's path."""
    node = said.node
    try:
        name = posixpath.basename(urllib.parse.unquote(urllib.parse.urlsplit(url).path))
    except ValueError as error:
        raise stages.fault(node, f"{url!r} is no URL: {error}") from None
    sha256 = ""
    if said.checksum:
        checksum = stages.expand(said.checksum, state, node)
        algorithm, _, sha256 = checksum.partition(":")
        if algorithm != "sha256" or len(sha256) != 64:
            raise stages.fault(node, f"invalid checksum {checksum!r}", "sha256: and 64 hex digits")
    ref = stages.plan.add(state.action(f"{node.keyword} {url}"), Fetch(url, sha256), node)
    return BlobItem(ref, name or "__unnamed__", unpack=bool(said.unpack))


def _text(document: Document, state: State) -> Item:
    content = document.content
    if document.expand:
        content = expansion(content, state.env, "\\", HEREDOC).text
    return TextItem(posixpath.basename(document.name), content.encode("utf-8", "surrogateescape"))
