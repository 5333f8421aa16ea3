"""Archives that are small and mean much: an error that names them, exit code 2, at once and in little memory; or a build, where it is legal."""

import bz2
import gzip
import io
import lzma
import resource
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from workspaces import Workspace, tree_of

GB = 1 << 30


def header(name: str, **fields: object) -> bytes:
    """The header blocks of one member; `pax` are records of its own."""
    member = tarfile.TarInfo(name)
    member.pax_headers = fields.pop("pax", {})
    for field, value in fields.items():
        setattr(member, field, value)
    return member.tobuf(tarfile.PAX_FORMAT)


def archive(*blocks: bytes) -> bytes:
    return b"".join(blocks) + bytes(1024)


def zeros(size: int) -> bytes:
    """So many bytes of nothing, as gzip members."""
    step = 64 << 20
    return gzip.compress(bytes(step), 1) * (size // step)


def raw_pax(size: int) -> bytes:
    """A PAX header of `size` bytes that says that many bytes of comment follow."""
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, size
    record = b"%d comment=" % size
    return member.tobuf(tarfile.USTAR_FORMAT) + record + b"x" * (size - len(record) - 1) + b"\n" + bytes(-size % 512)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "a file larger than anything": (lambda: archive(header("big", size=300 * GB)), "more than 274877906944 bytes of content"),
    "a petabyte of holes": (
        lambda: archive(header("s", pax={"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 50)})),
        "more than 274877906944 bytes of content",
    ),
    "a size of 2^80": (lambda: archive(header("s", pax={"size": str(1 << 80)})), "no number in range"),
    "a negative size": (lambda: archive(header("s", pax={"size": "-1"})), "no number in range"),
    "a giant PAX header": (lambda: archive(raw_pax(3 << 20), header("x")), "size that is out of range"),
    "many PAX headers": (lambda: archive(*[raw_pax(300 << 10)] * 4, header("x")), "headers of more than 1048576 bytes"),
    "a name of a megabyte": (lambda: archive(header("x/" * 500_000)), "a name that is too long"),
    "a path of 4097 bytes": (lambda: archive(header("/".join(["x" * 100] * 41))), "a name that is too long"),
    "a name of 256 bytes": (lambda: archive(header("x" * 256)), "a name that is too long"),
    "a link target of a megabyte": (lambda: archive(header("x", type=tarfile.SYMTYPE, linkname="y" * (1 << 20))), "out of range"),
    "a link target of 5000 bytes": (lambda: archive(header("x", type=tarfile.SYMTYPE, linkname="y" * 5000)), "a symlink whose target"),
    "a user of 2^40": (lambda: archive(header("x", uid=1 << 40)), "no number in range"),
    "a device 0, 0": (lambda: archive(header("x", type=tarfile.CHRTYPE)), "which means a removal to overlayfs"),
    "a device that no kernel has": (
        lambda: archive(header("x", type=tarfile.BLKTYPE, devmajor=5000)),
        "a device number that does not exist",
    ),
    "a gzip that is cut off": (lambda: gzip.compress(archive(header("x", size=1 << 20)) + bytes(1 << 20))[:-500], "cut off"),
    "gzip in gzip": (lambda: gzip.compress(gzip.compress(archive(header("x")))), "truncated"),
    "bzip2 of nothing": (lambda: bz2.compress(b""), "empty"),
    "xz of noise": (lambda: lzma.compress(b"noise" * 1000), "not a tar archive"),
    "a file of zeros that ends early": (lambda: gzip.compress(header("z", size=2 * GB)) + zeros(GB), "truncated"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_bomb_is_refused_by_its_name(ws: Workspace, folder: Path, what: str):
    make, words = REFUSED[what]
    ws.write({"evil.tar": make(), "build.yaml": "bases: {x: {tar: evil.tar}}\n"})
    began = time.monotonic()
    said = ws.fails("run", ":x", code=2)
    assert "evil.tar: " in said
    assert words in said
    assert "declared at build.yaml:1" in said
    assert time.monotonic() - began < 60
    assert ws.ok("cache", "verify").out == "the store is intact\n"
    assert {path.name for path in folder.iterdir()} == {"ws", "store"}


def built(ws: Workspace, content: bytes) -> dict[str, tarfile.TarInfo]:
    """What the tree holds that an archive makes."""
    spec = "bases: {x: {tar: odd.tar}}\noutputs: {tree: {from: x, files: {to: {tar: out.tar}}}}\n"
    ws.write({"odd.tar": content, "build.yaml": spec})
    ws.run()
    assert ws.ok("cache", "verify").out == "the store is intact\n"
    return tree_of(ws.root / "out.tar")


def test_a_gigabyte_of_zeros_takes_no_room(ws: Workspace):
    """It is legal, and is kept as a hole."""
    ws.write(
        {
            "z.tar.gz": gzip.compress(header("z", size=GB)) + zeros(GB) + gzip.compress(bytes(1024)),
            "build.yaml": "bases: {x: {tar: z.tar.gz}}\n",
        }
    )
    ws.run(":x")
    (z,) = (ws.store / "layers").glob("*/z")
    assert z.stat().st_size == GB
    assert z.stat().st_blocks * 512 < 1 << 20
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    assert most < GB // 2


def test_thirty_thousand_entries(ws: Workspace):
    tree = built(ws, archive(*(header(f"{number % 100}/{number}") for number in range(30_000))))
    assert len(tree) >= 30_000


def test_a_path_as_long_as_the_kernel_takes(ws: Workspace):
    deep = "/".join(["d" * 250] * 15)
    assert built(ws, archive(header(deep + "/file")))[deep + "/file"].isfile()


def test_one_file_with_ten_thousand_names_and_one_name_with_ten_thousand_files(ws: Workspace):
    names = (header(f"l{number}", type=tarfile.LNKTYPE, linkname="file") for number in range(10_000))
    again = (header("same", mode=0o600 + number % 64) for number in range(10_000))
    tree = built(ws, archive(header("file"), *names, *again))
    assert len(tree) == 10_002
    assert tree["same"].mode == 0o600 + 9_999 % 64


def test_names_of_any_bytes(ws: Workspace):
    stream = io.BytesIO()
    names = ["new\nline", "\udcff\udcfe", " ", "-rf", "\x1b[2J", "ü" * 127, "x" * 255, "..x", "a\\b"]
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    assert set(built(ws, stream.getvalue())) == set(names)


def test_a_name_that_means_a_removal_can_be_in_a_base_and_in_no_image(ws: Workspace):
    ws.write(
        {
            "odd.tar": archive(header(".wh.x")),
            "build.yaml": "bases: {x: {tar: odd.tar}}\noutputs: {i: {from: x, image: {to: {oci: dist}}}}\n",
        }
    )
    ws.run(":x")
    assert "names that begin with .wh. mean a removal there" in ws.fails("run", ":i", code=2)
