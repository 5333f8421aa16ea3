"""`lock` against a real archive on a loopback port: what it records, and everything that it must refuse."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest
from graphbuild_debian import RULES
from graphbuild_debian.attributes import Debian, lock_key, suites
from graphbuild_debian.release import read_release
from repository import FetchingContext, Key, publish, release, served
from test_resolver import stanza

from graphbuild.rules import GraphbuildError

KEY = Key()
ESSENTIAL = [
    stanza("base-files", essential="yes", pre_depends="awk", priority="required"),
    stanza("base-passwd", essential="yes", depends="libc6"),
    stanza("dash", essential="yes", depends="libc6"),
    stanza("libc-bin", essential="yes", depends="libc6"),
    stanza("libc6", "2:2.36-9", source="glibc (2.36)"),
    stanza("mawk", provides="awk"),
    stanza("perl-base", essential="yes", depends="libc6"),
    stanza("usrmerge"),
]
PYTHON = stanza("python3", "3.11.2-1+b1", depends="libpython, libc6")
PACKAGES = "\n".join([*ESSENTIAL, PYTHON, stanza("libpython", depends="libc6")])


def locked(root: Path, scratch: Path, **attributes: object):
    """The rule's `lock` of suite `nova` (or what `attributes` says) at an archive in `root`."""
    with served(root) as address:
        plain = {"suite": "nova", "mirror": address, "keyring": KEY.public, "arch": "amd64", **attributes}
        rule = RULES[0]
        assert rule.lock is not None
        data = rule.lock(FetchingContext(scratch), msgspec.convert(plain, rule.attributes))
        return json.loads(json.dumps(data).replace(address, "http://mirror"))


def refused(root: Path, scratch: Path, **attributes: object) -> str:
    with pytest.raises(GraphbuildError) as caught:
        locked(root, scratch, **attributes)
    return "\n".join(line for problem in caught.value.problems for line in (problem.message, problem.hint, *problem.notes))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


def test_what_the_lock_says(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES)
    lock = locked(root, scratch, packages=["python3"])
    assert [(one["name"], one["required_by"], one["stage"]) for one in lock["packages"]] == [
        ("base-files", "base", 0),
        ("base-passwd", "base", 0),
        ("dash", "base", 0),
        ("libc-bin", "base", 0),
        ("libc6", "base-passwd", 0),
        ("libpython", "python3", 1),
        ("mawk", "base-files", 0),
        ("python3", "packages", 1),
    ]
    assert [one["name"] for one in lock["tools"]] == ["perl-base"]
    assert lock["packages"][4] == {
        "name": "libc6",
        "version": "2:2.36-9",
        "arch": "amd64",
        "source": "glibc",
        "sha256": "ab" * 32,
        "size": 10,
        "urls": ["http://mirror/pool/libc6.deb"],
        "required_by": "base-passwd",
        "stage": 0,
    }
    assert lock["suites"] == [{"mirror": "http://mirror", "name": "nova", "codename": "nova", "date": "Sat, 01 Jan 2022 00:00:00 UTC"}]


def test_essential_keeps_the_tools(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES)
    lock = locked(root, scratch, variant="essential")
    assert not lock["tools"]
    assert "perl-base" in [one["name"] for one in lock["packages"]]


def test_the_suite_may_be_named_by_suite_or_codename(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES, suite="fixture")
    assert locked(root, scratch, suite="fixture")["suites"][0]["codename"] == "nova"


def test_equal_archives_give_equal_locks(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES)
    one = locked(root, scratch, packages=["python3", "mawk"])
    publish(root, KEY, "\n".join([PYTHON, stanza("libpython", depends="libc6"), *ESSENTIAL[::-1]]))
    assert locked(root, scratch, packages=["mawk", "python3"]) == one


def test_another_key(root: Path, scratch: Path):
    publish(root, Key(), PACKAGES)
    assert "cannot be verified" in refused(root, scratch)


def test_debians_own_keyring_is_the_default(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES)
    assert "cannot be verified" in refused(root, scratch, keyring="")


def test_a_keyring_that_is_none(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES)
    (scratch / "keys.gpg").write_text("hello")
    assert "no OpenPGP public keys" in refused(root, scratch, keyring="keys.gpg")
    assert "cannot read nothing.gpg" in refused(root, scratch, keyring="nothing.gpg")


def test_a_changed_release(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES)
    path = root / "dists/nova/InRelease"
    path.write_bytes(path.read_bytes().replace(b"Origin: Test", b"Origin: Evil"))
    assert "cannot be verified" in refused(root, scratch)


@pytest.mark.parametrize("body", [b"", b"<html>log in</html>", b"Origin: Test\nSuite: nova\n"])
def test_an_unsigned_release(root: Path, scratch: Path, body: bytes):
    publish(root, KEY, PACKAGES)
    (root / "dists/nova/InRelease").write_bytes(body)
    assert "is not signed" in refused(root, scratch)


def test_text_around_the_signed_text_is_not_read():
    signed = KEY.sign(release({"main/binary-amd64/Packages": b"x"}))
    added = signed + b"\nSHA256:\n " + b"0" * 64 + b" 1 main/evil\n"
    try:
        files = read_release(added, KEY.public.encode(), "nova", None).files
    except GraphbuildError:
        return  # to refuse it is right, too
    assert "main/evil" not in files


def test_an_expired_release(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES, Valid_Until=format_datetime(datetime.now(UTC) - timedelta(hours=1)))
    assert "expired on" in refused(root, scratch)
    assert locked(root, scratch, snapshot="20220101T000000Z")


def test_a_release_that_is_valid_for_an_hour(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES, Valid_Until=format_datetime(datetime.now(UTC) + timedelta(hours=1)))
    assert locked(root, scratch)


def test_a_valid_until_that_is_no_date(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES, Valid_Until="whenever")
    assert "no date" in refused(root, scratch)


def test_a_release_of_another_suite(root: Path, scratch: Path):
    """A correctly signed Release of an older suite in the place of this one."""
    publish(root, KEY, PACKAGES, Suite="oldfixture", Codename="vetus")
    assert "is of 'vetus'" in refused(root, scratch)


def test_a_release_without_sha256():
    signed = KEY.sign("Suite: nova\nMD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 main/binary-amd64/Packages\n")
    with pytest.raises(GraphbuildError, match="lists no SHA256"):
        read_release(signed, KEY.public.encode(), "nova", None)


@pytest.mark.parametrize("entry", ["zz 1 main/x", f"{'0' * 64} 1 ../../etc/passwd", f"{'0' * 64} 1 /etc/passwd", f"{'0' * 64} -1 main/x"])
def test_a_hostile_entry_of_a_release(entry: str):
    with pytest.raises(GraphbuildError, match="cannot be read"):
        read_release(KEY.sign(f"Suite: nova\nSHA256:\n {entry}\n"), KEY.public.encode(), "nova", None)


def test_packages_of_another_hash(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES, tamper=b"something else")
    assert "another SHA256" in refused(root, scratch)


def test_packages_that_unpack_to_more_than_was_said(root: Path, scratch: Path):
    import hashlib
    import lzma

    publish(root, KEY, PACKAGES)
    bomb = lzma.compress(bytes(1 << 24))
    (root / "dists/nova/main/binary-amd64/Packages.xz").write_bytes(bomb)
    text = release({"main/binary-amd64/Packages": b"x", "main/binary-amd64/Packages.xz": bomb})
    assert hashlib.sha256(bomb).hexdigest() in text
    (root / "dists/nova/InRelease").write_bytes(KEY.sign(text))
    assert "unpacks to more than the 1 bytes" in refused(root, scratch)


def test_packages_that_are_no_xz(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES)
    (root / "dists/nova/main/binary-amd64/Packages.xz").write_bytes(b"no xz")
    (root / "dists/nova/InRelease").write_bytes(KEY.sign(release({"main/binary-amd64/Packages.xz": b"no xz"})))
    assert "cannot be unpacked" in refused(root, scratch)


def test_a_missing_package_component_architecture_and_mirror(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES)
    assert "did you mean 'python3'?" in refused(root, scratch, packages=["pyton3"])
    assert "has no contrib/binary-amd64/Packages" in refused(root, scratch, components=["main", "contrib"])
    assert "its architectures: amd64" in refused(root, scratch, arch="arm64")
    assert "cannot fetch" in refused(root, scratch, suite="no-such-suite")


def test_a_hostile_filename(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES + "\n" + stanza("evil", filename="../../../x.deb"))
    assert "is no path below the mirror" in refused(root, scratch, packages=["evil"])


def test_a_hostile_version_never_reaches_a_lock(root: Path, scratch: Path):
    publish(root, KEY, PACKAGES + "\n" + stanza("evil", "1;reboot"))
    assert "evil" in refused(root, scratch, packages=["evil"])


@pytest.mark.parametrize(
    "attributes",
    [
        {"suite": "../x"},
        {"suite": "a b"},
        {"suite": "x", "packages": ["-oAPT::x"]},
        {"suite": "x", "packages": ["a b"]},
        {"suite": "x", "mirror": "file:///etc"},
        {"suite": "x", "components": []},
        {"suite": "x", "snapshot": "yesterday"},
        {"suite": "x", "variant": "tiny"},
        {"suite": "x", "packges": []},
        {},
    ],
    ids=str,
)
def test_attributes_that_make_no_sense(attributes: dict[str, object]):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(attributes, Debian)


def test_stable_suites_get_their_fixes():
    assert [(one.mirror, one.name) for one in suites(Debian(suite="bookworm"))] == [
        ("http://deb.debian.org/debian", "bookworm"),
        ("http://deb.debian.org/debian", "bookworm-updates"),
        ("http://deb.debian.org/debian-security", "bookworm-security"),
    ]
    assert [one.name for one in suites(Debian(suite="sid"))] == ["sid"]
    assert [one.name for one in suites(Debian(suite="trixie", security=False))] == ["trixie"]


def test_a_snapshot_moves_every_mirror():
    assert [one.mirror for one in suites(Debian(suite="trixie", snapshot="20260101T000000Z"))] == [
        "http://snapshot.debian.org/archive/debian/20260101T000000Z",
        "http://snapshot.debian.org/archive/debian/20260101T000000Z",
        "http://snapshot.debian.org/archive/debian-security/20260101T000000Z",
    ]


def test_the_key_of_a_lock():
    one = Debian(suite="bookworm", packages=("b", "a", "b"), arch="amd64")
    assert lock_key(one, "linux/amd64") == 'debian {"arch":"amd64","packages":["a","b"],"suite":"bookworm"}'
    assert lock_key(Debian(suite="bookworm", packages=("a", "b"), arch="amd64"), "linux/s390x") == lock_key(one, "linux/amd64")
    assert lock_key(Debian(suite="bookworm", packages=("a", "b"), arch="arm64"), "linux/amd64") != lock_key(one, "linux/amd64")
