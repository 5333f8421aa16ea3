"""The program that switches users: its bytes never change by accident, and it does what it says."""

import hashlib
import os
import platform
import struct
import subprocess

import pytest

from graphbuild.sandbox import trampoline
from graphbuild.sandbox.bwrap import CAPABILITIES
from graphbuild.sandbox.users import Credentials

PROGRAM = trampoline.Program(b"/bin/sh", (b"sh", b"-c", b"id"), (b"A=1",), Credentials(1000, 1001, (4, 29)))
NUMBERS = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_BIND_SERVICE": 10,
}
NUMBERS |= {"NET_RAW": 13, "SYS_CHROOT": 18, "MKNOD": 27, "AUDIT_WRITE": 29, "SETFCAP": 31}


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("x86_64", "9e9accae67875ccd911d74685cb0459c8cf7e00af5f5b98fb62b2e14c9fa2998"),
        ("aarch64", "5b24b66061e0d9764a7a61cfc8b1a1eb247f98328654cb2a4cfd8245e36933d1"),
    ],
)
def test_golden(machine, expected):
    assert hashlib.sha256(trampoline.assemble(machine, PROGRAM)).hexdigest() == expected


def test_first_instructions_of_aarch64():
    program = trampoline.assemble("aarch64", PROGRAM)
    (entry,) = struct.unpack_from("<Q", program, 24)
    words = struct.unpack_from("<7I", program, entry - 0x400000)
    # movz w0,#24; movk w0,#0,lsl 16; movz w1,#2; movk w1,#0,lsl 16; movz w8,#167; movk w8,#0,lsl 16; svc #0
    assert [hex(word) for word in words] == [
        "0x52800300",
        "0x72a00000",
        "0x52800041",
        "0x72a00001",
        "0x528014e8",
        "0x72a00008",
        "0xd4000001",
    ]


def test_the_capabilities_are_the_ones_bubblewrap_keeps():
    assert sum(1 << NUMBERS[name.removeprefix("CAP_")] for name in CAPABILITIES) == trampoline.DOCKERS


def test_no_code_for_other_machines():
    assert not trampoline.supports("riscv64")


def start(tmp_path, program):
    if not trampoline.supports(platform.machine()):
        pytest.skip(f"no code for {platform.machine()}")
    path = tmp_path / "start"
    path.write_bytes(trampoline.assemble(platform.machine(), program))
    path.chmod(0o700)
    return subprocess.run([str(path)], capture_output=True, text=True, check=False)


def test_it_executes_with_just_the_arguments_and_environment_given(tmp_path):
    result = start(tmp_path, trampoline.Program(b"/usr/bin/env", (b"other-name",), (b"A=1", b"B=" + b"x" * 100_000), None))
    # Without root or capabilities capset refuses: then it must not go on.
    if os.geteuid() != 0:
        assert (result.returncode, result.stderr) == (126, "graphbuild: cannot switch to the user\n")
    else:
        assert result.stdout == "A=1\nB=" + "x" * 100_000 + "\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(("path", "code", "message"), [(b"/nowhere", 127, "not found"), (b"/etc/passwd", 126, "cannot be executed")])
def test_failures(tmp_path, path, code, message):
    result = start(tmp_path, trampoline.Program(path, (b"x",), (), Credentials()))
    assert result.returncode == code
    assert message in result.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_it_becomes_the_user(tmp_path):
    script = b"grep -E '^(Uid|Gid|Groups|Cap...):' /proc/self/status"
    result = start(tmp_path, trampoline.Program(b"/bin/sh", (b"sh", b"-c", script), (b"PATH=/bin",), Credentials(1000, 1001, (4, 29))))
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[:3] == [["Uid:"] + ["1000"] * 4, ["Gid:"] + ["1001"] * 4, ["Groups:", "4", "29"]]
    assert [line[1] for line in lines[3:]] == ["0" * 16, "0" * 16, "0" * 16, "00000000a80425fb", "0" * 16]
