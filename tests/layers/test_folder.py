"""Folder forms, and files for people."""

import io
import os

import pytest
from hypothesis import given, settings
from layer_samples import FAKE_ROOT, file, folder, hardlink, layers, open_content, symlink, tar_of, whiteout

from graphbuild.layers.assemble import Assembler
from graphbuild.layers.folder import materialize, scan, write_tree
from graphbuild.values.errors import GraphbuildError

IDS = "full" if FAKE_ROOT else "single"


@settings(max_examples=30, deadline=None)
@given(entries=layers())
def test_a_form_made_of_a_tar_is_scanned_as_its_index(entries, tmp_path_factory):
    place = tmp_path_factory.mktemp("form")
    materialize(io.BytesIO(tar_of(entries)), entries, place, epoch=0, ids=IDS)
    assert scan(place) == entries


def test_a_tar_that_holds_something_else_is_refused(tmp_path):
    with pytest.raises(GraphbuildError, match="does not hold what its index says: /b"):
        materialize(io.BytesIO(tar_of([file(b"a"), file(b"b")])), [file(b"a")], tmp_path, epoch=0, ids=IDS)


def test_a_form_that_was_touched_is_scanned_as_what_it_is(tmp_path):
    entries = [folder(b"d"), file(b"d/x")]
    materialize(io.BytesIO(tar_of(entries)), entries, tmp_path, epoch=0, ids=IDS)
    (tmp_path / "d/x").write_bytes(b"two\n")
    assert scan(tmp_path) == [folder(b"d"), file(b"d/x", b"two\n")]


def test_files_for_people_have_nothing_of_overlayfs(tmp_path):
    first = file(b"d/x")
    write_tree([first, hardlink(b"d/y", first), symlink(b"l", b"d"), whiteout(b"w")], open_content, tmp_path, epoch=9)
    assert sorted(os.listdir(tmp_path)) == ["d", "l"]
    assert os.listxattr(tmp_path / "d") == []
    assert (tmp_path / "d/y").read_bytes() == b"one"
    assert (tmp_path / "d/y").stat().st_mtime == 9


def test_a_file_that_changed_meanwhile_is_an_error(tmp_path):
    wrong = file(b"x", b"two\n")

    with pytest.raises(GraphbuildError, match="changed while it was read"):
        write_tree([wrong], lambda _: open_content(file(b"x", b"one\n")), tmp_path, epoch=0)


def test_parts_are_put_together_and_symlinks_lead_them(tmp_path):
    with Assembler(tmp_path, epoch=0, ids=IDS) as assembler:
        assembler.directory(b"usr/bin", 0o755)
        assembler.symlink(b"bin", b"usr/bin")
        assembler.archive(io.BytesIO(tar_of([folder(b"bin", 0o700), file(b"bin/sh"), file(b"etc/x")])), source="a.deb")
        assembler.file(b"etc/x", b"two\n", 0o600)
        entries = assembler.finish()
    assert entries == [symlink(b"bin", b"usr/bin"), file(b"etc/x", b"two\n", 0o600), folder(b"usr/bin", 0o700), file(b"usr/bin/sh")]
    assert scan(tmp_path) == entries


@pytest.mark.parametrize(("path", "target"), [(b"../x", b"y"), (b"", b"y"), (b"x", b"../../y")])
def test_parts_that_lead_out_are_refused(path, target, tmp_path):
    with Assembler(tmp_path, epoch=0, ids=IDS) as assembler, pytest.raises(GraphbuildError):
        assembler.symlink(path, target)
