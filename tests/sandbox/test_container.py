"""Steps as in a RUN of Docker's engine, in walls of our own. What holds with bubblewrap too is in test_bubblewrap.py."""

import hashlib
import os
import platform
import shutil
from pathlib import Path

import pytest
from test_bubblewrap import bind, running

from graphbuild.sandbox import container, trampoline
from graphbuild.sandbox.bwrap import Bind, Masks, Memory, Setup
from graphbuild.sandbox.users import Credentials

MASKS = Masks(("/proc/kcore",), ("/sys/firmware",), ("/proc/sys",))
SETUP = Setup("/m", (), "/work", mounts=(Memory("/t", 4096, 0o755), Bind("/src", "/t/in/file"), Bind("/cache", "/c", True, True)))


def made(own_network=False):
    return container.calls(MASKS, SETUP, own_network=own_network, last=40, like_docker=True)


def layer(driver, name, files):
    """A folder below the driver's with files: path → (mode, content)."""
    folder = driver.base / name
    if not folder.exists():
        for path, (mode, content) in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
            (folder / path).chmod(mode)
    return folder


# The program.


def test_every_call_that_guards_must_succeed():
    may_fail = {(call.name, call.arguments[1]) for call in made(own_network=True) if not call.what and call.arguments}
    assert may_fail == {
        ("mount", b"/m/sys"),  # the machine's is there already, read-only
        ("mount", b"/m/sys/fs/cgroup"),
        ("mount", b"/m/dev/mqueue"),
        ("mkdirat", b"/m/t/in"),
        ("mknodat", b"/m/t/in/file"),
    }


def test_what_is_masked_is_masked_after_it_is_mounted():
    targets = [call.arguments[1] for call in made(own_network=True) if call.name == "mount"]
    for outer, inner in (
        (b"/m/proc", b"/m/proc/kcore"),
        (b"/m/proc", b"/m/proc/sys"),
        (b"/m/sys", b"/m/sys/firmware"),
        (b"/m/t", b"/m/t/in/file"),
    ):
        assert max(at for at, target in enumerate(targets) if target == outer) < targets.index(inner)


def test_the_machines_files_are_let_go_of_before_anything_of_the_image_runs():
    names = [call.name for call in made()]
    assert names.index("pivot_root") + 1 == names.index("umount2")
    assert not {"mount", "mknodat", "mkdirat"} & set(names[names.index("umount2") :])


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("x86_64", "7c9201cb579f9cab28f0eec9fba9f33fea7bd97ae0555e310a157f94f8c1b39b"),
        ("aarch64", "cf7f93f2598b4eab3d7796f81d2852eafd271ae2b8075d7b60e181b0e0f60190"),
    ],
)
def test_golden(machine, expected):
    walls = trampoline.Container(0x7C020011, made(), 9, 10, bytes(16))
    program = trampoline.Program(b"/bin/sh", (b"sh",), (b"A=1",), Credentials(1000, 1001, (4, 29)), walls)
    assert hashlib.sha256(trampoline.assemble(machine, program)).hexdigest() == expected


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        ("x86_64", "17bd769864109670817a9af46ed4aa6a63ad2244d6ceff7f8ec2455ac6b848e5"),
        ("aarch64", "39b9991065c6f1db6c73d0033f29ab032b9c6d32de321eb507e0b715b2f8e87c"),
    ],
)
def test_golden_with_a_reaper(machine, expected):
    walls = trampoline.Container(0x7C020011, (), 9, reaper=True)
    program = trampoline.Program(b"/bin/sh", (b"sh",), (b"A=1",), None, walls)
    assert hashlib.sha256(trampoline.assemble(machine, program)).hexdigest() == expected


# Who it is.


def test_it_is_the_first_process(docker):
    assert docker.sh("echo $$; ps -o pid | wc -l")["output"].split() == ["1", "4"]
    assert docker.run("cat", "/proc/self/stat")["output"].split()[:6] == ["1", "(cat)", "R", "0", "1", "1"]


def test_its_exit_code(docker):
    assert docker.sh("exit 3")["code"] == 3
    assert docker.sh("sh -c 'busybox kill -9 $$'; exit $?")["code"] == 137
    assert docker.sh("busybox kill -9 $$; exit 4")["code"] == 4  # nobody kills the first process from within


def test_setuid_programs_work_and_get_no_more_than_root_has(docker_users):
    """The program is one of ours, which becomes root altogether: busybox drops what the bit gives."""
    if not trampoline.supports(platform.machine()):
        pytest.skip(f"no code for {platform.machine()}")
    words = (b"grep", b"-E", b"^(Uid|Gid|Cap|NoNewPrivs)", b"/proc/self/status")
    program = trampoline.assemble(platform.machine(), trampoline.Program(b"/bin/busybox", words, (), Credentials()))
    folder = layer(docker_users, "setuid", {"bin/suid": (0o755, program)})
    os.chown(folder / "bin/suid", *os.stat(docker_users.base)[4:6])
    (folder / "bin/suid").chmod(0o6755)
    run = {"user": "bob", "layers": [str(docker_users.rootfs), str(folder)]}
    lines = dict(line.split(":\t") for line in docker_users.run("suid", **run)["output"].splitlines())
    assert (lines["Uid"], lines["Gid"]) == ("0\t0\t0\t0", "0\t0\t0\t0")
    assert lines["NoNewPrivs"] == "0"
    assert (lines["CapInh"], lines["CapAmb"], lines["CapPrm"], lines["CapBnd"]) == (
        "0" * 16,
        "0" * 16,
        "00000000a80425fb",
        "00000000a80425fb",
    )
    mounts = [bind(folder, "/b"), bind(folder, "/d", "discard")]
    assert docker_users.sh("/b/bin/suid; /d/bin/suid", mounts=mounts, **run)["output"] == "graphbuild: cannot switch to the user\n" * 2


def test_nothing_bound_into_the_tree_is_setuid_or_a_device(docker):
    source = docker.base / "bound-flags"
    source.mkdir(exist_ok=True)
    mounts = [bind(source, "/b", "rw"), bind(source, "/r"), bind(source, "/d", "discard"), {"kind": "tmpfs", "to": "/t"}]
    found = {}
    for line in docker.sh("cat /proc/self/mountinfo", mounts=mounts)["output"].splitlines():
        fields = line.split()
        found[fields[4]] = set(fields[5].split(","))
    assert all("nodev" in options for place, options in found.items() if not place.startswith(("/dev", "/proc/")))
    assert all("nosuid" in options for place, options in found.items() if place != "/")
    assert all("ro" in found[place] for place in ("/r", "/sys", "/proc/sys", "/etc/hosts"))
    assert "nosuid" not in found["/"]


@pytest.mark.parametrize(
    ("user", "env", "expected"),
    [
        ("", [], "/root"),
        ("bob", [("HOME", "")], "/home/bob"),
        ("bob", [("HOME", "/x")], "/x"),
        ("bare", [], ""),
        ("4242", [], "/"),
    ],
)
def test_home(docker_users, user, env, expected):
    passwd = layer(
        docker_users, "homes", {"etc/passwd": (0o644, b"root:x:0:0::/root:\nbob:x:1000:1000::/home/bob:\nbare:x:1001:1001:::/bin/sh\n")}
    )
    answer = docker_users.sh('echo "$HOME"', user=user, env=env, layers=[str(docker_users.rootfs), str(passwd)])
    assert answer["output"] == expected + "\n"


def test_a_user_without_passwd(docker_users):
    busybox = layer(docker_users, "no-passwd", {"bin/busybox": (0o755, Path(shutil.which("busybox")).read_bytes())})
    run = {"layers": [str(busybox)]}
    assert "'0'" in docker_users.run("busybox", "true", user="0", **run)["error"]
    assert "'bob'" in docker_users.run("busybox", "true", user="bob", **run)["error"]
    assert docker_users.run("busybox", "id", "-u", user="5:6", **run)["output"] == "5\n"
    assert docker_users.run("busybox", "sh", "-c", "echo $HOME", **run)["output"] == "/\n"


# What it finds.


def test_environment_and_names(docker):
    answer = docker.run("busybox", "env", env=[("A", "1"), ("LD_PRELOAD", "/nothing.so"), ("PATH", "/bin")])
    assert answer["output"] == "PATH=/bin\nA=1\nLD_PRELOAD=/nothing.so\nHOME=/root\n"
    assert docker.sh("umask; hostname; cat; pwd")["output"].split() == ["0022", "buildkitsandbox", "/"]


def test_hosts_are_the_sandboxs_with_every_network(docker):
    for network in ("none", "host"):
        output = docker.sh("cat /etc/hosts", network=network)["output"]
        assert output == "127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n"


def test_sys_shows_the_network_of_the_step(docker):
    assert docker.sh("ls /sys/class/net")["output"] == "lo\n"
    assert docker.sh("ls /sys/class/net", network="host")["output"].split() == sorted(os.listdir("/sys/class/net"))
    assert "can't create" in docker.sh("echo 1 > /sys/kernel/profiling")["output"]


def test_devices(docker):
    script = "for n in null zero full random urandom tty; do busybox stat -c '%a %F' /dev/$n; done; ls /dev; busybox stat -c %a /dev/shm; busybox readlink /dev/ptmx"
    answer = docker.sh(script)["output"].splitlines()
    assert answer[:6] == ["666 character special file"] * 6
    assert answer[6:-2] == sorted(
        ["core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]
    )
    assert answer[-2:] == ["1777", "pts/ptmx"]
    assert docker.sh("head -c 3 /dev/zero | wc -c; echo x > /dev/null; echo x > /dev/full")["output"].startswith("3\n")


def test_the_kernels_folders_stay_in_the_layer_and_nothing_else_does(docker):
    mounts = [bind("/usr", "/deep/er/usr"), {"kind": "secret", "content": "s", "to": "/run/secrets/s"}]
    answer = docker.sh("true", network="host", mounts=mounts)
    points = set(answer["mount_points"])
    assert {path: about[0] for path, about in answer["upper"].items()} == dict.fromkeys(("dev", "proc", "sys"), "drwxr-xr-x")
    assert not points & {"dev", "proc", "sys"}
    assert {"etc/hosts", "deep", "deep/er", "run", "run/secrets"} <= points


def test_a_user_can_open_the_output_by_name(docker_users):
    assert docker_users.sh("echo 1 > /dev/stdout; echo 2 > /dev/stderr", user="bob")["output"] == "1\n2\n"
    apart = docker_users.sh("echo 1 > /dev/stdout; echo 2 > /dev/stderr", user="bob", apart=True)
    assert (apart["output"], apart["errors"]) == ("1\n", "2\n")


# Mounts.


def test_the_later_of_two_mounts_at_one_place_hides_the_earlier(docker):
    source = layer(docker, "hides", {"seen": (0o644, b"")})
    assert docker.sh("ls /x", mounts=[{"kind": "tmpfs", "to": "/x"}, bind(source, "/x/")])["output"] == "seen\n"
    assert docker.sh("ls /x", mounts=[bind(source, "/x"), {"kind": "tmpfs", "to": "/x"}])["output"] == ""


def test_a_tmpfs_has_the_mode_of_what_it_hides(docker):
    answer = docker.sh(
        "busybox stat -c %a /home/bob /new",
        attributes={"home/bob": 0o2775},
        mounts=[{"kind": "tmpfs", "to": "/home/bob"}, {"kind": "tmpfs", "to": "/new"}],
    )
    assert answer["output"].split() == ["2775", "1777"]


def test_places_are_made_in_mounts_that_can_hold_them(docker):
    source = layer(docker, "inner", {"file": (0o644, b"inner\n")})
    mounts = [
        {"kind": "tmpfs", "to": "/t"},
        bind(source / "file", "/t/deep/name"),
        bind(source, "/dev/pipes"),
        bind(source, "/c", "discard"),
        {"kind": "tmpfs", "to": "/c/new/place"},
    ]
    assert docker.sh("cat /t/deep/name /dev/pipes/file; ls -d /c/new/place", mounts=mounts)["output"] == "inner\ninner\n/c/new/place\n"
    assert sorted(os.listdir(source)) == ["file"]


# Ends.


def test_it_is_cancelled_with_all_its_processes(docker):
    mark = str(86000 + os.getpid() / 1e8)
    answer = docker.sh(f"sleep {mark} & busybox setsid sleep {mark} & sleep {mark}", cancel_after=0.3)
    assert answer["reason"] == "cancelled"
    assert answer["seconds"] < 3
    assert not running(mark)


def test_a_timeout(docker):
    mark = str(86001 + os.getpid() / 1e8)
    answer = docker.sh(f"trap '' TERM INT; sleep {mark}", timeout=0.3)
    assert answer["reason"] == "timeout"
    assert not running(mark)


def test_its_waiting_parent_is_not_seen_and_cannot_be_signalled(docker):
    assert int(docker.sh("busybox kill -9 -1; ps | wc -l")["output"].split()[-1]) <= 4  # a heading, itself, ps, and wc if it was quick
    assert docker.sh("busybox kill -9 0 2>/dev/null; echo alive")["output"] == "alive\n"


def test_a_call_that_fails_is_said(root):
    """A machine that lacks what the walls take: the error names it, and is none of the step's."""
    answer = root.as_docker().run("true", workdir="/proc/nowhere")
    assert answer["exit_code"] == 36
    assert "entering the working directory /proc/nowhere: No such file or directory" in answer["error"]
