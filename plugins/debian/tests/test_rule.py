"""`analyze`: from locked packages to actions, by their values."""

import subprocess
from pathlib import Path
from shutil import which

import pytest
from graphbuild_debian import RULES
from graphbuild_debian.attributes import Debian
from graphbuild_debian.records import Lock, Locked, LockedSuite, from_plain, to_plain

from graphbuild.rules import (
    ArchivePart,
    Assemble,
    BlobMount,
    Context,
    Fetch,
    FilePart,
    Flatten,
    GraphbuildError,
    Label,
    Run,
    Snapshot,
    SymlinkPart,
)

LABEL = Label("web", "debian")
SOURCE = Path(__file__).parent.parent / "graphbuild_debian"


def package(name: str, stage: int = 0, version: str = "1") -> Locked:
    return Locked(name, version, "amd64", name, "ab" * 32, 10, ("http://m/a", "http://n/a"), "packages", stage)


def lock(*packages: Locked, tools: tuple[Locked, ...] = (), arch: str = "amd64") -> Lock:
    return Lock(arch, (LockedSuite("http://m/debian", "bookworm", "bookworm", "today"),), packages, tools)


def context(locked: object) -> Context:
    return Context(LABEL, Snapshot(), False, (), "none", 0, (), locked, "web/build.yaml", ("bases", "debian"))


def analysed(locked: Lock, **attributes: object):
    analysis = RULES[0].analyze(context(to_plain(locked)), Debian(suite="bookworm", **attributes))
    return dict(analysis.actions), analysis.providers[0]


def test_the_actions_of_a_minimal_base():
    actions, snapshot = analysed(lock(package("base-passwd"), package("python3", 1, "1:3.11"), tools=(package("adduser"), package("dpkg"))))
    assert list(actions) == [
        "fetch base-passwd_1_amd64.deb",
        "fetch adduser_1_amd64.deb",
        "fetch dpkg_1_amd64.deb",
        "fetch python3_1%3a3.11_amd64.deb",
        "bootstrap",
        "configure",
        "prune",
        "layer",
    ]
    assert actions["fetch dpkg_1_amd64.deb"] == Fetch("http://m/a", "ab" * 32, 10, ("http://n/a",))
    bootstrap = actions["bootstrap"]
    assert isinstance(bootstrap, Assemble)
    assert [part.path for part in bootstrap.parts if isinstance(part, SymlinkPart)] == ["bin", "lib", "lib64", "sbin"]
    assert [part.source.action for part in bootstrap.parts if isinstance(part, ArchivePart)] == list(actions)[:3]
    assert FilePart("var/lib/dpkg/arch", b"amd64\n") in bootstrap.parts
    configure, prune = actions["configure"], actions["prune"]
    assert isinstance(configure, Run)
    assert isinstance(prune, Run)
    assert configure.command[3:] == (
        "configure",
        "",
        "3",
        "base-passwd_1_amd64.deb",
        "adduser_1_amd64.deb",
        "dpkg_1_amd64.deb",
        "1",
        "python3_1%3a3.11_amd64.deb",
    )
    assert configure.network == prune.network == "none"
    [debs] = configure.mounts
    assert isinstance(debs, BlobMount)
    assert [name for name, _ref in debs.blobs] == [name.removeprefix("fetch ") for name in list(actions)[:4]]
    assert prune.command[3:] == ("--", "base-passwd", "python3")
    assert actions["layer"] == Flatten(tuple(context(None).ref(name) for name in ("bootstrap", "configure", "prune")))
    assert snapshot.layers == (context(None).ref("layer"),)


def test_without_tools_nothing_is_pruned():
    actions, _snapshot = analysed(lock(package("base-passwd"), package("dpkg")))
    assert "prune" not in actions


def test_the_config_of_the_image():
    _actions, snapshot = analysed(lock(package("bash"), arch="armhf"))
    [patch] = snapshot.config
    assert (patch.architecture, patch.variant, patch.cmd) == ("arm", "v7", ("bash",))
    assert dict(patch.env)["PATH"].startswith("/usr/local/sbin:")
    _actions, snapshot = analysed(lock(package("dash")))
    assert snapshot.config[0].cmd is None


def test_sources_list_is_written_for_apt_only():
    with_apt, _snapshot = analysed(lock(package("apt", 1)), components=("main", "contrib"), snapshot="20260101T000000Z")
    assert with_apt["configure"].command[4] == "deb [check-valid-until=no] http://m/debian bookworm main contrib\n"
    without, _snapshot = analysed(lock(package("dpkg"), tools=(package("apt"),)))
    assert without["configure"].command[4] == ""


def test_analysis_is_the_same_every_time():
    locked = lock(package("base-passwd"), package("python3", 1), tools=(package("dpkg"),))
    assert analysed(locked) == analysed(locked)


def test_a_lock_is_read_as_it_was_written():
    locked = lock(package("a"), tools=(package("b"),))
    assert from_plain(to_plain(locked)) == locked


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "a; reboot"),
        ("version", "1 --root=/"),
        ("version", "1\n"),
        ("sha256", "ab"),
        ("urls", ["file:///etc/passwd"]),
        ("stage", -1),
    ],
)
def test_a_damaged_lock_is_refused_at_the_target(name: str, value: object):
    plain = to_plain(lock(package("a")))
    plain["packages"] = [{**plain["packages"][0], name: value}]
    with pytest.raises(GraphbuildError, match="cannot be read") as caught:
        RULES[0].analyze(context(plain), Debian(suite="bookworm"))
    assert caught.value.problems[0].hint == "run `graphbuild lock`"


def test_a_missing_lock():
    with pytest.raises(GraphbuildError, match="not locked"):
        RULES[0].analyze(context(None), Debian(suite="bookworm"))


@pytest.mark.parametrize(
    ("tool", "script"), [(["dash", "-n"], "configure.sh"), (["perl", "-c"], "prune.pl"), (["shellcheck", "-s", "sh"], "configure.sh")]
)
def test_the_scripts_are_well_formed(tool: list[str], script: str):
    if which(tool[0]) is None:
        pytest.skip(f"{tool[0]} is missing")
    subprocess.run([*tool, str(SOURCE / script)], check=True, capture_output=True)
