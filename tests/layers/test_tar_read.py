"""Tars from outside: what they become, and what no tar can do."""

import contextlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_samples import FAKE_ROOT, file, folder, hardlink, layers, needs_root, symlink, tar_of, whiteout

from graphbuild.layers.folder import scan
from graphbuild.layers.tar_intake import Limits
from graphbuild.layers.tar_read import read_index, unpack
from graphbuild.values.entry import Entry, Kind
from graphbuild.values.errors import GraphbuildError

IDS = "full" if FAKE_ROOT else "single"
ZEROS = bytes(1024)


def header(name: bytes, type_: bytes = b"0", size: int = 0, link: bytes = b"", **fields: bytes) -> bytes:
    block = bytearray(512)

    def put(at: int, data: bytes) -> None:
        block[at : at + len(data)] = data

    put(0, name)
    put(100, fields.get("mode", b"0000644\0"))
    put(108, b"0000000\0" + b"0000000\0")
    put(124, fields.get("length", b"%011o\0" % size))
    put(136, b"00000000000\0")
    put(156, type_)
    put(157, link)
    put(257, b"ustar\x0000")
    put(329, fields.get("devices", b"0000000\0" + b"0000000\0"))
    put(148, b"        ")
    put(148, fields.get("checksum", b"%06o\0 " % sum(block)))
    return bytes(block)


def member(name: bytes, content: bytes = b"", type_: bytes = b"0", link: bytes = b"", **fields: bytes) -> bytes:
    return header(name, type_, len(content), link, **fields) + content + bytes(-len(content) % 512)


def pax(**records: bytes) -> bytes:
    data = b""
    for key, value in records.items():
        rest = b" " + key.replace("__", ".").encode() + b"=" + value + b"\n"
        length = len(rest) + 1
        while length != len(rest) + len(str(length)):
            length += 1
        data += str(length).encode() + rest
    return member(b"pax", data, b"x")


def index(data: bytes, *, whiteouts: bool = True, **more) -> list[Entry]:
    return read_index(io.BytesIO(data), whiteouts=whiteouts, source="evil.tar", **more)


def paths(data: bytes, **more) -> list[bytes]:
    return [entry.path for entry in index(data, **more)]


LINK_OUT = member(b"out", type_=b"2", link=b"/tmp")
HOSTILE = {
    "nothing": b"",
    "no tar": b"PK\3\4" * 200,
    "short": b"x" * 100,
    "text": b"hello world, this is not a tar archive\n" * 20,
    "dots": member(b"../evil", b"x"),
    "dots inside": member(b"a/../../evil", b"x"),
    "dots that come back": member(b"a/../b", b"x"),
    "dots behind a slash": member(b"/../evil", b"x"),
    "below a symlink": LINK_OUT + member(b"out/evil", b"x"),
    "directory below a symlink": LINK_OUT + member(b"out/evil/", type_=b"5"),
    "deep below a symlink": LINK_OUT + member(b"out/a/b/evil", b"x"),
    "below a file": member(b"f", b"x") + member(b"f/evil", b"x"),
    "below a fifo": member(b"f", type_=b"6") + member(b"f/evil", b"x"),
    "hard link to nothing": member(b"h", type_=b"1", link=b"nothing"),
    "hard link outside": member(b"h", type_=b"1", link=b"../../etc/passwd"),
    "hard link through a symlink": LINK_OUT + member(b"h", type_=b"1", link=b"out/passwd"),
    "hard link to a directory": member(b"d/", type_=b"5") + member(b"h", type_=b"1", link=b"d"),
    "hard link to an absolute path": member(b"h", type_=b"1", link=b"/etc/passwd"),
    "hard link over its own folder": member(b"a/b", b"x") + member(b"a", type_=b"1", link=b"a/b"),
    "name with NUL": pax(path=b"a\0b") + member(b"x", b"x"),
    "link with NUL": pax(linkpath=b"a\0b") + member(b"x", type_=b"2"),
    "empty symlink": member(b"x", type_=b"2"),
    "long symlink": pax(linkpath=b"x" * 5000) + member(b"x", type_=b"2"),
    "long path": pax(path=b"a/" * 3000 + b"x") + member(b"x", b"x"),
    "long component": pax(path=b"a" * 300) + member(b"x", b"x"),
    "root as a file": member(b"./", type_=b"0", content=b"") + member(b".", b"x"),
    "negative size": member(b"x", length=b"\xff" * 12),
    "huge size": member(b"x", length=b"\x80" + b"\xff" * 11),
    "size that is no number": member(b"x", length=b"zzz\0"),
    "signed size": member(b"x", length=b"-0000000010\0"),
    "pax size that is no number": pax(size=b"-1") + member(b"x"),
    "pax id out of range": pax(uid=b"99999999999") + member(b"x"),
    "bad checksum": header(b"a")[:200] + b"X" + header(b"a")[201:],
    "bad second checksum": member(b"a", b"x") + header(b"b", checksum=b"0000000\0"),
    "truncated content": header(b"x", size=5000) + b"x" * 100,
    "truncated header": member(b"x", b"x") + header(b"y")[:100],
    "truncated after a pax header": pax(path=b"a"),
    "unknown type": member(b"x", type_=b"Z"),
    "huge pax header": header(b"p", b"x", 1 << 30) + bytes(4096),
    "damaged pax header": member(b"p", b"99 path=x\n", b"x") + member(b"x"),
    "pax header without numbers": member(b"p", b"path=x\n", b"x") + member(b"x"),
    "pax header without end": member(b"p", b"10 path=xx", b"x") + member(b"x"),
    "endless long names": member(b"L", b"x" * 1_000_000, b"L") * 3 + member(b"x"),
    "device that does not exist": member(b"x", type_=b"3", devices=b"7777777\x007777777\0"),
    "whiteout below a file": member(b"f", b"x") + member(b"f/.wh.x"),
    "whiteout of nothing": member(b"a/.wh."),
    "whiteout of dots": member(b"a/.wh..."),
    "whiteout of the root": member(b".wh..wh..opq"),
    "sparse out of order": pax(GNU__sparse__map=b"10,5,0,5", GNU__sparse__size=b"20") + member(b"x", b"y" * 10),
    "sparse that overflows": pax(GNU__sparse__map=b"0,10", GNU__sparse__size=b"5") + member(b"x", b"y" * 10),
    "sparse with too little": pax(GNU__sparse__map=b"0,10", GNU__sparse__size=b"50") + member(b"x", b"y" * 5),
    "sparse of no size": pax(GNU__sparse__map=b"0,10") + member(b"x", b"y" * 10),
    "sparse map of words": pax(GNU__sparse__major=b"1", GNU__sparse__minor=b"0", GNU__sparse__realsize=b"9") + member(b"x", b"y" * 600),
    "sparse of the future": pax(GNU__sparse__major=b"2", GNU__sparse__minor=b"0") + member(b"x", b"y" * 600),
    "sparse without end": pax(GNU__sparse__map=b"0,0", GNU__sparse__size=b"999999999999999") + member(b"x"),
    "too big an attribute": pax(SCHILY__xattr__user__x=b"x" * 70_000) + member(b"x"),
    "an attribute with NUL": pax(**{"SCHILY__xattr__user__a\0b": b""}) + member(b"x"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archives_are_refused_and_write_nothing_outside(name, tmp_path):
    place = tmp_path / "inside"
    place.mkdir()
    outside = set(os.listdir("/tmp"))
    for read in (
        lambda: index(HOSTILE[name]),
        lambda: unpack(io.BytesIO(HOSTILE[name]), place, epoch=0, whiteouts=True, ids=IDS, source="evil.tar"),
    ):
        with pytest.raises(GraphbuildError, match=r"evil\.tar: "):
            read()
    assert os.listdir(tmp_path) == ["inside"]
    assert not {"evil", "passwd", "a"} & (set(os.listdir("/tmp")) - outside)


PLAIN_HOSTILE = {
    "file over a full directory": member(b"d/x", b"x") + member(b"d", b"y"),
    "a device that is a whiteout": member(b"x", type_=b"3"),
}


@pytest.mark.parametrize("name", PLAIN_HOSTILE)
def test_archives_that_are_no_layers_are_held_to_more(name):
    with pytest.raises(GraphbuildError, match=r"evil\.tar: "):
        index(PLAIN_HOSTILE[name], whiteouts=False)


@pytest.mark.parametrize("limits", [Limits(entries=2), Limits(size=10), Limits(path=3), Limits(meta=600)])
def test_limits_stop_an_archive(limits):
    data = member(b"long-name", b"12345678") + member(b"b", b"12345678") + member(b"c", b"x")
    with pytest.raises(GraphbuildError, match=r"more than|too long"):
        index(data, limits=limits)
    assert len(index(data)) == 3


@given(data=st.binary(max_size=600), at=st.integers(0, 4000))
def test_no_damage_to_an_archive_is_worse_than_an_error(data, at):
    whole = tar_of([folder(b"d"), file(b"d/x", b"two\n", xattrs=((b"user.x", b"1"),)), symlink(b"e", b"d"), whiteout(b"f")])
    with contextlib.suppress(GraphbuildError):
        index(whole[:at] + data + whole[at + len(data) :])


def test_slashes_and_dots_in_front_are_stripped():
    assert paths(member(b"./a//b", b"x") + member(b"/c", b"x") + member(b"././d/./", type_=b"5")) == [b"a/b", b"c", b"d"]


def test_a_later_entry_replaces_an_earlier_one():
    made = index(member(b"a", b"one") + member(b"b", type_=b"1", link=b"a") + member(b"a", b"two\n") + ZEROS)
    assert made == [file(b"a", b"two\n"), file(b"b", b"one")]


def test_a_directory_again_keeps_its_children_and_takes_the_new_mode():
    made = index(member(b"d/x", b"one") + member(b"d/", type_=b"5", mode=b"0000700\0"))
    assert made == [folder(b"d", 0o700), file(b"d/x")]


def test_a_layer_may_replace_a_directory_by_a_file():
    assert index(member(b"d/x/y", b"one") + member(b"d", b"one")) == [file(b"d")]


def test_links_are_named_by_their_first_path():
    made = index(member(b"z", b"one", mode=b"0004755\0") + member(b"a", type_=b"1", link=b"./z") + member(b"m", type_=b"1", link=b"/a"))
    first = file(b"a", b"one", 0o4755)
    assert made == [first, hardlink(b"m", first), hardlink(b"z", first)]


def test_a_link_to_a_symlink_is_a_symlink():
    assert index(member(b"l", type_=b"2", link=b"x") + member(b"m", type_=b"1", link=b"l")) == [symlink(b"l", b"x"), symlink(b"m", b"x")]


def test_redirects_move_what_lies_below_but_not_the_symlink_itself():
    redirects = {b"bin": b"usr/bin"}
    data = (
        member(b"bin", type_=b"2", link=b"usr/bin")
        + member(b"bin/", type_=b"5")
        + member(b"bin/sh", b"one")
        + member(b"usr/bin/ash", type_=b"1", link=b"bin/sh")
    )
    first = file(b"usr/bin/ash")
    assert index(data, redirects=redirects) == [
        symlink(b"bin", b"usr/bin"),
        folder(b"usr/bin", 0o644),
        first,
        hardlink(b"usr/bin/sh", first),
    ]


def test_whiteouts_speak_of_lower_layers_only():
    data = (
        member(b"d/.wh.x")
        + member(b"d/.wh.own")
        + member(b"d/own", b"one")
        + member(b"e/.wh..wh..opq")
        + member(b"f/a", b"one")
        + member(b".wh.f")
    )
    assert index(data) == [
        file(b"d/own"),
        whiteout(b"d/x"),
        folder(b"e", opaque=True),
        folder(b"f", opaque=True),
        file(b"f/a"),
    ]


def test_marks_of_aufs_are_left_out():
    assert paths(member(b".wh..wh.plnk/", type_=b"5") + member(b".wh..wh.aufs") + member(b"x")) == [b"x"]


def test_a_plain_archive_has_no_marks():
    assert paths(member(b".wh.x"), whiteouts=False) == [b".wh.x"]


def test_attributes_that_are_no_part_of_a_layer_are_dropped():
    records = {"user.overlay.opaque": b"y", "trusted.overlay.redirect": b"/", "security.selinux": b"x", "user.mine": b"1"}
    data = pax(**{"SCHILY__xattr__" + key: value for key, value in records.items()}) + member(b"d/", type_=b"5")
    assert index(data) == [folder(b"d", 0o644, xattrs=((b"user.mine", b"1"),))]


SPARSE = {
    "posix": ["--format=posix"],
    "0.0": ["--format=posix", "--sparse-version=0.0"],
    "0.1": ["--format=posix", "--sparse-version=0.1"],
    "gnu": ["--format=gnu"],
}


@pytest.mark.parametrize("version", SPARSE)
def test_sparse_files_of_gnu_tar(version, tmp_path):
    content = b"start" + bytes(3_000_000) + b"middle" + bytes(2_000_000)
    with (tmp_path / "holes").open("wb") as out:
        for at in range(40):
            out.seek(at * 300_000)
            out.write(b"data")
        out.truncate(20_000_000)
    (tmp_path / "sparse").write_bytes(content[:5])
    with (tmp_path / "sparse").open("r+b") as out:
        out.seek(3_000_005)
        out.write(b"middle")
        out.truncate(len(content))
    command = ["tar", "-S", *SPARSE[version], "--owner=0", "--group=0", "--mode=0644", "-cf", "-", "sparse", "holes"]
    data = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    place = tmp_path / "out"
    place.mkdir()
    made = unpack(io.BytesIO(data), place, epoch=0, whiteouts=False, ids=IDS, source="x")
    assert made == [file(b"holes", (tmp_path / "holes").read_bytes()), file(b"sparse", content)]
    assert (place / "sparse").read_bytes() == content
    assert (place / "sparse").stat().st_blocks * 512 < 200_000


@pytest.mark.parametrize("form", ["v7", "ustar", "gnu", "posix"])
def test_gnu_tar_formats(form, tmp_path):
    long = "d" * 50 + "/" + "n" * (60 if form != "v7" else 20)
    (tmp_path / "in" / long).parent.mkdir(parents=True)
    (tmp_path / "in" / long).write_bytes(b"one")
    (tmp_path / "in" / "link").symlink_to("d" * 50)
    if form in ("gnu", "posix"):
        (tmp_path / "in" / ("m" * 200)).write_bytes(b"two\n")
    data = subprocess.run(
        ["tar", f"--format={form}", "--sort=name", "--mode=0755", "-cf", "-", "-C", str(tmp_path / "in"), "."],
        capture_output=True,
        check=True,
    ).stdout
    made = {entry.path: entry for entry in index(data, whiteouts=False)}
    assert made[long.encode()].digest == file(b"", b"one").digest
    assert made[b"link"].target == b"d" * 50
    assert (b"m" * 200 in made) == (form in ("gnu", "posix"))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_big_ids_of_python(form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        info = tarfile.TarInfo("x")
        info.uid, info.gid = 3_000_000_000, 2_097_152
        tar.addfile(info)
    (entry,) = index(out.getvalue())
    assert (entry.uid, entry.gid) == (3_000_000_000, 2_097_152)


@settings(max_examples=40, deadline=None)
@given(entries=layers())
def test_what_was_written_is_read_back(entries, tmp_path_factory):
    kept = read_index(io.BytesIO(tar_of(entries, 5)), whiteouts=True, source="x")
    assert kept == entries
    place = tmp_path_factory.mktemp("form")
    assert unpack(io.BytesIO(tar_of(entries, 5)), place, epoch=5, whiteouts=True, ids=IDS, source="x") == entries
    assert scan(place) == entries
    assert {path.lstat().st_mtime for path in [place, *place.rglob("*")]} == {5.0}


@needs_root
def test_owners_modes_and_devices_come_to_disk(tmp_path):
    entries = [
        Entry(b"null", Kind.CHARACTER, 0o666, 1, 2, device=(1, 3)),
        file(b"su", b"one", 0o4755, 1000, 1001, ((b"security.capability", bytes.fromhex("0100000200200000000000000000000000000000")),)),
    ]
    unpack(io.BytesIO(tar_of(entries)), tmp_path, epoch=0, whiteouts=True, source="x")
    status = (tmp_path / "su").stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o4755, 1000, 1001)
    assert os.major((tmp_path / "null").stat().st_rdev) == 1
    assert scan(tmp_path) == entries


def test_one_id_keeps_owners_in_the_index(tmp_path):
    entries = [folder(b"d", uid=5), file(b"d/x", b"one", 0o600, 1000, 1000)]
    made = unpack(io.BytesIO(tar_of(entries)), tmp_path, epoch=0, whiteouts=True, ids="single", source="x")
    assert made == entries
    assert (tmp_path / "d/x").stat().st_uid == os.geteuid()


@needs_root
def test_an_ordinary_user_unpacks_devices_as_marked_files(tmp_path_factory):
    import tempfile

    entries = [Entry(b"null", Kind.CHARACTER, 0o666, device=(1, 3)), whiteout(b"gone"), file(b"ro/x"), folder(b"ro", 0o555)]
    entries.sort(key=lambda entry: entry.path)
    data = tar_of(entries)
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o777)
        child = os.fork()
        if not child:
            code = 1
            try:
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
                inner = Path(place) / "form"
                inner.mkdir()
                made = unpack(io.BytesIO(data), inner, epoch=0, whiteouts=True, ids="single", source="x")
                strip = [(entry.path, entry.kind, entry.device) for entry in entries]
                seen = [(entry.path, entry.kind, entry.device) for entry in scan(inner)]
                code = 0 if made == entries and seen == strip else 2
                os.chmod(inner / "ro", 0o755)
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_umask_and_time_zone_change_nothing(tmp_path, monkeypatch):
    entries = [folder(b"d", 0o777), file(b"d/x", mode=0o666)]
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    old = os.umask(0o077)
    try:
        data = tar_of(entries, 1000)
        unpack(io.BytesIO(data), tmp_path, epoch=1000, whiteouts=True, ids=IDS, source="x")
    finally:
        os.umask(old)
    assert data == tar_of(entries, 1000)
    assert [(entry.path, entry.mode) for entry in scan(tmp_path)] == [(b"d", 0o777), (b"d/x", 0o666)]
