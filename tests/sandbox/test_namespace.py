"""Entering namespaces where that is unusual, or forbidden."""

import shutil

import pytest
from driver_process import Driver, private_folder


@pytest.fixture
def inside(rootfs):
    """Starts a driver as root of a user namespace, after a command has changed it."""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (package util-linux)")
    made = []

    def start(command):
        base = private_folder()
        script = f'{command}; exec "$@"'
        driver = Driver(["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", script, "sh"], base, rootfs)
        made.append((driver, base))
        return driver

    yield start
    for driver, base in made:
        driver.close()
        shutil.rmtree(base)


def test_already_root_of_a_user_namespace(inside):
    driver = inside("true")
    assert driver.hello == {"ids": "single", "root": False}
    assert driver.sh("chown 5:5 /home && echo made > /x")["upper"]["x"][3] == "made\n"


def test_no_namespaces_left_names_the_setting(inside):
    answer = inside("echo 0 > /proc/sys/user/max_mnt_namespaces").hello
    assert "user.max_mnt_namespaces" in answer["error"]
    assert answer["hint"] == "sysctl -w user.max_mnt_namespaces=65536"
