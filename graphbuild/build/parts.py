"""Which targets a changed path can matter to, so that one changed file among a hundred thousand costs its own targets only.

Written beside the certificate of an unchanged build (`graphbuild.start`), for the next run that finds a few stats changed. Whatever
is not known for sure to matter to sources or outputs of certain targets alone makes it a full run: specs, settings, the lock, our own code,
what rules read while they analysed (`Inputs.pinned`), folders in which packages or folders appeared, paths that nobody is known to look at.
"""

import contextlib
import marshal
import os
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path

import msgspec

from graphbuild.build.inputs import Inputs, starts
from graphbuild.graph.analyze import Graph, Node
from graphbuild.rules.actions import Folder, exported
from graphbuild.rules.refs import Sources, WorkspaceFile, found_in
from graphbuild.spec.model import BUILD_FILE
from graphbuild.spec.workspace import walk_packages
from graphbuild.values.certificate import Changed
from graphbuild.values.label import Label, parse_label

_TOKEN = 20  # bytes


class Parts(msgspec.Struct, frozen=True):
    """Targets by number. `covers`: path → the targets that it, or anything below it, can matter to; `dependents`: who directly needs each."""

    targets: list[str]
    selected: list[int]
    dependents: dict[int, list[int]]
    covers: dict[bytes, list[int]]
    pinned: set[bytes]
    visited: set[bytes]
    actions: int


class Part(msgspec.Struct, frozen=True):
    """What is to be looked at again: the selected targets that a change can matter to, of all that were, in a build of so many actions."""

    labels: tuple[Label, ...]
    selected: tuple[str, ...]
    actions: int


def write_parts(certificate: str, graph: Graph, inputs: Inputs, ours: Iterable[bytes]) -> bytes:
    """Write what `read_parts` reads; returns the token that the certificate must name. `ours`: paths that no target's sources are."""
    payload = marshal.dumps(tuple(getattr(_parts(graph, inputs, ours), name) for name in Parts.__struct_fields__))
    temporary = f"{certificate}.parts.{os.getpid()}"
    token = blake2b(payload, digest_size=_TOKEN).digest()
    try:
        with open(temporary, "wb") as file:
            file.write(token + payload)
        os.rename(temporary, f"{certificate}.parts")
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    return token


def read_parts(certificate: str, token: bytes) -> Parts | None:
    """The parts that go with a certificate; None where they are gone, damaged or of another."""
    try:
        with open(f"{certificate}.parts", "rb") as file:
            data = file.read()
        if data[:_TOKEN] != token or blake2b(data[_TOKEN:], digest_size=_TOKEN).digest() != token:
            return None
        return Parts(*marshal.loads(data[_TOKEN:]))
    except (OSError, ValueError, EOFError, TypeError):
        return None


def affected(parts: Parts, changed: Changed, root: Path, ignore: tuple[str, ...]) -> Part | None:
    """What must be looked at after the change; None for everything."""
    touched: set[int] = set()
    for path, _ in changed:
        owners = [*_owners(parts.covers, path)]
        if path in parts.pinned or not (owners or path in parts.visited):
            return None
        if path in parts.visited and _may_hold_packages(path, parts, root, ignore):
            return None
        touched.update(owners)
    wanted = _closure(touched, parts.dependents)
    selected = tuple(parts.targets[number] for number in parts.selected)
    return Part(tuple(parse_label(parts.targets[number], "") for number in parts.selected if number in wanted), selected, parts.actions)


def _parts(graph: Graph, inputs: Inputs, ours: Iterable[bytes]) -> Parts:
    numbers = {label: number for number, label in enumerate(graph.configured)}
    dependents: dict[int, list[int]] = {}
    for label, target in graph.configured.items():
        for need in target.needs():
            dependents.setdefault(numbers[need], []).append(numbers[label])
    covers: dict[bytes, list[int]] = {}
    root = os.fsencode(inputs.root)
    for node in graph.nodes.values():
        for path in _paths(node):
            absolute = os.path.normpath(os.path.join(root, os.fsencode(path)))
            owners = covers.setdefault(absolute, [])
            if numbers[node.ref.label] not in owners:
                owners.append(numbers[node.ref.label])
    return Parts(
        [str(label) for label in graph.configured],
        [numbers[label] for label in graph.selected],
        dependents,
        covers,
        {*inputs.pinned, *ours},
        inputs.visited,
        len(graph.nodes),
    )


def _paths(node: Node) -> Iterator[str]:
    """What of the workspace an action reads or writes: files, and folders with all below them."""
    yield from exported(node.action)
    kinds: tuple[type[Sources | WorkspaceFile | Folder], ...] = (Sources, WorkspaceFile, Folder)
    for found in found_in(node.action, kinds):
        if isinstance(found, Sources):
            patterns = [pattern.strip("/") for pattern in found.patterns if not pattern.startswith("!")]
            yield from ("/".join(filter(None, (found.folder, start))) for start in starts(patterns))
        else:
            yield found.path


def _owners(covers: Mapping[bytes, list[int]], path: bytes) -> Iterator[int]:
    while True:
        yield from covers.get(path, ())
        above = path.rpartition(b"/")[0]
        if above == path or not above:
            return
        path = above


def _may_hold_packages(folder: bytes, parts: Parts, root: Path, ignore: tuple[str, ...]) -> bool:
    """Whether a folder that changed has packages, or folders where some may appear later, that were not there before."""
    spec = os.path.join(folder, os.fsencode(BUILD_FILE))
    if spec not in parts.pinned and os.path.lexists(spec):
        return True
    under = "" if folder == os.fsencode(root) else os.path.relpath(os.fsdecode(folder), root)
    looked: list[str] = []

    def look(place: str) -> tuple[bool, Iterable[str]]:
        looked.append(place)
        if place != under:
            return False, ()
        with os.scandir(folder) as entries:
            return False, [os.fsdecode(entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]

    try:
        list(walk_packages(look, under, ignore))
    except OSError:
        return True
    return any(os.fsencode(root / place) not in parts.visited for place in looked)


def _closure(start: set[int], dependents: Mapping[int, list[int]]) -> set[int]:
    seen = set(start)
    stack = list(start)
    while stack:
        for number in dependents.get(stack.pop(), ()):
            if number not in seen:
                seen.add(number)
                stack.append(number)
    return seen
