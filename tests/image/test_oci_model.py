import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import CONFIG

from graphbuild.image.model import Descriptor, ImageConfig, Index, Manifest, decode, encode, from_oci, to_oci
from graphbuild.values.config import Config, Healthcheck, Past
from graphbuild.values.digest import sha256

GOLDEN = (
    '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:' + "0" * 64 + '"]},'
    '"created":"2023-11-14T22:13:20Z","author":"someone","config":{"User":"1000:1000","ExposedPorts":{"53/udp":{},"8080/tcp":{}},'
    '"Env":["PATH=/bin","EMPTY="],"Entrypoint":["/bin/web"],"Cmd":["--port","8080"],'
    '"Healthcheck":{"Test":["CMD","true"],"Interval":1000000000,"Retries":2},"Volumes":{"/data":{}},"WorkingDir":"/srv",'
    '"Labels":{"a":"1","b":"ü"},"StopSignal":"SIGINT","Shell":["/bin/bash","-c"]},'
    '"history":[{"created":"2023-11-14T22:13:20Z","created_by":"run <b>"}]}'
)


def test_the_config_document_has_these_bytes():
    assert encode(to_oci(CONFIG, [sha256("0" * 64)], [Past("run <b>")], 1_700_000_000)).decode() == GOLDEN


def test_the_other_documents_have_these_bytes():
    descriptor = Descriptor("m", "d", 3, {"z": "1", "a": "2"})
    assert encode(descriptor) == b'{"mediaType":"m","digest":"d","size":3,"annotations":{"a":"2","z":"1"}}'
    assert encode(Manifest(2, Descriptor("m", "d", 3), (), "t")) == (
        b'{"schemaVersion":2,"config":{"mediaType":"m","digest":"d","size":3},"layers":[],"mediaType":"t"}'
    )
    assert encode(Index(2, ())) == b'{"schemaVersion":2,"manifests":[]}'


texts = st.text(string.ascii_letters + "/=: ü", max_size=8)
names = st.text(string.ascii_letters, min_size=1, max_size=4)
pairs = st.dictionaries(names, texts, max_size=3)
argvs = st.none() | st.lists(texts, min_size=1, max_size=3).map(tuple)
configs = st.builds(
    Config,
    env=pairs.map(lambda found: tuple(found.items())),
    user=texts,
    workdir=texts,
    entrypoint=argvs,
    cmd=argvs,
    shell=argvs,
    expose=st.sets(st.integers(1, 9).map(lambda port: f"{port}/tcp")).map(lambda found: tuple(sorted(found))),
    volumes=st.sets(texts).map(lambda found: tuple(sorted(found))),
    labels=pairs.map(lambda found: tuple(sorted(found.items()))),
    healthcheck=st.none() | st.builds(Healthcheck, test=st.lists(texts, min_size=1, max_size=2).map(tuple), interval=st.integers(0, 9)),
    on_build=st.lists(texts, max_size=2).map(tuple),
    author=texts,
    architecture=names,
    variant=texts,
)


@given(configs)
def test_a_config_survives_the_way_out_and_back(config):
    assert from_oci(decode(encode(to_oci(config, (), (), 0)), ImageConfig)) == config


def test_what_docker_writes_is_read():
    text = b"""{"architecture":"arm","os":"linux","variant":"v7","container":"x","docker_version":"20.10","id":7,
        "config":{"Hostname":"","Env":["A=1","A=2","B","=x"],"Cmd":null,"Entrypoint":[],"Labels":null,"ExposedPorts":{"80":{}},
        "Volumes":{"/v":{}},"OnBuild":null,"Healthcheck":{"Test":null},"ArgsEscaped":true},
        "history":null,"rootfs":{"type":"layers","diff_ids":null}}"""
    assert from_oci(decode(text, ImageConfig)) == Config(
        env=(("A", "2"), ("B", "")), expose=("80/tcp",), volumes=("/v",), architecture="arm", variant="v7"
    )


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"architecture":1,"os":"linux","rootfs":{}}',
        b'{"x":' + b"[" * 100_000,
        b'{"architecture":"\\ud800","os":"","rootfs":{}}',
    ],
)
def test_what_is_no_config_is_a_value_error(text):
    with pytest.raises(ValueError):
        decode(text, ImageConfig)


def test_a_nul_byte_in_a_config_is_refused():
    text = b'{"architecture":"a","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{"Cmd":["a\\u0000b"]}}'
    with pytest.raises(ValueError, match="NUL"):
        from_oci(decode(text, ImageConfig))


def test_numbers_of_a_healthcheck_that_no_engine_takes_are_refused():
    text = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"config":{"Healthcheck":{"Test":["NONE"],"Interval":1%b}}}'
    assert from_oci(decode(text % b"", ImageConfig)).healthcheck
    with pytest.raises(ValueError, match="out of range"):
        from_oci(decode(text % (b"0" * 30), ImageConfig))
