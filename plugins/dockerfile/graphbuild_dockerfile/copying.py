"""COPY and ADD as `Put` actions: what each source names, and which tree it is taken from."""

import posixpath
import re
from typing import TYPE_CHECKING

from graphbuild.rules import BlobItem, Checkout, Fetch, Folder, Item, Pick, Put, StackTree, TextItem, parse_mode
from graphbuild_dockerfile.instructions import Add, Copy, Document
from graphbuild_dockerfile.names import clean, destination
from graphbuild_dockerfile.program import Stage
from graphbuild_dockerfile.remotes import Repository, file_name, is_http, repository, without_password
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
    checksum = fill(said.checksum) if isinstance(said, Add) else ""
    if checksum and len(sources) != 1:
        raise stages.fault(node, "checksum can't be specified for multiple sources")
    from_ = said.from_ if isinstance(said, Copy) else ""
    tree = stages.source(from_, stage.index, node) if from_ else stages.request.folder
    items = [item for source in sources for item in _items(source, said, checksum, tree, state, stages)]
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
    owner, bits = f" --chown={put.owner}" if put.owner else "", f" --chmod={mode}" if mode else ""
    names = [*sources, *(f"<<{document.name}" for document in said.documents)]
    stages.layer(put, node.keyword, node, state, f"{node.keyword}{owner}{bits} {' '.join(names)} {to} # buildkit")


def _mode(text: str, node: Node, stages: "Stages") -> str:
    try:
        if text:
            parse_mode(text)
    except ValueError:
        hint = "octal, from 0 to 07777, or symbolic, such as u=rwX,go=rX"
        raise stages.fault(node, f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777", hint) from None
    return text


def _items(source: str, said: Copy | Add, checksum: str, tree: Folder | StackTree, state: State, stages: "Stages") -> list[Item]:
    node = said.node
    try:
        git = repository(source)
    except ValueError as error:
        raise stages.fault(node, str(error)) from None
    if git is not None or is_http(source):
        if not isinstance(said, Add):
            raise stages.fault(node, f"source can't be a {'git ref' if git else 'URL'} for COPY", "use ADD")
        return [_repository(git, said, checksum, state, stages) if git else _download(source, said, checksum, state, stages)]
    if checksum:
        raise stages.fault(node, "checksum requires HTTP(S) or Git sources")
    include: tuple[str, ...] = ()
    if isinstance(said, Copy) and said.parents:
        pivot, found, rest = source.partition("/./")
        source, pattern = (pivot, rest) if found else ("/", source)
        include = (clean(pattern).removeprefix("/"),)
    unpack = isinstance(said, Add) and said.unpack is not False
    return [Pick(tree, clean(source).removeprefix("/"), include, unpack)]


def _repository(git: Repository, said: Add, checksum: str, state: State, stages: "Stages") -> Item:
    """What is in a git repository, or in a folder of it."""
    node = said.node
    if checksum and git.checksum and checksum != git.checksum:
        raise stages.fault(node, f'checksum mismatch "{checksum}" != "{git.checksum}"')
    if said.keep_git_dir is not None and git.keep_git_dir not in (None, said.keep_git_dir):
        raise stages.fault(node, "inconsistent keep-git-dir configuration")
    commit = checksum or git.checksum
    if not re.fullmatch("[0-9a-f]*", commit):
        raise stages.fault(node, f"invalid checksum {commit!r}", "the name of a commit, in hex digits")
    keep = bool(said.keep_git_dir if git.keep_git_dir is None else git.keep_git_dir)
    action = Checkout(git.url, git.ref, git.subdir, keep, commit, git.submodules)
    ref = stages.plan.add(state.action(f"{node.keyword} {without_password(git.url)}"), action, node)
    return Pick(StackTree((ref,)), "")


def _download(url: str, said: Add, checksum: str, state: State, stages: "Stages") -> Item:
    """A file from the network."""
    node = said.node
    try:
        name = file_name(url)
    except ValueError as error:
        raise stages.fault(node, f"{without_password(url)!r} is no URL of a file: {error}") from None
    if checksum and not re.fullmatch("sha256:[0-9a-f]{64}", checksum):
        raise stages.fault(node, f"invalid checksum {checksum!r}", "sha256: and 64 hex digits")
    fetch = Fetch(url, checksum.removeprefix("sha256:"), anywhere=False)
    ref = stages.plan.add(state.action(f"{node.keyword} {without_password(url)}"), fetch, node)
    return BlobItem(ref, name, unpack=bool(said.unpack))


def _text(document: Document, state: State) -> Item:
    content = document.content
    if document.expand:
        content = expansion(content, state.env, "\\", HEREDOC).text
    return TextItem(posixpath.basename(document.name), content.encode("utf-8", "surrogateescape"))
