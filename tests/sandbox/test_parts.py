"""The pure parts: subordinate ranges, control-group tables, the seccomp filter, the search for a program, stubs."""

import os
import struct
from pathlib import Path

import pytest
from folders import FolderStack

from graphbuild.sandbox import emulation, seccomp, stub
from graphbuild.sandbox.job import BindMount, Job, SecretFile, Tmpfs
from graphbuild.sandbox.limits import Hierarchy, parse_hierarchies
from graphbuild.sandbox.namespace import SubordinateRange, subordinate_range
from graphbuild.sandbox.program import Placed, Refusal, find
from graphbuild.values.errors import GraphbuildError

# subuid


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", None),
        ("eve:1:65536\n", None),
        ("bob:100000:65536\n", SubordinateRange(100000, 65536)),
        ("# x\nbob:1:5\n1000:300000:65536\nbob:x:1\nbob:1\n", SubordinateRange(300000, 65536)),
    ],
)
def test_subordinate_range(table, expected):
    assert subordinate_range(table, "bob", 1000) == expected


# control groups

V1 = "30 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n31 20 0:27 /a /c/pids rw shared:9 - cgroup cgroup rw,pids\n"
V2 = "32 20 0:28 / /sys/fs/cgroup/unified rw - cgroup2 none rw\nx\n33 20 0:29 / / rw - ext4 /dev/x rw\n"


def test_hierarchies_of_a_hybrid():
    found = parse_hierarchies(V2 + V1, "9:memory:/m\n8:pids:/a/p\n1:name=systemd:/\n0::/user/x\n")
    assert found == [
        Hierarchy(("memory",), "/sys/fs/cgroup/memory", "/m"),
        Hierarchy(("pids",), "/c/pids", "/p"),
        Hierarchy((), "/sys/fs/cgroup/unified", "/user/x"),
    ]


def test_hierarchies_of_v2_alone():
    assert parse_hierarchies(V2, "0::/\n") == [Hierarchy((), "/sys/fs/cgroup/unified", "/")]
    assert parse_hierarchies("", "") == []


# seccomp


def evaluate(code, number, arguments=(0,) * 6, architecture=0xC000003E):
    """An interpreter of the four instructions the filter uses."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments)
    program, position, value = list(struct.iter_unpack("<HBBI", code)), 0, 0
    while True:
        operation, yes, no, operand = program[position]
        position += 1
        match operation:
            case 0x20:
                value = struct.unpack_from("<I", data, operand)[0]
            case 0x15:
                position += yes if value == operand else no
            case 0x54:
                value &= operand
            case 0x06:
                return operand


FAKE, ALLOW = 0x50000, 0x7FFF0000


@pytest.mark.parametrize(
    ("machine", "architecture", "chown", "mknod", "other"),
    [("x86_64", 0xC000003E, (92, 93, 94, 260), ((133, 1), (259, 2)), 1), ("aarch64", 0xC00000B7, (54, 55), ((33, 2),), 64)],
)
def test_the_filter(machine, architecture, chown, mknod, other):
    code = seccomp.root_emulation(machine)
    for number in chown:
        assert evaluate(code, number, architecture=architecture) == FAKE
        assert evaluate(code, number, architecture=1) == ALLOW
    for number, index in mknod:
        for kind, expected in ((0o020644, FAKE), (0o060644, FAKE), (0o010644, ALLOW), (0o100644, ALLOW)):
            arguments = [0] * 6
            arguments[index] = kind
            assert evaluate(code, number, arguments, architecture) == expected
    assert evaluate(code, other, architecture=architecture) == ALLOW
    assert len(code) // 8 < 4096


def test_no_filter_for_other_machines():
    assert seccomp.root_emulation("riscv64") == b""


# programs


@pytest.fixture
def stack(tmp_path):
    for name in ("usr/bin", "etc"):
        (tmp_path / name).mkdir(parents=True)
    for name, mode in (("usr/bin/tool", 0o755), ("etc/plain", 0o644), ("usr/bin/plain", 0o644)):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(mode)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "var").symlink_to("/etc")
    return FolderStack([tmp_path])


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("tool", "/sbin:/bin", "/bin/tool"),
        ("tool", "", "/usr/bin/tool"),
        ("tool", "bin", 127),
        ("/bin/tool", "", "/bin/tool"),
        ("./tool", "", "./tool"),
        ("plain", "/bin:/etc", 126),
        ("/etc/plain", "", 126),
        ("/etc", "", 126),
        ("/none/tool", "/bin", 127),
        ("tool", "/sbin:/etc", 127),
        ("", "/bin", 127),
        ("/proc/self/exe", "", "/proc/self/exe"),
    ],
)
def test_find(stack, name, path, expected):
    found = find(name, path, "/usr/bin", stack, [])
    assert (found.exit_code if isinstance(found, Refusal) else found) == expected


def test_find_in_mounts(stack, tmp_path):
    mounts = [
        Placed(b"src", BindMount(str(tmp_path / "usr"), "/src")),
        Placed(b"t", Tmpfs("/t")),
        Placed(b"etc/s", SecretFile(b"", "/etc/s")),
    ]
    assert find("/src/bin/tool", "", "/", stack, mounts) == "/src/bin/tool"
    assert find("tool", "/src/bin", "/", stack, mounts) == "/src/bin/tool"
    assert [find(name, "", "/", stack, mounts).exit_code for name in ("/src/bin/plain", "/src/bin", "/src/no", "/t/x", "/etc/s")] == [
        126,
        126,
        127,
        127,
        126,
    ]


# stubs


def test_a_stub_holds_only_what_is_missing(stack, tmp_path):
    folder = tmp_path / "stub"
    folder.mkdir()
    found = stub.plan_stub(stack, {b"etc/plain": False, b"proc": True, b"new/deep/file": False, b"usr/bin/x": False})
    stub.write_stub(found, folder, 7)
    assert found.made == (b"new", b"new/deep", b"new/deep/file", b"proc", b"usr/bin/x")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert names == ["new", "new/deep", "new/deep/file", "proc", "usr", "usr/bin", "usr/bin/x"]
    assert {path.stat().st_mtime for path in (folder, *folder.rglob("*"))} == {7}


def test_a_stub_does_not_depend_on_the_umask(stack, tmp_path):
    folder = tmp_path / "stub"
    folder.mkdir()
    before = os.umask(0o077)
    try:
        stub.write_stub(stub.plan_stub(stack, {b"new/file": False}), folder, 0)
    finally:
        os.umask(before)
    assert [oct((folder / name).stat().st_mode & 0o777) for name in ("new", "new/file")] == ["0o755", "0o644"]


def test_implicit_directories_get_their_attributes_back(tmp_path):
    (tmp_path / "root/tmp").mkdir(parents=True)
    folder = tmp_path / "stub"
    folder.mkdir()
    found = stub.plan_stub(FolderStack([tmp_path / "root"], ["tmp"], {"tmp": 0o1777}), {})
    stub.write_stub(found, folder, 0)
    assert found.made == ()
    assert (folder / "tmp").stat().st_mode & 0o7777 == 0o1777


@pytest.mark.parametrize(
    ("to", "expected"), [("/var/x", b"etc/x"), ("/bin/../var/./y//z", b"etc/y/z"), ("/dev/x", b"dev/x"), ("/a/b", b"a/b")]
)
def test_place(stack, to, expected):
    assert stub.place(stack, to) == expected


@pytest.mark.parametrize("to", ["", "x", "/", "/..", "/dev", "/proc", "/sys/x", "/a\0b"])
def test_places_that_cannot_be(stack, to):
    with pytest.raises(GraphbuildError):
        stub.place(stack, to)


def test_an_image_whose_proc_is_a_symlink_is_refused(tmp_path):
    (tmp_path / "proc").symlink_to("/etc")
    with pytest.raises(GraphbuildError):
        stub.check_own(FolderStack([tmp_path]))


def test_secrets_are_in_no_representation(stack, tmp_path):
    job = Job(stack, ("true",), tmp_path, mounts=(SecretFile(b"hunter2", "/s"),), secret_env=(("A", "hunter2"),))
    assert "hunter2" not in repr(job) + repr(job.mounts)


# QEMU


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#!/bin/sh\n",
        b"\x7fELF\x02\x01" + b"\xff" * 58,
        b"\x7fELF\x02\x01" + bytes(26) + b"\x40" + bytes(23) + b"\x38\0\x02" + bytes(5),
    ],
)
def test_what_is_no_emulator_is_not_taken_for_one(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file of that name on the way is damaged, or a script: the machine lacks QEMU, and nothing else is said."""
    if Path("/proc/sys/fs/binfmt_misc/qemu-loongarch64").exists() or os.uname().machine == "loongarch64":
        pytest.skip("this machine runs loong64's programs")
    program = tmp_path / "qemu-loongarch64-static"
    program.write_bytes(content)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GraphbuildError, match="which is not installed") as caught:
        emulation.prepare("loong64", root=True)
    assert caught.value.exit_code == 36
