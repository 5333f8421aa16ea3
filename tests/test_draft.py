"""A layer's tar that is written while its files are searched and hashed is the one that is written of the layer afterwards, or none."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3
from workspaces import Workspace

from graphbuild.build import hashing
from graphbuild.build.drafting import Drafting
from graphbuild.build.hashing import Hashing
from graphbuild.build.inputs import Inputs
from graphbuild.build.source import SourceFile
from graphbuild.layers.draft import Draft
from graphbuild.layers.stretch import Stretch
from graphbuild.layers.tar_write import write_layer_tar
from graphbuild.rules.refs import Sources
from graphbuild.store.forms import Forms
from graphbuild.store.store import Store
from graphbuild.values.entry import Entry, Kind, encode_index, tree_digest

EPOCH = 1_700_000_000
IDS = range(1 << 16), range(1 << 16)
ALL = Sources("", ("files",))

two_processors = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs a second processor: one alone writes no draft")


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dozen files are hashed by several processes, a few at a time."""
    monkeypatch.setattr(hashing, "_MEANWHILE", 4)
    monkeypatch.setattr(hashing, "_PIECE", 5)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def forms(store: Store) -> Iterator[Forms]:
    made = Forms(store, EPOCH, IDS)  # type: ignore[arg-type]
    yield made
    made.close()
    assert not any(path.is_file() for path in (store.root / "tmp").rglob("*")), "a draft was left behind"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Files of all sizes, names that need more than one header, folders of all kinds, and neighbours whose order is easily mistaken."""
    files = tmp_path / "files"
    chance = random.Random(7)
    sizes = [0, 1, 511, 512, 513, 4_000, (1 << 19) - 512, 1 << 19, 700_001, (1 << 20) - 1, 1 << 20, 2_500_000]
    names = [f"many/{number}/{name}" for number in range(4) for name in ("a", "z", "ä", "x" * 120)]
    names += ["a-b", "a/x", "a.b", "a/y/z", "a0", "deep/" + "d/" * 60 + "f", "run.sh", *(f"size-{size}" for size in sizes)]
    for name in names:
        path = files / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(int(name.removeprefix("size-")) if name.startswith("size-") else chance.randrange(9_000)))
    (files / "run.sh").chmod(0o755)
    (files / "link").symlink_to("a/x")
    (files / "many/link").symlink_to("t" * 150)
    (files / "empty/inside").mkdir(parents=True)
    (files / "last").mkdir()
    return tmp_path


def made(source: SourceFile, filled: bool) -> Entry | None:
    """As a copy does: a folder with something in it is implicit."""
    if source.kind is Kind.DIRECTORY and filled:
        return None
    return Entry(b"app/" + source.path, source.kind, source.mode, 7, 8, source.size, source.digest, source.target)


def scanned(inputs: Inputs, draft: Draft) -> list[Entry]:
    drafting = Drafting(made, draft)
    found = inputs.scan(ALL, drafting)
    entries, sources = drafting.made()
    filled = {file.path.rpartition(b"/")[0] for file in found}
    assert sorted(entries, key=lambda entry: entry.path) == [entry for file in found if (entry := made(file, file.path in filled))]
    assert [made(source, False) for source in sources] == entries
    return entries


def written(entries: list[Entry], root: Path) -> bytes:
    """The layer's tar as it is written without a draft."""
    out = os.memfd_create("tar")
    try:
        folder = os.fsencode(root)
        write_layer_tar(entries, lambda entry: os.open(folder + entry.path.removeprefix(b"app"), os.O_RDONLY), out, epoch=EPOCH)
        return os.pread(out, os.fstat(out).st_size, 0)
    finally:
        os.close(out)


def no_file(_entry: Entry) -> int:
    raise AssertionError("a file is opened that was read before")


@two_processors
@pytest.mark.usefixtures("few_are_many")
def test_a_draft_is_the_tar_of_what_was_found(tree: Path, store: Store, forms: Forms):
    draft = forms.draft()
    entries = scanned(Inputs(tree, tree / "stat"), draft)
    digest = tree_digest(encode_index(entries, EPOCH))
    _, size, path = forms.write_blob(digest, entries, no_file, draft=draft)
    assert path.read_bytes() == written(entries, tree)
    assert size == path.stat().st_size
    store.put_layer(encode_index(entries, EPOCH), folder=None)
    assert not list(store.verify(lambda _done, _total: None))


@two_processors
@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("loss", ["an entry more", "an entry less", "another link", "nothing"])
def test_a_draft_of_something_else_is_not_taken(tree: Path, forms: Forms, loss: str):
    draft = forms.draft()
    entries = scanned(Inputs(tree, tree / "stat"), draft)
    if loss == "an entry more":
        entries.append(Entry(b"z", Kind.DIRECTORY, 0o755))
    elif loss == "an entry less":
        entries.pop()
    elif loss == "another link":
        entries = [Entry(e.path, e.kind, e.mode, e.uid, e.gid, target=b"else") if e.kind is Kind.SYMLINK else e for e in entries]
    assert (draft.finish(entries) is not None) == (loss == "nothing")


@two_processors
@pytest.mark.usefixtures("few_are_many")
def test_what_is_known_already_makes_no_draft(tree: Path, forms: Forms):
    os.utime(tree / "files/a/x", (1, 1))
    for path in (tree / "files").rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    first, second, third = forms.draft(), forms.draft(), forms.draft()
    inputs = Inputs(tree, tree / "stat")
    inputs._settled = 1 << 62  # whatever was just made is old enough to be remembered
    entries = scanned(inputs, first)
    assert scanned(Inputs(tree, tree / "stat"), second) == entries
    assert scanned(inputs, third) == sorted(entries, key=lambda entry: entry.path)
    assert second.finish(entries) is None
    assert third.finish(entries) is None
    assert first.finish(entries) is not None


@two_processors
@pytest.mark.usefixtures("few_are_many")
def test_a_fresh_checkout_makes_no_draft_of_what_is_most_likely_there(tree: Path, forms: Forms):
    for path in (tree / "files").rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    inputs = Inputs(tree, tree / "stat")
    inputs._settled = 1 << 62  # whatever was just made is old enough to be remembered
    entries = scanned(inputs, forms.draft())
    for path in (tree / "files").rglob("*"):
        os.utime(path, (2, 2), follow_symlinks=False)
    draft = forms.draft()
    assert scanned(Inputs(tree, tree / "stat"), draft) == entries
    assert draft.finish(entries) is None


@two_processors
@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("other", [0, 3, 90_000, 700_000])
@pytest.mark.parametrize("size", [100, 600_000])
def test_a_file_that_is_not_as_long_as_it_was_is_hashed_and_the_draft_lost(tmp_path: Path, forms: Forms, size: int, other: int):
    found = [SourceFile(b"%02d" % number, Kind.FILE, 0o644, size, b"", b"", (size, 0, 0, 0, 0o100644)) for number in range(20)]
    contents = [os.urandom(other if number == 11 else size) for number in range(20)]
    for file, content in zip(found, contents, strict=True):
        (tmp_path / os.fsdecode(file.path)).write_bytes(content)
    draft = forms.draft()
    drafting = Drafting(made, draft)
    with Hashing(os.fsencode(tmp_path), drafting=drafting) as many:
        drafting.add(found)
        many.add([(file.path, file.size) for file in found])
        assert many.digests() == [blake3(content).digest() for content in contents]
    assert draft.finish(drafting.made()[0]) is None


@two_processors
@pytest.mark.usefixtures("few_are_many")
def test_what_a_killed_process_was_to_write_is_not_taken_for_written(tree: Path, forms: Forms, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hashing, "_PIECE", 1)
    start = hashing._Helpers.start

    def killing(helpers: hashing._Helpers, wanted: int) -> None:
        known = len(helpers._processes)
        start(helpers, wanted)
        for process in helpers._processes[known:]:
            os.kill(process, signal.SIGSTOP)  # it holds what it took until it dies
            os.kill(process, signal.SIGKILL)

    monkeypatch.setattr(hashing._Helpers, "start", killing)
    draft = forms.draft()
    entries = scanned(Inputs(tree, tree / "stat"), draft)
    assert all(entry.digest for entry in entries if entry.kind is Kind.FILE)
    done = draft.finish(entries)
    if done is not None:  # it died before it took something
        assert done[2].read_bytes() == written(entries, tree)


def test_a_stretch_that_cannot_be_written_is_not_whole(tmp_path: Path):
    (tmp_path / "file").touch()
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        stretch = Stretch(fd)
        stretch.begin(0)
        assert stretch.whole
        room = stretch.room(bytes(512), 3)
        assert room is not None
        stretch.keep(bytes(512), 3)
        stretch.finish()
        assert not stretch.whole
    finally:
        os.close(fd)


@pytest.mark.parametrize("copy", ["to: /", "to: /srv, chown: '3:4'"])
def test_a_copy_of_many_files_is_the_same_with_one_processor_and_with_all(tmp_path: Path, copy: str):
    files = {f"files/{folder}/{name}": f"{folder} {name}" for folder in range(80) for name in range(100)}
    spec = f"steps:\n  it: {{copy: {{files: files, {copy}}}}}\noutputs:\n  image: {{from: it, image: {{to: {{oci: out}}}}}}\n"
    made = []
    for processors in (os.sched_getaffinity(0), {min(os.sched_getaffinity(0))}):
        workspace = Workspace(
            tmp_path / f"w{len(made)}", tmp_path / f"s{len(made)}", prefix=("taskset", "-c", ",".join(map(str, processors)))
        )
        workspace.write({**files, "build.yaml": spec})
        workspace.ok("run", "//:image")
        workspace.ok("cache", "verify")
        made.append((workspace.root / "out/index.json").read_bytes())
        assert not any(path.is_file() for path in (workspace.store / "tmp").rglob("*"))
    assert made[0] == made[1]
