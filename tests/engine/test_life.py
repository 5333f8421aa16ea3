"""Containers come to be, run, are entered, end and go, as root and as an ordinary user."""

import json
import os
import signal
import subprocess
import time

from container_engine import Engine, parent_of, until

LOOP = "trap 'exit 3' TERM; echo up; while true; do sleep 0.05; done"


def test_a_command_runs_and_its_exit_code_is_kept(anyone: Engine):
    done = anyone("run", "base", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.code, done.out, done.err) == (7, "out\n", "err\n")
    assert anyone("run", "--rm", "base", "nosuch").code == 127
    assert anyone("run", "--rm", "base", "/etc/passwd").code == 126
    assert anyone("run", "--rm", "-e", "S=kill -9 $$; :", "base", "sh", "-c", 'sh -c "$S"; exit $?').code == 137
    (line,) = anyone.ok("ps", "-a", "--format", "{{.Image}} {{.Status}}").splitlines()
    assert line.startswith("base Exited (7) ")


def test_a_detached_container_lives_on_and_is_entered_stopped_and_started_again(anyone: Engine):
    id_ = anyone.ok("run", "-d", "--name", "web", "-e", "A=1", "base", "sh", "-c", LOOP).strip()
    assert len(id_) == 64
    assert anyone.ok("exec", "-e", "B=2", "web", "sh", "-c", "echo $A$B $(hostname) $(id -u) > /kept; cat /kept") == f"12 {id_[:12]} 0\n"
    assert anyone("exec", "web", "sh", "-c", "exit 5").code == 5
    assert anyone("exec", "web", "nosuch").code == 127
    assert anyone.ok("exec", "-i", "web", "cat", data=b"in\0put") == "in\0put"
    assert anyone.inspect(id_[:6], ".State.Status") == "running"
    assert "web" in anyone.fails("rm", "web")
    assert anyone.ok("stop", "web") == "web\n"
    assert anyone.inspect("web", ".State.ExitCode") == "3"
    assert anyone.ok("logs", "web") == "up\n"
    anyone.ok("start", "web")
    assert anyone.ok("exec", "web", "cat", "/kept").startswith("12")
    anyone.ok("kill", "web")
    assert anyone.ok("wait", "web") == "137\n"
    assert anyone.ok("logs", "web") == "up\n" * 2
    assert "not running" in anyone.fails("exec", "web", "true")
    anyone.ok("rm", "web")
    assert anyone.left() == []


def test_it_outlives_a_caller_that_is_killed(engine: Engine):
    caller = subprocess.Popen(
        engine.command("run", "--name", "xx", "base", "sh", "-c", LOOP), env=engine.environment, stdout=subprocess.PIPE
    )
    assert caller.stdout.readline() == b"up\n"
    caller.kill()
    caller.wait()
    assert engine.inspect("xx", ".State.Status") == "running"
    engine.ok("exec", "xx", "true")


def test_what_is_left_when_the_monitor_or_the_first_process_is_killed(engine: Engine):
    engine.ok("run", "-d", "--name", "xx", "base", "sh", "-c", "setsid sleep 1000 & sleep 1000")
    state = json.loads(engine.ok("inspect", "xx"))[0]["State"]
    os.kill(parent_of(parent_of(state["Pid"])), signal.SIGKILL)  # the monitor
    until(lambda: not os.path.exists(f"/proc/{state['Pid']}"))
    assert engine.ok("ps", "-a", "--format", "{{.State}} {{.Status}}").startswith("exited Exited (137)")
    engine.ok("start", "xx")
    os.kill(int(engine.inspect("xx", ".State.Pid")), signal.SIGKILL)
    assert engine.ok("wait", "xx") == "137\n"
    engine.ok("start", "xx")
    pid = int(engine.inspect("xx", ".State.Pid"))
    os.kill(parent_of(pid), signal.SIGKILL)
    assert engine.ok("wait", "xx") == "137\n"
    engine.ok("rm", "xx")
    assert engine.left() == []


def test_stop_kills_what_does_not_listen(engine: Engine):
    engine.ok("run", "-d", "--name", "xx", "--stop-timeout", "1", "base", "sh", "-c", "trap '' TERM; while true; do sleep 0.05; done")
    began = time.monotonic()
    engine.ok("stop", "xx")
    assert 1 <= time.monotonic() - began < 9
    assert engine.inspect("xx", ".State.ExitCode") == "137"
    engine.ok(
        "run", "-d", "--name", "yy", "--stop-signal", "USR1", "base", "sh", "-c", "trap 'exit 9' USR1; while true; do sleep 0.05; done"
    )
    engine.ok("stop", "yy")
    assert engine.inspect("yy", ".State.ExitCode") == "9"


def test_pause(anyone: Engine):
    anyone.ok("run", "-d", "--name", "xx", "base", "sh", "-c", "while true; do echo . >> /dots; sleep 0.01; done")
    anyone.ok("pause", "xx")
    upper = anyone.inspect("xx", ".GraphDriver.Data.UpperDir")
    size = os.path.getsize(f"{upper}/dots")
    time.sleep(0.3)
    assert os.path.getsize(f"{upper}/dots") == size
    assert "(Paused)" in anyone.ok("ps")
    assert "paused" in anyone.fails("exec", "xx", "true")
    assert "paused" in anyone.fails("pause", "xx")
    anyone.ok("unpause", "xx")
    until(lambda: os.path.getsize(f"{upper}/dots") > size)
    anyone.ok("pause", "xx")
    anyone.ok("rm", "-f", "xx")


def test_options_of_create(engine: Engine):
    script = (
        "id -u; id -G; pwd; hostname; echo $A $B; cat /etc/hostname; echo x > /x || echo read-only; grep Cap /proc/self/status | head -3"
    )
    (engine.folder / "env").write_text("# comment\nB=from file\n")
    words = ["-u", "bob", "-w", "/made/here", "-h", "box", "-e", "A", "--env-file", "env", "--read-only", "--cap-drop", "ALL"]
    out = engine.ok("run", "--rm", "--user", "root", "--cap-add", "CHOWN", *words, "base", "sh", "-c", script, A="mine").splitlines()
    assert out[:7] == ["1000", "1001 29", "/made/here", "box", "mine from file", "box", "read-only"]
    root = engine.ok("run", "--rm", "--cap-drop", "ALL", "--cap-add", "CHOWN", "base", "grep", "CapEff", "/proc/self/status")
    assert int(root.split()[1], 16) == 1
    assert engine.ok("run", "--rm", "--entrypoint", "echo", "base", "a", "b") == "a b\n"
    assert engine.ok("run", "--rm", "--network", "none", "base", "sh", "-c", "ip a | grep -c ^[0-9]") == "1\n"
    assert "exit code" not in engine.fails("run", "-p", "80:80", "base", code=2)
    assert "ports cannot be published" in engine.fails("run", "-p", "80:80", "base", code=2)
    assert "did you mean --interactive" in engine.fails("run", "--interactiv", "base", code=2)
    assert "did you mean" not in engine.fails("run", "--restart", "always", "base", code=2)
    assert "`graphbuild image pull`" in engine.fails("run", "nosuch", code=125)
    engine.ok("create", "--name", "taken", "base")
    assert "taken is in use" in engine.fails("create", "--name", "taken", "base")
    assert engine.left() != []


def test_volumes_binds_and_memory(engine: Engine):
    (engine.folder / "host").mkdir()
    mounts = ["-v", "vol:/etc", "-v", f"{engine.folder}/host:/h:ro", "--tmpfs", "/m:size=1m", "--mount", "type=volume,dst=/anon"]
    script = "cat /etc/passwd | head -1; echo y > /etc/new; echo n > /h/n || echo ro; grep -c ' /m tmpfs' /proc/mounts; echo a > /anon/a"
    out = engine.ok("run", "--name", "xx", *mounts, "base", "sh", "-c", script).splitlines()
    assert out == ["root:x:0:0:root:/root:/bin/sh", "ro", "1"]
    assert (engine.store / "volumes/vol/new").read_text() == "y\n"
    assert engine.ok("run", "--rm", "-v", "vol:/e", "base", "cat", "/e/new") == "y\n"
    assert len(os.listdir(engine.store / "volumes")) == 3  # the lock too
    engine.ok("rm", "-v", "xx")
    assert sorted(os.listdir(engine.store / "volumes")) == [".lock", "vol"]


def test_what_lies_in_a_volume_at_dev_leads_nowhere_out_of_the_container(engine: Engine):
    outside = engine.folder / "outside"
    for links in (
        f"ln -s {outside} /v/console; ln -s /dev/pts /v/pts",
        f"ln -s {outside} /v/console; mkdir /v/pts; ln -s /dev/ptmx /v/pts/ptmx",
    ):
        engine.ok("run", "--rm", "-v", "devices:/v", "base", "sh", "-c", f"rm -rf /v/*; {links}")
        assert engine("run", "--rm", "-t", "-v", "devices:/dev", "base", "true").code == 125
        assert not outside.exists()


def test_a_symlink_at_a_mount_point_leads_nowhere_but_into_the_container(engine: Engine):
    outside = engine.folder / "outside"
    outside.mkdir()
    engine.ok("run", "--name", "xx", "-v", "vol:/data/in", "base", "sh", "-c", "true")
    upper = engine.inspect("xx", ".GraphDriver.Data.UpperDir")
    os.rmdir(f"{upper}/data/in")
    os.symlink(str(outside), f"{upper}/data/in")
    engine("start", "-a", "xx")
    assert os.listdir(outside) == []
    assert os.path.isdir(f"{upper}{outside}")


def test_a_user_of_a_container_gets_no_device_of_the_machine(engine: Engine):
    engine.ok(
        "run", "-d", "--name", "xx", "-u", "1000", "--health-cmd", "touch /tmp/checked", "--health-interval", "50ms", "base", "sleep", "100"
    )
    engine.ok("exec", "-u", "1000", "xx", "true")
    engine.ok("exec", "-d", "-u", "1000", "xx", "touch", "/tmp/done")
    for name in ("checked", "done"):
        until(lambda name=name: engine("exec", "xx", "test", "-e", f"/tmp/{name}").code == 0)
    owner = os.stat(os.devnull).st_uid
    os.chown(os.devnull, 0, 0)
    assert owner == 0


def test_devices_are_those_of_the_list_and_nobody_in_a_container_changes_them(engine: Engine):
    mode = os.stat("/dev/zero").st_mode
    script = (
        "chmod 640 /dev/zero && echo changed; mknod /dev/z c 1 5; head -c 1 /dev/z | wc -c; echo x > /dev/null; head -c 1 /dev/zero | wc -c"
    )
    try:
        assert engine("run", "--rm", "base", "sh", "-c", script).out.split() == ["0", "1"]
    finally:
        os.chmod("/dev/zero", mode & 0o7777)


def test_health(engine: Engine):
    words = ["--health-cmd", "test -e /well", "--health-interval", "100ms", "--health-retries", "2"]
    engine.ok("run", "-d", "--name", "xx", *words, "base", "sleep", "1000")
    until(lambda: engine.inspect("xx", ".State.Health.Status") == "unhealthy")
    engine.ok("exec", "xx", "touch", "/well")
    until(lambda: engine.inspect("xx", ".State.Health.Status") == "healthy")
    assert "(healthy)" in engine.ok("ps")
    engine.ok("rm", "-f", "xx")
    assert engine.left() == []


def test_logs(engine: Engine):
    script = "for i in 1 2 3; do echo $i; done; printf part; sleep 0.2; echo ial; echo e >&2"
    engine.ok("run", "-d", "--name", "xx", "base", "sh", "-c", script)
    followed = engine("logs", "-f", "xx")
    assert (followed.out, followed.err) == ("1\n2\n3\npartial\ne\n".replace("e\n", "", 1), "e\n")
    assert engine.ok("logs", "--tail", "2", "xx") == "partial\n"
    first = engine.ok("logs", "-t", "xx").splitlines()[0].split(" ")
    assert first[0].endswith("Z")
    assert first[1] == "1"
    assert engine.ok("logs", "--since", "1h", "xx") == "1\n2\n3\npartial\n"
    assert engine.ok("logs", "--until", "1h", "xx") == ""


def test_names_rename_filters_and_prune(engine: Engine):
    engine.ok("create", "base")
    (name,) = engine.ok("ps", "-a", "--format", "{{.Names}}").split()
    adjective, surname = name.split("_")
    assert adjective.isalpha()
    assert surname.isalnum()
    engine.ok("rename", name, "second")
    engine.ok("create", "--name", "third", "-l", "k=v", "base")
    assert engine.ok("ps", "-aq", "--no-trunc", "--filter", "label=k=v").strip() == engine.inspect("third", ".Id")
    assert engine.ok("ps", "-l", "--format", "{{.Names}}") == "third\n"
    assert len(engine.ok("prune", "-f").split()) == 2
    assert engine.left() == []
    assert "did you mean" not in engine.fails("inspect", "nothing-like-it")


def test_sudo_would_work(engine: Engine):
    out = engine.ok(
        "run", "--rm", "base", "sh", "-c", "grep NoNewPrivs /proc/self/status; mount | grep ' / ' | grep -c nosuid; true"
    ).split()
    assert out == ["NoNewPrivs:", "0", "0"]


def test_collections_spare_what_a_container_stands_on(engine: Engine):
    engine.ok("create", "--name", "xx", "base", "echo", "alive")
    words = [*engine.command()[:-1], "cache", "gc", "--max-size", "0"]
    subprocess.run(words, env=engine.environment, check=True, capture_output=True)
    assert engine.ok("start", "-a", "xx") == "alive\n"
