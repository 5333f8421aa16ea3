"""Updating one package of a lock: it and what it must bring along, and nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from graphbuild_debian import RULES
from graphbuild_debian.packages import Index, Package
from graphbuild_debian.records import Lock, Locked
from graphbuild_debian.resolver import Obstacle, attempt, check
from graphbuild_debian.update import update
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import FetchingContext, Key, publish, served
from test_lock import ESSENTIAL
from test_resolver import stanza

from graphbuild.rules import GraphbuildError

KEY = Key()


class Archive:
    """A suite whose Packages changes; `lock` resolves, or updates what was locked before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.locked: object = None
        self.reports: list[str] = []
        (folder / "scratch").mkdir()

    def publish(self, *stanzas: str) -> None:
        publish(self.folder / "archive", KEY, "\n".join([*ESSENTIAL, *stanzas]))

    def lock(self, *names: str, packages: tuple[str, ...] = ("app", "other")) -> dict[str, str]:
        with served(self.folder / "archive") as address:
            plain = {"suite": "nova", "mirror": address, "keyring": KEY.public, "arch": "amd64", "packages": packages}
            text = json.dumps(self.locked).replace("http://mirror", address)
            context = FetchingContext(self.folder / "scratch", json.loads(text), names)
            rule = RULES[0]
            assert rule.lock is not None
            assert rule.partial
            data = rule.lock(context, msgspec.convert(plain, rule.attributes))
            self.locked = json.loads(json.dumps(data).replace(address, "http://mirror"))
            self.reports = context.reports
        return {one["name"]: one["version"] for one in (*self.locked["packages"], *self.locked["tools"])}


def of(name: str, version: str, **fields: str) -> str:
    return stanza(name, version, sha256=(version.encode().hex() * 64)[:64], **fields)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def changed(before: dict[str, str], after: dict[str, str]) -> dict[str, str]:
    return {name: after.get(name, "") for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_one_package_and_nothing_else(archive: Archive):
    old = (of("app", "1", depends="lib"), of("lib", "1"), of("other", "1"))
    archive.publish(*old)
    before = archive.lock()
    archive.publish(*old, of("app", "2", depends="lib"), of("lib", "2"), of("other", "2"))
    assert changed(before, archive.lock("lib")) == {"lib": "2"}
    assert archive.reports == ["reading nova", "resolving packages"]
    assert changed(before, archive.lock("app", "other")) == {"lib": "2", "app": "2", "other": "2"}


def test_what_it_must_bring_along(archive: Archive):
    old = (of("app", "1", depends="lib"), of("lib", "1"), of("other", "1"), of("third", "1"))
    archive.publish(*old)
    before = archive.lock(packages=("app", "other", "third"))
    archive.publish(*old, of("app", "2", depends="lib (>= 2), new"), of("lib", "2"), of("new", "5"), of("other", "2"), of("third", "2"))
    assert changed(before, archive.lock("app", packages=("app", "other", "third"))) == {"app": "2", "lib": "2", "new": "5"}


def test_who_needs_the_old_one_comes_along(archive: Archive):
    old = (of("app", "1", depends="lib (= 1)"), of("lib", "1"), of("other", "1"))
    archive.publish(*old)
    before = archive.lock()
    archive.publish(*old, of("app", "2", depends="lib (= 2)"), of("lib", "2"), of("other", "2"))
    assert changed(before, archive.lock("lib")) == {"app": "2", "lib": "2"}


def test_who_is_broken_by_the_new_one_comes_along(archive: Archive):
    old = (of("app", "1"), of("lib", "1"), of("other", "1", depends="lib"))
    archive.publish(*old)
    before = archive.lock()
    archive.publish(*old, of("app", "2"), of("lib", "2", breaks="app (<< 2)"), of("other", "2", depends="lib"))
    assert changed(before, archive.lock("lib")) == {"app": "2", "lib": "2"}


def test_what_the_archive_has_no_more_cannot_stay(archive: Archive):
    archive.publish(of("app", "1", depends="lib"), of("lib", "1"), of("other", "1"))
    before = archive.lock()
    archive.publish(of("app", "2", depends="lib"), of("lib", "1"), of("lib", "2"), of("other", "2"))
    assert changed(before, archive.lock("app")) == {"app": "2", "other": "2"}
    assert "other 1 cannot stay: the archive has only 2 now" in archive.reports


def test_what_is_the_newest_already(archive: Archive):
    archive.publish(of("app", "1", depends="lib"), of("lib", "1"), of("other", "1"))
    before = archive.lock()
    kept = archive.locked
    archive.publish(of("app", "1", depends="lib"), of("lib", "1"), of("other", "2"))
    assert changed(before, archive.lock("lib")) == {}
    assert archive.locked == kept


def test_what_cannot_be_met(archive: Archive):
    old = (of("app", "1", depends="lib (= 1)"), of("lib", "1"), of("other", "1"))
    archive.publish(*old)
    archive.lock()
    archive.publish(*old, of("lib", "2"))
    with pytest.raises(GraphbuildError) as caught:
        archive.lock("lib")
    assert "app 1 needs lib (= 1), which cannot be met" in caught.value.problems[0].message


def test_a_lock_that_cannot_be_read_is_made_anew(archive: Archive):
    archive.publish(of("app", "1", depends="lib"), of("lib", "1"), of("other", "1"))
    archive.lock()
    archive.locked = {"packages": 7}
    assert archive.lock("lib")["other"] == "1"


def test_the_command_updates_one_package_and_names_the_images(tmp_path: Path):
    """Two bases, one of which has the package: only its images would change."""
    old = (of("app", "1", depends="lib"), of("lib", "1"), of("other", "1"))
    new = (*old, of("lib", "2"), of("app", "2", depends="lib"), of("other", "2"))
    publish(tmp_path / "archive", KEY, "\n".join([*ESSENTIAL, *old]))
    root = tmp_path / "ws"
    root.mkdir()
    (root / "graphbuild.yaml").touch()
    (root / "keys.asc").write_text(KEY.public)

    def graphbuild(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "graphbuild", *words, "--store", str(tmp_path / "store")]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == code, done
        return done

    with served(tmp_path / "archive") as address:
        bases = {
            name: {"debian": {"suite": "nova", "mirror": address, "keyring": "keys.asc", "arch": "amd64", "packages": [name]}}
            for name in ("app", "other")
        }
        outputs = {f"{name}-{number}": {"from": name, "image": {}} for name in bases for number in range(2)}
        (root / "build.yaml").write_text(f"bases: {json.dumps(bases)}\noutputs: {json.dumps(outputs)}\n")
        graphbuild("lock")
        before = (root / "build.lock").read_text()
        publish(tmp_path / "archive", KEY, "\n".join([*ESSENTIAL, *new]))
        said = json.loads(graphbuild("lock", "--update", "debian:lib", "--dry-run", "--format", "json").stdout)
        assert [(one["rule"], one["name"], one["old"], one["new"]) for one in said["changes"]] == [("debian", "lib", "1", "2")]
        assert said["radius"]["changed"] == ["//:app-0", "//:app-1"]
        assert (root / "build.lock").read_text() == before
        assert "did you mean 'debian:lib'" in graphbuild("lock", "--update", "debian:lib3", code=2).stderr
        graphbuild("lock", "--update", "debian:lib")
        versions = [(one["name"], one["version"]) for entry in locked_entries(root) for one in entry["packages"] if one["stage"]]
        assert versions == [("app", "1"), ("lib", "2"), ("other", "1")]
        assert "4 of 4 outputs would change" in graphbuild("lock", "--update", "debian", "-n").stdout


def locked_entries(root: Path) -> list[dict]:
    return [entry["data"] for entry in json.loads((root / "build.lock").read_text())["entries"]]


NAMES = "abcde"
DEPENDS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["", " (= 1)", " (= 2)", " (>= 2)", " (<< 2)"])), max_size=3)
FIELDS = st.fixed_dictionaries({name: st.tuples(DEPENDS, DEPENDS) for name in NAMES})


def index_of(old: dict, new: dict) -> Index:
    """Versions 1 and 2 of each name, whose dependencies and breaks are `old` and `new`."""
    stanzas = [
        of(
            name,
            version,
            depends=", ".join(other + relation for other, relation in depends if other != name),
            breaks=", ".join(other + relation for other, relation in breaks if other != name and relation),
        )
        for version, fields in (("1", old), ("2", new))
        for name, (depends, breaks) in fields.items()
    ]
    return Index("amd64", [("http://mirror", "\n".join(stanzas))])


def locked_as(package: Package) -> Locked:
    parts = (package.name, package.version, package.arch, package.source, package.sha256, package.size, package.urls)
    return Locked(*parts, required_by="packages", stage=0)


@settings(max_examples=60, deadline=None)
@given(FIELDS, FIELDS, st.sets(st.sampled_from(NAMES), min_size=1))
def test_any_archive(old: dict, new: dict, names: set[str]):
    """What comes out is whole, and has the newest of what was named. What needs no letting go changes nothing else."""
    index = index_of(old, new)
    first = [package for name in NAMES if (package := index.version(name, "1", of(name, "1").partition("SHA256: ")[2].strip())) is not None]
    locked = Lock("amd64", (), tuple(map(locked_as, first)), ())
    roots = (("packages", tuple(NAMES)),)
    try:
        found = update(index, locked, sorted(names), lambda held: attempt(held, "amd64", roots), lambda _text: None)
    except GraphbuildError:
        return
    assert check(found, "amd64") is None
    assert all(found[name].package.version == "2" for name in names)
    stays = index.held({package.name: package for package in first if package.name not in names})
    if not isinstance(attempt(stays, "amd64", roots), Obstacle):
        assert {name for name, choice in found.items() if choice.package.version == "2"} == names
