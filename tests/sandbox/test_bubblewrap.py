"""The real sandbox: its walls, its users, its traces. Most tests run as root, with subordinate ids, and with one id; each also as Docker would."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DOCKERS_14 = 0xA80425FB


def capabilities(answer):
    return {name: int(value, 16) for name, value in re.findall(r"Cap(\w+):\s*(\w+)", answer["output"])}


def bind(source, to, mode="ro"):
    return {"kind": "bind", "source": str(source), "to": to, "mode": mode}


# The walls.


def test_the_kernels_switches_cannot_be_written(driver):
    answer = driver.sh("echo x > /proc/sys/kernel/core_pattern; echo x > /proc/sysrq-trigger; echo 1 > /sys/kernel/profiling")
    assert answer["output"].count("can't create") == 3


def test_what_docker_masks_is_masked(driver):
    script = "for f in keys timer_list kcore sched_debug; do if [ -e /proc/$f ]; then wc -c < /proc/$f; fi; done; ls /sys/firmware /proc/acpi | grep -v :"
    assert set(driver.sh(script)["output"].split()) <= {"0"}


def test_dockers_capabilities(driver):
    found = capabilities(driver.sh("cat /proc/self/status"))
    assert found == {"Inh": 0, "Prm": DOCKERS_14, "Eff": DOCKERS_14, "Bnd": DOCKERS_14, "Amb": 0}


def test_a_user_has_no_capabilities(many_ids):
    found = capabilities(many_ids.sh("cat /proc/self/status", user="bob"))
    assert found == {"Inh": 0, "Prm": 0, "Eff": 0, "Bnd": DOCKERS_14, "Amb": 0}


def test_network_none_has_only_lo(driver):
    assert re.findall(r"^\d+: (\w+)", driver.sh("ip link")["output"], re.MULTILINE) == ["lo"]
    assert "LOOPBACK,UP" in driver.sh("ip link")["output"]


def test_network_host_sees_the_machines(driver):
    host = sorted(os.listdir("/sys/class/net"))
    assert sorted(re.findall(r"^\d+: (\w+)", driver.sh("ip link", network="host")["output"], re.MULTILINE)) == host
    if os.path.exists("/etc/resolv.conf"):
        assert driver.sh("cat /etc/resolv.conf", network="host")["output"] == Path("/etc/resolv.conf").read_text()


def test_a_disk_cannot_be_opened_through_a_node_of_its_own(roots):
    answer = roots.sh("mknod /disk b 7 0 && dd if=/disk of=/dev/null count=1")
    assert "disk" in answer["upper"]
    assert answer["code"] != 0
    assert "Permission denied" in answer["output"]


def test_only_its_own_processes_are_seen(driver):
    assert len(driver.sh("ls /proc | grep -c '^[0-9]'; true")["output"].strip()) == 1


# Names and numbers.


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", "0 0 0,10 /root"),
        ("bob", "1000 1001 1001,10,29 /home/bob"),
        ("1000", "1000 1001 1001,10,29 /home/bob"),
        ("bob:audio", "1000 29 29 /home/bob"),
        ("1000:7", "1000 7 7 /home/bob"),
        ("4000", "4000 0 0 /"),
    ],
)
def test_users_groups_and_home_are_dockers(many_ids, user, expected):
    answer = many_ids.sh('echo $(id -u) $(id -g) $(id -G | tr " " ,) $HOME'.replace("tr", "busybox tr"), user=user)
    uid, gid, groups, home = answer["output"].split()
    wanted = expected.split()
    assert [uid, gid, set(groups.split(",")), home] == [wanted[0], wanted[1], set(wanted[2].split(",")), wanted[3]]


def test_files_of_a_user_are_his(root, full):
    for driver in (root, full):
        assert driver.sh("touch /home/bob/x", user="bob")["output"] != ""  # home is root's here
        assert driver.sh("touch /tmp/x", user="bob", mounts=[{"kind": "tmpfs", "to": "/tmp"}])["code"] == 0


def test_an_unknown_user_is_a_mistake(driver):
    assert "'nobody'" in driver.run("true", user="nobody")["error"]


def test_one_id_cannot_switch_and_says_what_to_do(single):
    answer = single.run("true", user="bob")
    assert answer["exit_code"] == 36
    assert "--add-subuids" in answer["hint"]


def test_one_id_pretends_what_packages_insist_on(single):
    answer = single.sh("touch /a && chown 12:34 /a && mknod /n c 1 3 && busybox chgrp 9 /a && echo done")
    assert answer["output"] == "done\n"
    assert answer["upper"]["a"][1:3] == [0, 0]


def test_chown_is_real_with_many_ids(many_ids):
    assert many_ids.sh("touch /a && chown 12:34 /a")["upper"]["a"][1:3] == [12, 34]


# What a step finds.


def test_environment(native):
    answer = native.sh("busybox env", env=[("A", "1"), ("LD_PRELOAD", "/nothing.so")])
    lines = set(answer["output"].splitlines())
    assert {"A=1", "HOSTNAME=graphbuild", "HOME=/root", "LD_PRELOAD=/nothing.so"} <= lines
    assert "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" in lines
    assert {line.partition("=")[0] for line in lines} <= {"A", "HOSTNAME", "HOME", "LD_PRELOAD", "PATH", "PWD", "SHLVL", "OLDPWD"}
    assert native.sh("echo $HOME", env=[("HOME", "/x")])["output"] == "/x\n"


def test_umask_stdin_and_hostname(native):
    answer = native.sh("umask; hostname; cat; pwd; grep localhost /etc/hosts | wc -l")
    assert answer["output"].split() == ["0022", "graphbuild", "/", "2"]


def test_workdir_is_made(driver):
    answer = driver.sh("pwd", workdir="/made/deep")
    assert answer["output"] == "/made/deep\n"
    assert answer["upper"]["made/deep"][:3] == ["drwxr-xr-x", 0, 0]
    assert "made" not in answer["mount_points"]
    assert "bin" in driver.run("true", workdir="/bin/busybox")["error"]


def test_argv0_is_what_the_user_said(driver):
    assert driver.sh("echo $0")["output"] == "sh\n"
    assert driver.run("cat", "/proc/self/cmdline")["output"] == "cat\0/proc/self/cmdline\0"


def test_not_found_and_not_executable(driver):
    assert driver.run("/bin")["code"] == 126
    assert driver.run("/etc/passwd")["code"] == 126
    assert driver.run("/nowhere")["code"] == 127
    assert driver.run("true", env=[("PATH", "/usr/bin")])["code"] == 127


def test_a_missing_interpreter_is_127(driver, tmp_path):
    driver_base = driver.base / "script"
    driver_base.write_text("#!/no/interpreter\n")
    driver_base.chmod(0o755)
    answer = driver.run("/script", mounts=[bind(driver_base, "/script")])
    assert answer["code"] == 127
    assert "interpreter" in answer["output"]


def test_a_signal_is_128_and_its_number(native):
    assert native.sh("busybox kill -9 $$")["code"] == 137


# Mounts.


def test_no_new_privileges(native):
    assert "NoNewPrivs:\t1" in native.sh("cat /proc/self/status")["output"]


def test_the_first_process_only_reaps(native):
    answer = native.sh("echo $$; sh -c 'sleep 0.05 &'; sleep 0.3; ps -o pid,stat,comm; ls -l /proc/1/fd; exit 5")
    lines = answer["output"].splitlines()
    assert lines[0] == "2"
    assert not [line for line in lines if " Z" in line or line.endswith("sleep")]
    assert answer["code"] == 5


def test_what_reports_the_end_cannot_be_reached_by_the_step(native):
    answer = native.sh("ls /proc/1/fd | wc -l; for n in 3 4 5 6 7 8 9 10 11 12; do echo x > /proc/1/fd/$n && echo written; done; exit 6")
    assert "written" not in answer["output"]
    assert answer["code"] == 6


def test_stubs_never_reach_the_upper_directory(native):
    secret = {"kind": "secret", "content": "s", "to": "/run/secrets/s"}
    mounts = [bind("/usr", "/deep/er/usr"), {"kind": "tmpfs", "to": "/scratch"}, secret]
    answer = native.sh("ls -d /deep/er/usr/bin /scratch /run/secrets/s && touch /etc/new", network="host", mounts=mounts)
    assert answer["code"] == 0
    assert sorted(answer["upper"]) == ["etc", "etc/new"]
    points = {"dev", "proc", "sys", "deep", "deep/er", "deep/er/usr", "scratch", "run", "run/secrets", "run/secrets/s", "etc/hosts"}
    assert points <= set(answer["mount_points"])
    assert "etc" not in answer["mount_points"]


def test_the_stub_keeps_the_attributes_of_parents(root, rootfs):
    script = "busybox stat -c '%a %U' /home /home/bob"
    answer = root.sh(script, attributes={"home/bob": 0o1750}, implicit=["home/bob"], mounts=[{"kind": "tmpfs", "to": "/home/bob/x"}])
    assert answer["output"].split() == ["755", "root", "1750", "root"]
    assert answer["upper"] == {}


def test_modes_of_binds(driver):
    source = driver.base / "bound"
    source.mkdir(exist_ok=True)
    (source / "file").write_text("old")
    os.chown(source, *(os.stat(driver.base)[4:6]))
    os.chown(source / "file", *(os.stat(driver.base)[4:6]))
    assert "Read-only" in driver.sh("echo new > /b/file", mounts=[bind(source, "/b")])["output"]
    assert driver.sh("echo new > /b/file && cat /b/file", mounts=[bind(source, "/b", "discard")])["output"] == "new\n"
    one_file = bind(source / "file", "/f", "discard")
    assert driver.sh("echo new > /f && cat /f", mounts=[one_file])["output"] == "new\n"
    assert (source / "file").read_text() == "old"
    assert driver.sh("echo new > /b/file", mounts=[bind(source, "/b", "rw")])["code"] == 0
    assert (source / "file").read_text() == "new\n"


def test_a_tmpfs_has_its_size(driver):
    answer = driver.sh("dd if=/dev/zero of=/t/x bs=1024 count=2000", mounts=[{"kind": "tmpfs", "to": "/t", "size": 1 << 20}])
    assert "No space left" in answer["output"]


def test_a_mount_lands_where_the_images_symlink_leads(driver, rootfs):
    layer = driver.base / "links"
    (layer / "var").mkdir(parents=True, exist_ok=True)
    if not (layer / "var/run").is_symlink():
        (layer / "var/run").symlink_to("/run")
        (layer / "evil").symlink_to("../../../../../tmp")
    mounts = [{"kind": "secret", "content": "s", "to": "/var/run/s"}, {"kind": "tmpfs", "to": "/evil/inside"}]
    answer = driver.sh("cat /run/s; ls -d /tmp/inside", layers=[str(rootfs), str(layer)], mounts=mounts)
    assert answer["output"] == "s/tmp/inside\n"


@pytest.mark.parametrize("to", ["/", "/proc/x", "/sys", "relative", "/bin/busybox", "/bin/busybox/x"])
def test_destinations_that_cannot_be(driver, to):
    assert "error" in driver.run("say", "x", mounts=[{"kind": "tmpfs", "to": to}])


def test_a_mount_in_a_mount_follows_no_planted_symlink(driver):
    source = driver.base / "planted"
    source.mkdir(exist_ok=True)
    if not (source / "x").is_symlink():
        (source / "x").symlink_to("../../oldroot/tmp")
    answer = driver.run("true", mounts=[bind(source, "/c"), {"kind": "tmpfs", "to": "/c/x"}])
    assert "symlink" in answer["error"]
    layer = driver.base / "into"
    layer.mkdir(exist_ok=True)
    if not (layer / "way").is_symlink():
        (layer / "way").symlink_to("/c/x")
    mounts = [bind(source, "/c"), {"kind": "tmpfs", "to": "/way"}]
    assert "symlink" in driver.run("true", layers=[str(driver.rootfs), str(layer)], mounts=mounts)["error"]
    assert "cannot hold another" in driver.run("true", mounts=[bind(source, "/c", "rw"), {"kind": "tmpfs", "to": "/c/x"}])["error"]


# Secrets.


def test_secrets_are_where_they_belong_and_nowhere_else(driver):
    secret = {"kind": "secret", "content": "hunter2-file", "to": "/run/s", "mode": 0o400}
    script = 'cat /run/s; echo " $TOKEN"; busybox stat -c %a /run/s; cat /proc/[0-9]*/cmdline; test $$ = 1 || cat /proc/1/environ'
    answer = driver.sh(script, mounts=[secret], secret_env=[("TOKEN", "hunter2-env")])
    assert answer["output"].startswith("hunter2-file hunter2-env\n400\n")
    assert answer["output"].count("hunter2") == 2
    assert answer["upper"].keys() <= {"dev", "proc", "sys"}


def test_secrets_are_on_no_command_line_outside(throwaway):
    throwaway.send(**throwaway.job("sleep", "86399", secret_env=[("TOKEN", "hunter2-outside")], env=[("A", "plain-value")]))
    wait_for(lambda: running("86399"))
    assert not any(b"hunter2-outside" in line for line in command_lines().values())
    kill(throwaway)


def test_a_secret_for_a_user(many_ids):
    secret = {"kind": "secret", "content": "s", "to": "/run/s", "mode": 0o400, "uid": 1000, "gid": 1001}
    assert many_ids.sh("cat /run/s", user="bob", mounts=[secret])["output"] == "s"
    assert "denied" in many_ids.sh("cat /run/s", user="bob", mounts=[secret | {"uid": 0}])["output"]


# Limits.


def test_memory(roots):
    answer = roots.sh("yes | busybox tr -d '\\n' | head -c 300000000 | busybox sort", limits={"memory": 40 << 20})
    if answer["notes"]:
        pytest.skip("needs a memory control group that can be written")
    assert answer["reason"] == "memory"


def test_processes(roots):
    answer = roots.sh("for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait", limits={"processes": 6})
    if answer["notes"]:
        pytest.skip("needs a pids control group that can be written")
    assert "can't fork" in answer["output"]


def test_processes_without_control_groups(full):
    """The kernel's other limit counts all processes of the user, graphbuild's few included."""
    for driver in (full, full.as_docker()):
        answer = driver.sh("i=0; while [ $i -lt 40 ]; do sleep 1 & i=$((i + 1)); done; wait", limits={"processes": 24})
        assert "can't fork" in answer["output"]


def test_memory_that_cannot_be_limited_is_noted(single):
    answer = single.run("true", limits={"memory": 1 << 30})
    assert answer["code"] == 0
    assert answer["notes"] in ([], ["the limit on memory was not held: this user may make no control group"])


# Ends.


def command_lines():
    """The command line of every process of the machine, by its id; those that end meanwhile are left out."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            found[int(path.name)] = (path / "cmdline").read_bytes()
        except OSError:
            continue
    return found


def running(marker):
    return [pid for pid, line in command_lines().items() if marker.encode() in line.split(b"\0")]


def wait_for(condition, seconds=5):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


def kill(driver):
    driver.process.send_signal(signal.SIGKILL)
    driver.process.wait()


def test_kill_9_leaves_nothing(throwaway):
    throwaway.send(**throwaway.job("sh", "-c", "sleep 86397 & sleep 86397"))
    wait_for(lambda: len(running("86397")) == 2)
    kill(throwaway)
    wait_for(lambda: not running("86397"), 2)
    assert str(throwaway.base) not in Path("/proc/self/mountinfo").read_text()


def test_background_processes_end_with_the_command(driver):
    answer = driver.sh("sleep 86395 & busybox setsid sleep 86395 & true")
    assert answer["code"] == 0
    assert answer["seconds"] < 5
    assert not running("86395")


def test_much_output(driver):
    assert len(driver.sh("dd if=/dev/zero bs=65536 count=20 2>/dev/null")["output"]) == 20 * 65536


def test_from_several_threads(driver):
    requests = [driver.job("sh", "-c", f"echo {number} > /{number}; cat /[0-9]*") for number in range(8)]
    for request in requests:
        del request["do"]
    answers = driver.ask(do="many", requests=requests)
    assert [answer["output"] for answer in answers] == [f"{number}\n" for number in range(8)]
    assert [answer["left"] for answer in answers] == [[]] * 8


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("like_docker", [False, True])
def test_a_shell_on_a_terminal(rootfs, tmp_path, like_docker):
    ours, theirs = pty.openpty()
    job = {"argv": ["sh"], "layers": [str(rootfs)], "interactive": True, "like_docker": like_docker, "env": [("PS1", "> ")]}
    words = [sys.executable, str(Path(__file__).with_name("driver.py")), str(tmp_path), json.dumps(job)]
    environment = {"PYTHONPATH": str(Path(__file__).parent.parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=environment)
    os.close(theirs)
    os.write(ours, b"test -t 0 && test -t 1 && echo sum=$((40+2))\nexit 3\n")
    output = b""
    try:
        while data := os.read(ours, 4096):
            output += data
    except OSError:  # EIO: the other side is closed
        pass
    os.close(ours)
    assert process.wait(10) == 3
    assert b"sum=42" in output


def test_control_groups_of_dead_processes_are_swept(root):
    parents = [path for path in map(Path, ("/sys/fs/cgroup/pids", "/sys/fs/cgroup")) if (path / "cgroup.procs").exists()]
    dead = subprocess.Popen(["true"])
    dead.wait()
    if not parents or not os.access(parents[0], os.W_OK):
        pytest.skip("needs a control group that can be written")
    own = next((line for line in Path("/proc/self/cgroup").read_text().splitlines() if ":pids:" in line), "::/").split(":", 2)[2]
    stale = Path(str(parents[0]) + own.rstrip("/")) / f"graphbuild-{dead.pid}-{dead.pid}"
    try:
        stale.mkdir()
    except OSError:
        pytest.skip("needs a control group that can be written")
    answer = root.run("true", limits={"processes": 50})
    assert answer["code"] == 0
    assert not stale.exists()
    assert not [name for name in os.listdir(stale.parent) if name.startswith(f"graphbuild-{root.process.pid}-")]


def test_a_thousand_layers_are_refused(driver):
    assert "at most 500" in driver.run("true", layers=[str(driver.rootfs)] * 1000)["error"]
