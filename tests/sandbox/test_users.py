"""USER and --chown, as Docker reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.sandbox.users import Credentials, as_docker, lenient_owner, resolve_owner, resolve_user
from graphbuild.values.errors import GraphbuildError

PASSWD = b"root:x:0:0:root:/root:/bin/sh\n# note\nbroken\nbob:x:1000:1001::/home/bob:/bin/sh\nbob:x:1:1::/second:\n77:x:78:79::/odd:\nnohome:x:5:5:::\n"
GROUP = b"root:x:0:\nbad\naudio:x:29:bob,eve\nbob:x:1001:\nadm:x:4:root,bob\n"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Credentials(0, 0, (4,), "/root", "root")),
        ("root", Credentials(0, 0, (4,), "/root", "root")),
        ("bob", Credentials(1000, 1001, (4, 29), "/home/bob", "bob")),
        ("1000", Credentials(1000, 1001, (4, 29), "/home/bob", "bob")),
        ("bob:audio", Credentials(1000, 29, (), "/home/bob", "bob")),
        ("bob:5", Credentials(1000, 5, (), "/home/bob", "bob")),
        ("4000", Credentials(4000, 0, (), "/", "")),
        ("4000:4001", Credentials(4000, 4001, (), "/", "")),
        ("77", Credentials(77, 0, (), "/", "")),
        ("nohome", Credentials(5, 5, (), "/", "nohome")),
        (":audio", Credentials(0, 29, (), "/root", "root")),
        ("4294967294", Credentials(4294967294, 0, (), "/", "")),
    ],
)
def test_user(user, expected):
    assert resolve_user(user, PASSWD, GROUP) == expected


@pytest.mark.parametrize("user", ["eve", "bob:eve", "4294967295", "9999999999", "99999999999", "-1", "+1", "٣"])
def test_users_that_are_not(user):
    with pytest.raises(GraphbuildError):
        resolve_user(user, PASSWD, GROUP)


def test_files_may_be_missing():
    assert resolve_user("", b"", b"") == Credentials(0, 0, (), "/", "")
    assert resolve_user("12:13", b"", b"") == Credentials(12, 13, (), "/", "")


@pytest.mark.parametrize(
    ("owner", "expected"),
    [("1", (1, 1)), ("1000", (1000, 1000)), ("bob", (1000, 1001)), ("bob:audio", (1000, 29)), ("7:audio", (7, 29)), ("7:8", (7, 8))],
)
def test_owner(owner, expected):
    assert resolve_owner(owner, PASSWD, GROUP) == expected


@pytest.mark.parametrize(("user", "groups"), [("bob", (4, 29, 1001)), ("bob:audio", (29,)), ("4000", (0,)), ("", (0, 4))])
def test_as_docker_the_primary_group_is_a_supplementary_one(user, groups):
    assert as_docker(user, PASSWD, resolve_user(user, PASSWD, GROUP)).groups == groups


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("2147483647", (2147483647, 2147483647)),
        ("2147483648", (0, 0)),  # no number of 32 bits: the name of nobody
        ("2147483648:1", (0, 1)),
        ("1:4294967294", (1, 1)),
        ("-5", (4294967291, 4294967291)),
        ("bob:-1", (1000, 0)),
        ("+7", (7, 7)),
        ("1.5", (0, 0)),
    ],
)
def test_numbers_of_a_dockerfile_have_a_sign_and_32_bits(owner, expected):
    assert lenient_owner(owner, PASSWD, GROUP) == expected


def test_an_unknown_owner_is_a_mistake():
    for owner in ("eve", "bob:eve", ""):
        with pytest.raises(GraphbuildError):
            resolve_owner(owner, PASSWD, GROUP)


@given(st.text(max_size=20), st.binary(max_size=200), st.binary(max_size=200))
def test_hostile_files_end_in_credentials_or_a_mistake(user, passwd, group):
    try:
        found = resolve_user(user, passwd, group)
    except GraphbuildError:
        return
    assert 0 <= found.uid < 2**32 - 1
    assert 0 <= found.gid < 2**32 - 1
