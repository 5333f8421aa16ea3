"""Mounts of RUN, and the sizes and durations of Go."""

import contextlib

import pytest
from graphbuild_dockerfile.mounts import TYPES, Mount, check_mount, csv_fields, parse_mount
from graphbuild_dockerfile.quantities import parse_duration, parse_size
from hypothesis import given
from hypothesis import strategies as st

from graphbuild.rules import GraphbuildError


def mount(text: str) -> Mount:
    return parse_mount(text, lambda word: word)


def mistake(text: str) -> str:
    with pytest.raises(GraphbuildError) as caught:
        mount(text)
    return caught.value.problems[0].message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("target=/x", Mount(target="/x")),
        ("type=bind,source=a,dst=b,from=c,rw", Mount("bind", "b", "a", "c", read_only=False)),
        ("type=bind,target=x,readonly=false", Mount("bind", "x", read_only=False)),
        ("type=bind,target=x,rw,ro", Mount("bind", "x")),
        (
            "TYPE=Cache,ID=i,TARGET=x,sharing=LOCKED,mode=0700,uid=1,gid=2,ro",
            Mount("cache", "x", id="i", sharing="locked", mode=0o700, uid=1, gid=2),
        ),
        ("type=cache,destination=x,target=y", Mount("cache", "y", read_only=False)),
        ("type=tmpfs,target=x,size=1.5GiB", Mount("tmpfs", "x", read_only=False, size=3 << 29)),
        ("type=secret,id=a,required,env=E", Mount("secret", id="a", required=True, env="E")),
        ("type=secret,src=a,mode=440,required=false", Mount("secret", source="a", mode=0o440)),
        ("type=ssh", Mount("ssh")),
        ("type=ssh,id=a,target=/s,required=1", Mount("ssh", "/s", id="a", required=True)),
        ('type=cache,"target=/a,b"', Mount("cache", "/a,b", read_only=False)),
        ('type=cache,"target=a""b"', Mount("cache", 'a"b', read_only=False)),
        ("env=a,target=x", Mount("bind", "x", env="a")),
    ],
)
def test_every_key_has_its_default(text: str, expected: Mount):
    assert mount(text) == expected


def test_each_value_is_expanded_by_itself():
    assert parse_mount("type=$t,target=$x", {"$t": "cache", "$x": "a,b"}.__getitem__) == Mount("cache", "a,b", read_only=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("type=bnd", 'unsupported mount type "bnd" (did you mean bind?)'),
        ("typ=bind", "unexpected key 'typ' in 'typ=bind' (did you mean type?)"),
        ("foo", "invalid field 'foo' must be a key=value pair"),
        ("target=x,", "invalid field '' must be a key=value pair"),
        ("type=secret", "invalid secret mount. one of source, target required"),
        ("type=secret,env=X", "invalid secret mount. one of source, target required"),
        ("type=secret,id=a,source=b", "both source and id can't be set"),
        ("type=secret,id=a,from=b", "secret mount should not have a from"),
        ("type=secret,id=a,sharing=shared", "secret mount should not define sharing"),
        ("type=ssh,sharing=shared", "invalid cache sharing set for ssh mount"),
        ("type=bind,mode=0755", 'mode not allowed for "bind" type mounts'),
        ("type=tmpfs,uid=1", 'uid not allowed for "tmpfs" type mounts'),
        ("type=cache,mode=9", "invalid value 9 for mode"),
        ("type=cache,uid=-1", "invalid value -1 for uid"),
        ("type=cache,gid=4294967296", "invalid value 4294967296 for gid"),
        ("type=cache,sharing=shard", 'unsupported sharing value "shard" (did you mean shared?)'),
        ("required,type=secret", "unexpected key 'required' for mount type 'bind'"),
        ("type=secret,id=x,required=maybe", "invalid value for required: maybe"),
        ("type=cache,ro=maybe", "invalid value for ro: maybe"),
        ("size=5,type=tmpfs", "unexpected key 'size' for mount type 'bind'"),
        ("type=tmpfs,size=5kbb", "invalid value for size: 5kbb"),
        ("", "failed to parse csv mounts: EOF"),
        ('tar"get=x', 'failed to parse csv mounts: parse error on line 1, column 4: bare " in non-quoted field'),
        ('"target=x', 'failed to parse csv mounts: parse error on line 1, column 2: extraneous or missing " in quoted-field'),
    ],
)
def test_mistakes_are_said_in_the_words_of_buildkit(text: str, expected: str):
    assert mistake(text) == expected


def test_only_a_from_with_a_variable_is_a_mistake_before_expansion():
    check_mount("type=foo,target=$x,from=a$")
    with pytest.raises(GraphbuildError, match="'from' doesn't support variable expansion"):
        check_mount("type=bind,FROM=$x")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("0", 0), ("5", 5), ("5b", 5), ("5B", 5), ("5k", 5120), ("5KB", 5120), ("5KiB", 5120), ("5 m", 5 << 20), ("5 ", 5)),
        *((".5k", 512), ("1e3", 1000), ("1.5G", 3 << 29), ("2p", 2 << 50), ("+5", 5)),
        *((each, None) for each in ("", "k", "-5", "5q", "5bb", "5ib", "5kbb", "5kib2", "1_0", "5  k", "nan", "1e400", "9e18k", "\u0665")),
    ],
)
def test_sizes_are_those_of_docker(text: str, size: int | None):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("+5s", 5 * 10**9),
        ("1h2m3.5s", 3723500000000),
        ("1.s", 10**9),
        (".5ms", 500000),
        ("1µs1us1ns", 2001),
        ("-1m", -60 * 10**9),
    ],
)
def test_durations_are_those_of_go(text: str, nanoseconds: int):
    assert parse_duration(text) == nanoseconds


@given(st.text(st.sampled_from("0123456789.+-hmsnuµ_e "), max_size=12))
def test_durations_are_numbers_or_mistakes(text: str):
    with contextlib.suppress(GraphbuildError):
        assert isinstance(parse_duration(text), int)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_fields_that_are_quoted_come_back(fields: list[str]):
    line = ",".join('"' + field.replace('"', '""') + '"' for field in fields)
    assert csv_fields(line) == tuple(fields)


@given(st.text(st.sampled_from('typesrcdgmobin=,"$0/'), max_size=40))
def test_nothing_but_a_mistake_is_ever_raised(text: str):
    with contextlib.suppress(GraphbuildError):
        assert mount(text).type in TYPES
