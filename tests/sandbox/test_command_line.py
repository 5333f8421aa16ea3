"""bubblewrap's command line, word for word."""

from graphbuild.sandbox.bwrap import CAPABILITIES, Bind, Masks, Memory, Setup, command_line, find_bwrap, find_masks

MASKS = Masks(("/proc/kcore",), ("/sys/firmware",), ("/proc/bus", "/proc/sys"))
HEAD = """bwrap --bind /s/merged / --proc /proc --dev /dev --perms 1777 --tmpfs /dev/shm --ro-bind /sys /sys
--ro-bind /proc/bus /proc/bus --ro-bind /proc/sys /proc/sys --dev-bind /dev/null /proc/kcore --tmpfs /sys/firmware --remount-ro /sys/firmware"""
NAMESPACES = "--unshare-pid --unshare-ipc --unshare-uts --unshare-cgroup-try"
CAPS = "--cap-drop ALL " + " ".join(f"--cap-add {name}" for name in CAPABILITIES)


def test_a_hermetic_step():
    setup = Setup(
        "/s/merged", ("/dev/.graphbuild",), "/app", mounts=(Bind("/a", "/b"), Bind("/c", "/d", writable=True), Memory("/t", 9)), status=5
    )
    mounts = "--ro-bind /a /b --bind /c /d --perms 1777 --size 9 --tmpfs /t"
    tail = "--unshare-net --hostname graphbuild --die-with-parent --new-session"
    expected = f"{HEAD} {mounts} {NAMESPACES} {tail} {CAPS} --json-status-fd 5 --chdir /app -- /dev/.graphbuild"
    assert command_line("bwrap", MASKS, setup) == expected.split()


def test_an_interactive_step_with_network_keeps_the_terminal():
    setup = Setup("/s/merged", ("sh",), unshare_network=False, env=(("LD_X", "y"),), interactive=True, status=5, block=6, seccomp=7)
    expected = f"""{HEAD} {NAMESPACES} --hostname graphbuild --die-with-parent {CAPS} --setenv LD_X y
        --json-status-fd 5 --block-fd 6 --seccomp 7 --chdir / -- sh"""
    assert command_line("bwrap", MASKS, setup) == expected.split()


def test_fourteen_capabilities():
    assert len(CAPABILITIES) == len(set(CAPABILITIES)) == 14


def test_what_is_found_here():
    assert "bwrap" in find_bwrap()
    assert "/proc/sys" in find_masks().read_only
