"""A root file system of busybox, and drivers: processes that run jobs as root, as a user with subordinate ids, and with one id."""

import os
import shutil

import pytest
from accounts import UID, user_prefix
from driver_process import Driver, private_folder
from fake import FakeSandbox

APPLETS = "sh true false id ls cat env echo stat sleep ps grep hostname umask mknod mount ip rm mkdir touch wc head yes ln chown dd tail pwd".split()  # noqa: SIM905 - a list of words
PASSWD = "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1001::/home/bob:/bin/sh\n"
GROUP = "root:x:0:\nbob:x:1001:\naudio:x:29:bob\nwheel:x:10:root,bob\n"
SCRIPTS = {"write": 'printf %s "$2" > "$1"', "say": 'echo "$1"', "complain": 'echo "$1" >&2', "fail": 'exit "$1"'}


@pytest.fixture(scope="session")
def rootfs():
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("needs busybox (package busybox-static)")
    folder = private_folder()
    for name in ("bin", "etc", "home/bob"):
        (folder / name).mkdir(parents=True)
    shutil.copy(busybox, folder / "bin/busybox")
    for name in APPLETS:
        (folder / "bin" / name).symlink_to("busybox")
    for name, text in SCRIPTS.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / "bin" / name).chmod(0o755)
    (folder / "etc/passwd").write_text(PASSWD)
    (folder / "etc/group").write_text(GROUP)
    yield folder
    shutil.rmtree(folder)


def make_driver(kind, rootfs, walls=""):
    base = private_folder()
    try:
        if os.geteuid() != 0 and kind == "root":
            pytest.skip("needs root")
        prefix = []
        if os.geteuid() == 0 and kind != "root":
            (base / "home").mkdir()
            prefix = user_prefix(base, kind)
            os.chown(base / "home", UID, UID)
        driver = Driver(prefix, base / "home" if prefix else base, rootfs, walls)
        if driver.hello.get("error"):
            pytest.skip(f"{driver.hello['error']}: {driver.hello['hint']}")
        if os.geteuid() != 0 and driver.hello["ids"] != kind:
            driver.close()
            pytest.skip(f"this user gets {driver.hello['ids']} ids")
        yield driver
        driver.close()
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def root(rootfs):
    yield from make_driver("root", rootfs)


@pytest.fixture(scope="session")
def full(rootfs):
    yield from make_driver("full", rootfs)


@pytest.fixture(scope="session")
def single(rootfs):
    yield from make_driver("single", rootfs)


@pytest.fixture(scope="session")
def root_bubblewrap(rootfs):
    yield from make_driver("root", rootfs, "bubblewrap")


@pytest.fixture(scope="session")
def full_bubblewrap(rootfs):
    yield from make_driver("full", rootfs, "bubblewrap")


@pytest.fixture(scope="session")
def single_bubblewrap(rootfs):
    yield from make_driver("single", rootfs, "bubblewrap")


def sandboxes(*kinds):
    """Every kind thrice: as it is, as a RUN of Docker's engine, and with bubblewrap's walls, for machines that cannot have ours."""
    return [f"{kind}{way}" for kind in kinds for way in ("", " as docker", "_bubblewrap")]


def find(request):
    kind, _, as_docker = request.param.partition(" ")
    found = request.getfixturevalue(kind)
    return found.as_docker() if as_docker else found


@pytest.fixture(params=sandboxes("root", "full", "single"))
def driver(request):
    return find(request)


@pytest.fixture(params=sandboxes("root", "full"))
def many_ids(request):
    return find(request)


@pytest.fixture(params=["root", "full", "single", "root_bubblewrap", "full_bubblewrap", "single_bubblewrap"])
def native(request):
    return find(request)


@pytest.fixture(params=sandboxes("root"))
def roots(request):
    return find(request)


@pytest.fixture(params=["root as docker", "full as docker", "single as docker"])
def docker(request):
    return find(request)


@pytest.fixture(params=["root as docker", "full as docker"])
def docker_users(request):
    return find(request)


@pytest.fixture(params=["", "as docker", "bubblewrap"])
def throwaway(request, rootfs):
    """A driver that the test may kill."""
    for made in make_driver("root" if os.geteuid() == 0 else "full", rootfs, request.param):
        yield made.as_docker() if request.param == "as docker" else made


def fake_run(folder):
    """FakeSandbox behind the same call as Driver.run."""
    import driver as answers

    numbers = iter(range(1000))

    def run(*argv, **fields):
        scratch = folder / f"scratch{next(numbers)}"
        scratch.mkdir()
        request = {"argv": argv, "layers": []} | fields
        return answers.run(FakeSandbox(), request, scratch)

    return run


@pytest.fixture(params=["fake", "root", "full", "single", "root_bubblewrap"])
def run(request, tmp_path):
    """One call that runs a command in a sandbox: the fake and every form of the real one."""
    if request.param == "fake":
        return fake_run(tmp_path)
    return request.getfixturevalue(request.param).run
