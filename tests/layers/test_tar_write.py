"""The tar of a layer: exact bytes, other tools' view of them, and what is refused."""

import hashlib
import io
import os
import subprocess
import tarfile

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from layer_samples import file, folder, hardlink, open_content, symlink, tar_of, whiteout

from graphbuild.layers.cancel import Cancelled
from graphbuild.layers.tar_write import Earlier, write_layer_tar
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import GraphbuildError

LONG = b"d" * 60 + b"/" + b"f" * 90
LONGER = b"n" * 200
FIRST = file(b"bin/su", b"two\n", 0o4755)
ENTRIES = sorted(
    [
        folder(b"bin", 0o755),
        FIRST,
        hardlink(b"bin/su2", FIRST),
        symlink(b"lib", b"usr/lib"),
        symlink(b"long-link", b"t" * 150),
        whiteout(b"etc/passwd"),
        folder(b"var/cache", 0o1777, opaque=True, uid=3_000_000),
        Entry(b"dev/null", Kind.CHARACTER, 0o666, device=(1, 3)),
        Entry(b"dev/sda", Kind.BLOCK, 0o660, 0, 6, device=(8, 0)),
        Entry(b"run/fifo", Kind.FIFO, 0o600),
        file(LONG),
        file(LONGER),
        file("ü".encode()),
        file(b"raw\xff"),
        file(b"cap", b"x" * 1000, 0o755, xattrs=((b"security.capability", b"\1\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),)),
    ],
    key=lambda entry: entry.path,
)


def test_the_bytes_are_the_same_for_ever():
    data = tar_of(ENTRIES, 1_700_000_000)
    assert hashlib.sha256(data).hexdigest() == "e6dd0f9e912e230baed45838925f50a40c09bff00cd6f1e9eeb5c60808bc4b54"
    assert data.endswith(bytes(1024))
    assert len(data) % 512 == 0


def test_the_digest_and_size_returned_are_those_of_the_bytes():
    data = tar_of(ENTRIES)
    fd = os.open(os.devnull, os.O_WRONLY)
    try:
        digest, size = write_layer_tar(ENTRIES, open_content, fd, epoch=0)
    finally:
        os.close(fd)
    assert (str(digest), size) == ("sha256:" + hashlib.sha256(data).hexdigest(), len(data))


def test_python_reads_what_was_meant():
    with tarfile.open(fileobj=io.BytesIO(tar_of(ENTRIES, 77))) as tar:
        members = {os.fsencode(member.name): member for member in tar}
        assert tar.extractfile(members[b"bin/su"]).read() == b"two\n"
    assert list(members)[0:3] == [b"bin", b"bin/su", b"bin/su2"]
    assert {member.mtime for member in members.values()} == {77}
    assert {(member.uname, member.gname) for member in members.values()} == {("", "")}
    assert members[b"bin/su"].mode == 0o4755
    assert members[b"bin/su2"].islnk()
    assert members[b"bin/su2"].mode == 0o4755
    assert members[b"long-link"].linkname == "t" * 150
    assert members[b"var/cache"].uid == 3_000_000
    assert (members[b"dev/null"].devmajor, members[b"dev/null"].devminor) == (1, 3)
    assert members[b"etc/.wh.passwd"].size == 0
    assert list(members).index(b"var/cache/.wh..wh..opq") == list(members).index(b"var/cache") + 1
    assert {LONG, LONGER, "ü".encode(), b"raw\xff"} < set(members)
    assert "SCHILY.xattr.security.capability" in members[b"cap"].pax_headers


def test_gnu_tar_reads_what_was_meant():
    listed = subprocess.run(
        ["tar", "--quoting-style=literal", "--show-transformed-names", "-tf", "-"],
        input=tar_of(ENTRIES),
        capture_output=True,
        check=True,
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
    )
    names = listed.stdout.split(b"\n")
    assert {b"bin/", b"bin/su", b"etc/.wh.passwd", LONG, LONGER} < set(names)


def test_sizes_beyond_ustar_are_written_as_pax(tmp_path):
    big = tmp_path / "big"
    with big.open("wb") as sparse:
        sparse.truncate(9 << 30)
    entry = Entry(b"big", Kind.FILE, 0o644, size=9 << 30)
    out_read, out_write = os.pipe()
    stops = iter([False, False, True])
    with pytest.raises(Cancelled):
        write_layer_tar(
            [entry], lambda _: os.open(big, os.O_RDONLY), _drained(out_read, out_write, tmp_path), epoch=0, cancelled=lambda: next(stops)
        )
    head = (tmp_path / "head").read_bytes()
    assert b" size=9663676416\n" in head[:1024]


def _drained(out_read: int, out_write: int, place) -> int:
    os.close(out_read)
    os.close(out_write)
    return os.open(place / "head", os.O_WRONLY | os.O_CREAT)


@pytest.mark.parametrize("real", [b"on", b"once", b"", b"x" * 700_000, b"x" * 699_999])
def test_a_content_of_another_length_is_an_error(real):
    entry = file(b"changing", b"one" if len(real) < 10 else b"x" * 700_001)

    def open_file(_entry: Entry) -> int:
        fd = os.memfd_create("content")
        os.write(fd, real)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd

    out = os.open(os.devnull, os.O_WRONLY)
    try:
        with pytest.raises(GraphbuildError, match="changing changed while it was read"):
            write_layer_tar([entry], open_file, out, epoch=0)
    finally:
        os.close(out)


def test_a_file_that_is_gone_is_an_error():
    with pytest.raises(GraphbuildError, match="cannot read x: No such file"):
        write_layer_tar([file(b"x")], lambda _: os.open("/nonexistent", os.O_RDONLY), -1, epoch=0)


@pytest.mark.parametrize("path", [b".wh.x", b"a/.wh.x", b".wh..wh..opq/x"])
def test_names_that_mean_removals_are_refused(path):
    with pytest.raises(GraphbuildError, match="mean a removal"):
        tar_of([file(path)])


def test_names_that_only_hold_the_mark_are_fine():
    assert tar_of([file(b"a.wh.b")])


def test_an_attribute_that_pax_cannot_name_is_refused():
    with pytest.raises(GraphbuildError, match="which a tar cannot hold"):
        tar_of([file(b"x", xattrs=((b"user.a=b", b""),))])


def _file(path, content):
    return Entry(path, Kind.FILE, 0o644, size=len(content), digest=blake3(content).digest())


@given(st.dictionaries(st.binary(min_size=1, max_size=3), st.sampled_from([b"", b"a", b"b" * 600])), st.data())
def test_what_an_earlier_tar_has_is_taken_from_it(tmp_path_factory, before, data):
    """The bytes are the same as when everything is read, and nothing that both have is opened."""
    names = [name for name in before if b"/" not in name and b"\0" not in name and name not in (b".", b"..")]
    before = {name: before[name] for name in names}
    extra = b"x" * 150  # needs PAX
    before[extra] = b"long"
    after = {name: data.draw(st.sampled_from([before[name], b"changed", None])) for name in before}
    after = {name: content for name, content in after.items() if content is not None} | {b"zz-new": b"new"}
    folder = tmp_path_factory.mktemp("tars")

    def write(contents, target, earlier=None):
        opened = []

        def open_file(entry):
            opened.append(entry.path)
            read, written = os.pipe()
            os.write(written, contents[entry.path])
            os.close(written)
            return read

        with target.open("w+b") as file:
            entries = [_file(name, contents[name]) for name in sorted(contents)]
            found = write_layer_tar(entries, open_file, file.fileno(), epoch=7, earlier=earlier)
        return entries, found, opened

    entries, _, _ = write(before, folder / "before")
    _, expected, _ = write(after, folder / "plain")
    with (folder / "before").open("rb") as file:
        _, found, opened = write(after, folder / "reused", Earlier(entries, file.fileno()))
    assert found == expected
    assert (folder / "reused").read_bytes() == (folder / "plain").read_bytes()
    assert [name for name in opened if before.get(name) == after[name]] == []
