"""Mounting many folders: none is ever lost."""

import pytest


@pytest.fixture
def folders(driver):
    made = []
    for number in range(300):
        folder = driver.base / ("long-" * 45) / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        made.append(folder)
    (made[0] / "bottom").write_text("bottom")
    return [str(folder) for folder in made]


def test_300_lowers_of_long_paths(driver, folders):
    assert len(":".join(folders)) > 10 * 4096
    assert driver.ask(do="view", folders=folders, read="bottom") == {"text": "bottom", "mounted": False}


def test_the_same_through_the_old_system_call(driver, folders):
    assert driver.ask(do="view", folders=folders, read="bottom", old=True) == {"text": "bottom", "mounted": False}


def test_one_folder_without_upper(driver, folders):
    assert driver.ask(do="view", folders=folders[:1], read="bottom") == {"text": "bottom", "mounted": False}


def test_a_volatile_upper_mounts_again(driver, folders):
    assert driver.ask(do="view", folders=folders[:2], read="bottom", writable=True, times=2) == {"text": "bottom", "mounted": False}


def test_too_many(driver, folders):
    assert "at most 500" in driver.ask(do="view", folders=folders * 2, read="bottom")["error"]
