"""The Registries seam: one contract for the fake, a registry in this process and Debian's docker-registry; then who may ask what."""

import base64
import hashlib
import io
import json
import os
import stat
import tempfile

import pytest
from fake_registries import FakeRegistries
from peers import registry
from registry_server import RegistryServer, digest_of
from tls import server_context

from graphbuild.network.registry import Document, Repository
from graphbuild.network.registry.client import HttpRegistries
from graphbuild.values.digest import sha256
from graphbuild.values.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_MACHINE, GraphbuildError
from graphbuild.values.registry import RegistrySettings

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ACCEPT = (MANIFEST,)
LAYER = bytes(range(256)) * 3000
CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'


def digest(data):
    return sha256(hashlib.sha256(data).hexdigest())


def manifest_of(*layers, config=CONFIG):
    described = [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(data), "size": len(data)} for data in layers]
    head = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(config), "size": len(config)}
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": head, "layers": described}).encode()


def insecure(*hosts, **more):
    return {host: RegistrySettings(insecure=True, **more) for host in hosts}


def client(settings, environment=None, **options):
    return HttpRegistries(settings, environment or {}, **{"timeout": 5, "sleep": lambda _: None, **options})


@pytest.fixture(scope="module")
def real_registry():
    with registry() as peer:
        yield peer.address


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=["fake", "here", "distribution"])
def peer(request, tmp_path):
    """(registries, a host of one)."""
    if request.param == "fake":
        yield FakeRegistries(), "somewhere.example"
    elif request.param == "here":
        with RegistryServer() as server:
            made = client(insecure(server.host), chunk=100_000)
            yield made, server.host
            made.close()
    else:
        address = request.getfixturevalue("real_registry")
        made = client(insecure(address), chunk=100_000)
        yield made, address
        made.close()


@pytest.fixture
def repository(peer, request):
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:12]
    return Repository(peer[1], f"test/{name}")


def upload(registries, repository, data, **options):
    registries.upload(repository, digest(data), len(data), lambda: io.BytesIO(data), **options)


def fetched(registries, repository, data, **options):
    with tempfile.TemporaryFile() as file:
        file.write(b"left by somebody else")
        registries.blob(repository, digest(data), len(data), file.fileno(), **options)
        return os.pread(file.fileno(), 1 << 24, 0)


# The contract


def test_what_is_sent_is_there(peer, repository):
    registries = peer[0]
    for data in (LAYER, CONFIG, b""):
        assert not registries.has_blob(repository, digest(data))
        upload(registries, repository, data)
        assert registries.has_blob(repository, digest(data))
        assert fetched(registries, repository, data) == data


def test_a_manifest_has_a_tag_and_its_digest_as_names(peer, repository):
    registries = peer[0]
    data = manifest_of(LAYER)
    assert registries.resolve(repository, "1.0", ACCEPT) is None
    upload(registries, repository, LAYER)
    upload(registries, repository, CONFIG)
    registries.put_manifest(repository, "1.0", Document(MANIFEST, data))
    assert registries.resolve(repository, "1.0", ACCEPT) == digest(data)
    assert registries.resolve(repository, str(digest(data)), ACCEPT) == digest(data)
    assert registries.manifest(repository, digest(data), ACCEPT, limit=1 << 20) == Document(MANIFEST, data)
    with pytest.raises(GraphbuildError, match="larger than 10 bytes"):
        registries.manifest(repository, digest(data), ACCEPT, limit=10)


def test_what_is_not_there_is_an_error(peer, repository):
    registries = peer[0]
    with pytest.raises(GraphbuildError) as caught:
        fetched(registries, repository, b"nowhere")
    assert caught.value.exit_code == EXIT_FAILED
    with pytest.raises(GraphbuildError):
        registries.manifest(repository, digest(b"nowhere"), ACCEPT, limit=1 << 20)


def test_a_blob_is_mounted_from_another_repository(peer, repository):
    registries = peer[0]
    other = Repository(repository.host, f"{repository.path}-other")
    upload(registries, repository, LAYER)
    assert registries.mount(other, digest(LAYER), repository.path)
    assert registries.has_blob(other, digest(LAYER))
    assert not registries.mount(other, digest(b"nowhere"), repository.path)


def test_progress_counts_to_the_size(peer, repository):
    registries = peer[0]
    for work in (upload, fetched):
        seen = []
        work(registries, repository, LAYER, progress=lambda done, total: seen.append((done, total)))  # noqa: B023 - used at once
        assert seen[-1] == (len(LAYER), len(LAYER))
        assert seen == sorted(seen)


def test_a_cancel_ends_it(peer, repository):
    registries = peer[0]
    upload(registries, repository, LAYER)
    with pytest.raises(GraphbuildError) as caught:
        fetched(registries, repository, LAYER, cancelled=lambda: True)
    assert caught.value.exit_code == EXIT_INTERRUPTED


def test_another_content_is_not_taken_for_it(peer, repository):
    registries = peer[0]
    with pytest.raises(GraphbuildError):
        registries.upload(repository, digest(LAYER), len(CONFIG), lambda: io.BytesIO(CONFIG))
    assert not registries.has_blob(repository, digest(LAYER))


# Who asks


def login(folder, host, user="user", password="pass:word", **entry):
    """A Docker client's folder in which somebody logged in."""
    auth = {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}
    (folder / "config.json").write_text(json.dumps({"auths": {host: entry or auth}}))
    return {"DOCKER_CONFIG": str(folder), "PATH": os.environ["PATH"], "HOME": str(folder)}


USERS = {"user": "pass:word"}


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_who_is_logged_in_may_push_and_pull(auth, tmp_path):
    with RegistryServer(auth=auth, users=USERS) as server:
        registries = client(insecure(server.host), login(tmp_path, server.host))
        repository = Repository(server.host, "private/web")
        upload(registries, repository, LAYER)
        assert fetched(registries, repository, LAYER) == LAYER
        assert registries.mount(Repository(server.host, "private/other"), digest(LAYER), "private/web")
        stranger = client(insecure(server.host), {"HOME": "/nowhere"})
        with pytest.raises(GraphbuildError) as caught:
            stranger.has_blob(repository, digest(LAYER))
        assert f"docker login {server.host}" in caught.value.problems[0].hint
        wrong = client(insecure(server.host), login(tmp_path, server.host, password="wrong"))
        with pytest.raises(GraphbuildError) as caught:
            wrong.has_blob(repository, digest(LAYER))
        assert "wrong" not in str(caught.value)


def test_a_token_is_asked_for_once_and_only_after_a_challenge(tmp_path):
    with RegistryServer(auth="bearer", users=USERS) as server:
        server.put_blob("private/web", LAYER)
        registries = client(insecure(server.host), login(tmp_path, server.host))
        repository = Repository(server.host, "private/web")
        for _ in range(5):
            assert registries.has_blob(repository, digest(LAYER))
        assert "Authorization" not in server.requests[0][2]
        assert len(server.asked("^/token")) == 1
        server.tokens.clear()  # it is good no longer: another is asked for
        assert registries.has_blob(repository, digest(LAYER))
        assert len(server.asked("^/token")) == 2


def test_anybody_may_pull_what_is_public():
    with RegistryServer(auth="bearer", users=USERS) as server:
        server.put_blob("public/web", LAYER)
        assert fetched(client(insecure(server.host)), Repository(server.host, "public/web"), LAYER) == LAYER


def test_an_identity_token_is_changed_for_tokens(tmp_path):
    with RegistryServer(auth="bearer") as server:
        server.identities["the identity"] = True
        server.put_blob("private/web", LAYER)
        registries = client(insecure(server.host), login(tmp_path, server.host, identitytoken="the identity"))
        assert registries.has_blob(Repository(server.host, "private/web"), digest(LAYER))
        assert all("the identity" not in path for _, path, _ in server.requests)


@pytest.mark.parametrize("config", [{"credHelpers": "by host"}, {"credsStore": "test"}])
def test_a_credential_helper_is_asked(config, tmp_path):
    helper = tmp_path / "docker-credential-test"
    helper.write_text('#!/bin/sh\nread server\necho "$@ $server" >> "$0.log"\necho \'{"Username":"user","Secret":"pass:word"}\'\n')
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    with RegistryServer(auth="basic", users=USERS) as server:
        said = {"credHelpers": {server.host: "test"}} if "credHelpers" in config else config
        (tmp_path / "config.json").write_text(json.dumps(said))
        server.put_blob("private/web", LAYER)
        environment = {"DOCKER_CONFIG": str(tmp_path), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        registries = client(insecure(server.host), environment)
        for _ in range(3):
            assert registries.has_blob(Repository(server.host, "private/web"), digest(LAYER))
        assert (tmp_path / "docker-credential-test.log").read_text() == f"get {server.host}\n"
        with pytest.raises(GraphbuildError, match="docker-credential-test") as caught:
            client(insecure(server.host), {**environment, "PATH": "/nowhere"}).has_blob(
                Repository(server.host, "private/web"), digest(LAYER)
            )
        assert caught.value.exit_code == EXIT_MACHINE


def test_podmans_file_counts_too_and_may_name_a_namespace(tmp_path):
    folder = tmp_path / "containers"
    folder.mkdir()
    with RegistryServer(auth="basic", users=USERS) as server:
        auth = base64.b64encode(b"user:pass:word").decode()
        (folder / "auth.json").write_text(json.dumps({"auths": {f"{server.host}/private": {"auth": auth}}}))
        server.put_blob("private/web", LAYER)
        server.put_blob("privately/web", LAYER)
        registries = client(insecure(server.host), {"XDG_RUNTIME_DIR": str(tmp_path), "HOME": "/nowhere"})
        assert registries.has_blob(Repository(server.host, "private/web"), digest(LAYER))
        with pytest.raises(GraphbuildError):
            registries.has_blob(Repository(server.host, "privately/web"), digest(LAYER))


def test_a_password_does_not_follow_a_redirect(tmp_path):
    with RegistryServer() as elsewhere, RegistryServer(auth="basic", users=USERS) as server:
        elsewhere.put_blob("private/web", LAYER)

        def redirect(handler):
            if "/blobs/sha256" in handler.path and handler.user():
                handler.answer(307, Location=f"{elsewhere.base}{handler.path}")
                return True
            return False

        server.faults = redirect
        registries = client(insecure(server.host), login(tmp_path, server.host))
        assert fetched(registries, Repository(server.host, "private/web"), LAYER) == LAYER
        assert registries.has_blob(Repository(server.host, "private/web"), digest(LAYER))
        assert len(elsewhere.requests) == 2
        assert all("Authorization" not in headers for _, _, headers in elsewhere.requests)


def test_a_password_is_told_to_the_registry_that_it_is_for_alone(tmp_path):
    with RegistryServer(auth="basic", users=USERS) as other, RegistryServer() as server:
        registries = client(insecure(other.host, server.host), login(tmp_path, server.host))
        with pytest.raises(GraphbuildError):
            registries.has_blob(Repository(other.host, "private/web"), digest(LAYER))
        assert all("Authorization" not in headers for _, _, headers in other.requests)


@pytest.mark.parametrize("text", ["{", '{"auths": {"HOST": {"auth": "!"}}}', '{"auths": {"HOST": {"auth": "AAAA"}}}'])
def test_a_broken_file_is_named(text, tmp_path):
    with RegistryServer(auth="basic") as server:
        (tmp_path / "config.json").write_text(text.replace("HOST", server.host))
        with pytest.raises(GraphbuildError, match=r"config\.json"):
            client(insecure(server.host), {"DOCKER_CONFIG": str(tmp_path)}).has_blob(Repository(server.host, "web"), digest(LAYER))


# TLS, mirrors


def test_tls_with_a_ca_of_its_own(tmp_path):
    certificate, context = server_context(tmp_path)
    with RegistryServer(context=context) as server:
        server.put_blob("web", LAYER)
        repository = Repository(server.host, "web")
        with pytest.raises(GraphbuildError, match="certificate refused"):
            client({}).has_blob(repository, digest(LAYER))
        assert client({server.host: RegistrySettings(ca=str(certificate))}).has_blob(repository, digest(LAYER))


def test_a_token_server_without_tls_is_told_nothing(tmp_path):
    certificate, context = server_context(tmp_path)
    with RegistryServer() as tokens, RegistryServer(context=context, auth="bearer", token_server=tokens.base) as server:
        registries = client({server.host: RegistrySettings(ca=str(certificate))}, login(tmp_path, server.host))
        with pytest.raises(GraphbuildError, match="without TLS"):
            registries.has_blob(Repository(server.host, "web"), digest(LAYER))
        assert tokens.requests == []


def test_plain_http_only_where_it_is_named():
    with RegistryServer() as server, pytest.raises(GraphbuildError) as caught:
        client({}).has_blob(Repository(server.host, "web"), digest(LAYER))
    assert "insecure" in caught.value.problems[0].hint


def test_mirrors_come_first_and_a_bad_one_is_passed_over():
    with RegistryServer() as bad, RegistryServer() as mirror, RegistryServer() as server:
        data = manifest_of(LAYER)
        server.put_manifest("web", "1", data)
        server.put_blob("web", LAYER)
        mirror.put_manifest("cache/web", "1", data)
        mirror.put_blob("cache/web", LAYER)
        bad.put_blob("web", LAYER)
        bad.repositories["web"]["blobs"][digest_of(LAYER)] = LAYER[::-1]
        settings = insecure(bad.host, mirror.host)
        settings[server.host] = RegistrySettings(mirrors=(bad.host, f"{mirror.host}/cache"), insecure=True)
        registries = client(settings)
        repository = Repository(server.host, "web")
        assert registries.resolve(repository, "1", ACCEPT) == digest(data)
        assert registries.manifest(repository, digest(data), ACCEPT, limit=1 << 20).data == data
        assert fetched(registries, repository, LAYER) == LAYER
        assert server.requests == []
        del mirror.repositories["cache/web"]
        assert fetched(registries, repository, LAYER) == LAYER
        assert registries.resolve(repository, "1", ACCEPT) == digest(data)
        registries.put_manifest(repository, "2", Document(MANIFEST, b"{}"))  # what is sent goes to the registry itself
        assert [path for method, path, _ in bad.requests + mirror.requests if method == "PUT"] == []


def test_the_real_thing_with_a_password_and_tls(tmp_path):
    from peers import secure_registry

    with secure_registry("user", USERS["user"]) as peer:
        registries = client({peer.address: RegistrySettings(ca=str(peer.folder / "cert.pem"))}, login(tmp_path, peer.address))
        repository = Repository(peer.address, "private/web")
        upload(registries, repository, LAYER)
        assert fetched(registries, repository, LAYER) == LAYER
        with pytest.raises(GraphbuildError, match="401"):
            client({peer.address: RegistrySettings(ca=str(peer.folder / "cert.pem"))}).has_blob(repository, digest(LAYER))
