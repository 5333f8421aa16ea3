"""Registries that fail or lie: what can be mended by another attempt is, anything else is a clear error, and nothing wrong is stored."""

import contextlib
import gzip
import hashlib
import io
import json
import tarfile

import pytest
from cutting_proxy import CuttingProxy
from peers import registry
from registry_server import RegistryServer, digest_of

from graphbuild.build.images import Images
from graphbuild.image.push import Blob, Outgoing, Push
from graphbuild.image.reference import parse_reference
from graphbuild.network.registry import Document, Repository
from graphbuild.network.registry.client import HttpRegistries
from graphbuild.store.store import Store
from graphbuild.values.digest import sha256
from graphbuild.values.errors import EXIT_BUG, GraphbuildError
from graphbuild.values.registry import RegistrySettings

OCI = "application/vnd.oci.image."
ACCEPT = (f"{OCI}manifest.v1+json",)
CHUNK = 60_000


def digest(data):
    return sha256(hashlib.sha256(data).hexdigest())


def noise(count):
    """Bytes that do not compress, the same each time."""
    return b"".join(hashlib.sha256(str(number).encode()).digest() for number in range(count // 32))


def tar(name, data):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as made:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        made.addfile(member, io.BytesIO(data))
    return stream.getvalue()


TAR = tar("file", noise(200_000))
LAYER = gzip.compress(TAR, mtime=0)
CONFIG = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [digest_of(TAR)]}}).encode()


def described(kind, data):
    return {"mediaType": f"{OCI}{kind}", "digest": digest_of(data), "size": len(data)}


def manifest_of(config, *layers):
    return json.dumps({"schemaVersion": 2, "config": described("config.v1+json", config), "layers": list(layers)}).encode()


MANIFEST = manifest_of(CONFIG, described("layer.v1.tar+gzip", LAYER))


def fill(server, path="web"):
    server.put_blob(path, CONFIG)
    server.put_blob(path, LAYER)
    server.put_manifest(path, "1", MANIFEST)


def client(host, environment=None, **options):
    settings = {host: RegistrySettings(insecure=True)}
    return HttpRegistries(settings, environment or {}, **{"timeout": 5, "sleep": lambda _: None, "chunk": CHUNK, **options})


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server():
    with RegistryServer() as made:
        fill(made)
        yield made


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    with made.lease():
        yield made
    assert list(made.verify(lambda *_: None)) == []
    made.close()


def pull(store, host, path="web", name="1", **options):
    """All of an image, as a build pulls it; the layer's blob."""
    images = Images(store, lambda: client(host, **options), offline=False)
    image = images.open(f"{host}/{path}:{name}", "", "linux/amd64", lambda: False)
    with image.open_layer(0) as stream:
        return stream.read()


def push(host, *, blobs=(CONFIG, LAYER), manifest=MANIFEST, name="pushed:1", **options):
    class Quiet:
        def started(self, *_):
            pass

        progress = finished = started

    going = Push(client(host, **options), Quiet(), lambda: False)
    outgoing = tuple(Blob(digest(data), len(data), data) for data in blobs)
    return going.run([Outgoing(Document(ACCEPT[0], manifest), outgoing, (parse_reference(f"{host}/{name}"),))])


def clear(caught, *texts):
    """An error that a person can do something with."""
    assert caught.value.exit_code != EXIT_BUG
    for text in texts:
        assert text in str(caught.value) + " ".join(problem.hint for problem in caught.value.problems)


def port(server):
    return int(server.host.rpartition(":")[2])


# Connections that break


def test_a_pull_survives_a_cut_at_every_place(server, tmp_path):
    with CuttingProxy(port(server)) as proxy, HttpRegistriesClosing(proxy.host) as whole:
        assert fetch_all(whole, proxy.host)
        total = proxy.passed["server"]
    step = max(1, total // 60)
    for cut in [*range(60), *range(60, total, step)]:
        with CuttingProxy(port(server), [("server", cut)]) as proxy, HttpRegistriesClosing(proxy.host) as registries:
            assert fetch_all(registries, proxy.host), cut
            assert proxy.connections > 1, cut


def test_a_push_survives_a_cut_at_every_place(server):
    with CuttingProxy(port(server)) as proxy:
        push(proxy.host)
        totals = dict(proxy.passed)
    for side in ("client", "server"):
        step = max(1, totals[side] // 40)
        for number, cut in enumerate([*range(1, 20), *range(20, totals[side], step)]):
            with CuttingProxy(port(server), [(side, cut)]) as proxy:
                (done,) = push(proxy.host, name=f"cut/{side}{number}:1")
                assert done.new, cut
            repository = server.repository(f"cut/{side}{number}")
            assert repository["blobs"] == {digest_of(data): data for data in (CONFIG, LAYER)}, cut
            assert repository["manifests"]["1"][1] == MANIFEST


def test_a_push_to_the_real_thing_survives_a_cut_at_every_place():
    with registry() as peer:
        number = int(peer.address.rpartition(":")[2])
        with CuttingProxy(number) as proxy:
            push(proxy.host)
            totals = dict(proxy.passed)
        for side in ("client", "server"):
            for cut in range(1, totals[side], max(1, totals[side] // 20)):
                with CuttingProxy(number, [(side, cut)]) as proxy:
                    (done,) = push(proxy.host, name=f"cut/{side}{cut}:1")
                    assert done.new, cut
                registries = client(peer.address)
                assert registries.resolve(Repository(peer.address, f"cut/{side}{cut}"), "1", ACCEPT) == digest(MANIFEST)
                assert all(registries.has_blob(Repository(peer.address, f"cut/{side}{cut}"), digest(data)) for data in (CONFIG, LAYER))


class HttpRegistriesClosing:
    def __init__(self, host):
        self.made = client(host)

    def __enter__(self):
        return self.made

    def __exit__(self, *_):
        self.made.close()


def fetch_all(registries, host):
    import os
    import tempfile

    repository = Repository(host, "web")
    found = registries.resolve(repository, "1", ACCEPT)
    document = registries.manifest(repository, found, ACCEPT, limit=1 << 20)
    for data in (CONFIG, LAYER):
        with tempfile.TemporaryFile() as file:
            registries.blob(repository, digest(data), len(data), file.fileno())
            assert os.pread(file.fileno(), 1 << 20, 0) == data
    return document.data == MANIFEST


def test_a_connection_that_always_breaks_is_an_error_in_the_end(server, store):
    with CuttingProxy(port(server), [("server", 100)] * 100) as proxy, pytest.raises(GraphbuildError) as caught:
        pull(store, proxy.host)
    clear(caught, proxy.host)
    with CuttingProxy(port(server), [("client", 1000)] * 200) as proxy, pytest.raises(GraphbuildError) as caught:
        push(proxy.host)
    clear(caught, proxy.host)
    assert "pushed" not in server.repositories or not server.repositories["pushed"]["manifests"]


def test_a_broken_piece_is_gone_on_with(server):
    broken = []

    def fault(handler):
        if handler.command == "PATCH" and len(server.asked("", "PATCH")) == 2 and not broken:
            broken.append(handler.path)
            handler.connection.close()
            handler.close_connection = True
            return True
        return False

    server.faults = fault
    push(server.host)
    sizes = [
        int(headers["Content-Length"])
        for method, _, headers in server.requests
        if method in ("PATCH", "PUT") and "Content-Range" in headers
    ]
    assert sum(sizes) == len(LAYER) + CHUNK  # one piece was sent twice, and no more
    assert len(server.asked("/blobs/uploads/", "GET")) == 1


def test_a_registry_that_forgot_an_upload_is_sent_it_anew(server):
    forgotten = []

    def fault(handler):
        if handler.command == "PATCH" and len(server.asked("", "PATCH")) == 3 and not forgotten:
            forgotten.append(server.uploads.clear())
        return False

    server.faults = fault
    push(server.host)
    assert server.repository("pushed")["blobs"][digest_of(LAYER)] == LAYER


# Answers


def once(status, *, only=lambda _: True, times=1, **headers):
    """A fault: that status, the first time that a path is asked for."""
    seen = {}

    def fault(handler):
        path = (handler.command, handler.path.partition("?")[0])
        if not only(handler) or seen.setdefault(path, 0) >= times:
            return False
        seen[path] += 1
        handler.body()
        handler.answer(status, b"not now", **headers)
        return True

    return fault


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 408])
def test_busy_registries_are_asked_again(status, server, store):
    server.faults = once(status, Retry_After="1")
    assert pull(store, server.host) == LAYER
    (done,) = push(server.host)
    assert done.new


def test_what_a_registry_asks_for_is_waited_but_no_longer_than_is_sane(server, store):
    slept = []
    server.faults = once(429, Retry_After="7")
    pull(store, server.host, sleep=slept.append)
    assert 7 * 4 <= sum(slept) <= 7 * 4 + 4  # a tag, a manifest, a config, a layer
    slept.clear()
    server.faults = once(429, Retry_After="99999")
    push(server.host, sleep=slept.append)
    assert sum(slept) < 31 * 12


@pytest.mark.parametrize(("status", "said"), [(429, "429"), (500, "500"), (401, "docker login"), (403, "docker login"), (400, "400")])
def test_a_registry_that_always_says_no_is_an_error(status, said, server, store):
    server.faults = once(status, times=1000)
    with pytest.raises(GraphbuildError) as caught:
        pull(store, server.host)
    clear(caught, said, server.host)
    count = len(server.requests)
    assert count <= 8
    with pytest.raises(GraphbuildError) as caught:
        push(server.host)
    clear(caught, said, server.host)


@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
@pytest.mark.parametrize("status", [401, 403, 404, 500, 302, 200, 204])
def test_any_answer_to_any_request_of_a_push_ends_it(method, status, server):
    server.faults = once(status, only=lambda handler: handler.command == method, times=1000)
    with contextlib.suppress(GraphbuildError):
        push(server.host)


# Lies


@pytest.mark.parametrize("data", [LAYER[:-1] + b"x", LAYER[:-1], LAYER + b"x", b"", noise(1 << 20)])
def test_other_bytes_than_the_digest_says_are_not_stored(data, server, store):
    server.repository("web")["blobs"][digest_of(LAYER)] = data
    with pytest.raises(GraphbuildError) as caught:
        pull(store, server.host)
    clear(caught, server.host)
    assert store.blob(digest(LAYER)) is None
    assert store.blob(digest(data)) is None


@pytest.mark.parametrize("kind", ["manifests", "blobs"])
def test_another_document_is_not_believed(kind, server, store):
    for name in list(server.repository("web")[kind]):
        server.repository("web")[kind][name] = (
            (ACCEPT[0], manifest_of(CONFIG)) if kind == "manifests" else CONFIG.replace(b"amd64", b"other")
        )
    head = {"manifests": digest_of(MANIFEST)}.get(kind)

    def lie(handler):
        if head and handler.command == "HEAD":
            handler.answer(200, Docker_Content_Digest=head)
            return True
        return False

    server.faults = lie
    with pytest.raises(GraphbuildError) as caught:
        pull(store, server.host)
    clear(caught, server.host)


def raw(head, body=(), *, forever=b""):
    """A fault: these bytes, then perhaps the same ones until somebody has had enough."""

    def fault(handler):
        if handler.command not in ("GET", "PUT"):
            return False
        handler.wfile.write(head.encode())
        for piece in body:
            handler.wfile.write(piece)
        while forever:
            handler.wfile.write(forever)
        handler.close_connection = True
        return True

    return fault


ENDLESS = [
    raw("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", forever=b" " * 65536),
    raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", forever=b"10000\r\n" + b" " * 65536 + b"\r\n"),
    raw("HTTP/1.1 200 OK\r\n", forever=b"X-More: yes\r\n"),
    raw("HTTP/1.1 200 OK\r\nX-Long: ", forever=b"x" * 65536),
    raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", forever=b" " * 65536),
    raw("HTTP/1.1 500 Oh\r\nContent-Type: application/json\r\n\r\n", forever=b" " * 65536),
    raw("HTTP/1.1 403 Oh\r\nContent-Type: application/json\r\n\r\n", forever=b" " * 65536),
    raw("HTTP/1.1 100 Continue\r\n\r\n", forever=b"HTTP/1.1 100 Continue\r\n\r\n"),
    raw("", forever=b"x" * 65536),
    raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", [b"zzzz\r\n"]),
    raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", [b"{}"]),
    raw("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", [b"{}"]),
    raw("HTTP/1.1 206 Partial\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n", [b"{}..."]),
    raw("HTTP/1.1 416 No\r\nContent-Range: bytes */0\r\nContent-Length: 0\r\n\r\n"),
    raw("HTTP/1.1 304 Same\r\n\r\n"),
    raw("HTTP/1.1 301 There\r\nLocation: /v2/web/manifests/1\r\nContent-Length: 0\r\n\r\n"),
    raw("HTTP/1.1 302 There\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
    raw("HTTP/1.1 302 There\r\nContent-Length: 0\r\n\r\n"),
    raw('HTTP/1.1 401 Who\r\nWWW-Authenticate: Bearer realm="file:///etc/passwd"\r\nContent-Length: 0\r\n\r\n'),
    raw("HTTP/1.1 401 Who\r\nWWW-Authenticate: Bearer " + "a=" * 4000 + "\r\nContent-Length: 0\r\n\r\n"),
    raw('HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic realm="x", Basic realm="y"\r\nContent-Length: 0\r\n\r\n'),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", range(len(ENDLESS)))
def test_answers_that_never_end_or_make_no_sense_are_errors(number, server, store):
    server.faults = ENDLESS[number]
    for work in (lambda: pull(store, server.host, timeout=2), lambda: push(server.host, timeout=2)):
        with pytest.raises(GraphbuildError) as caught:
            work()
        clear(caught, "127.0.0.1")
    assert store.blob(digest(LAYER)) is None


@pytest.mark.parametrize(
    "said",
    ["sha256:nothing", "sha256:" + "0" * 64, "md5:0", "", "x" * 60_000, "sha512:" + "0" * 128],
)
def test_a_digest_that_is_none_or_of_nothing_is_an_error(said, server, store):
    def lie(handler):
        if handler.command == "HEAD" and said:
            handler.answer(200, Docker_Content_Digest=said)
        return handler.command == "HEAD" and bool(said)

    server.faults = lie
    if said:
        with pytest.raises(GraphbuildError) as caught:
            pull(store, server.host)
        clear(caught, server.host)
    else:
        assert pull(store, server.host) == LAYER


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"schemaVersion":1,"fsLayers":[]}',
        b'{"schemaVersion":2,"manifests":[],"layers":[]}',
        b'{"schemaVersion":2,"manifests":[]}',
        b"[" * 100_000,
        MANIFEST.replace(b"sha256:", b"sha512:", 1),
        MANIFEST.replace(digest_of(LAYER).encode(), b"sha256:../../etc/passwd"),
        MANIFEST.replace(str(len(LAYER)).encode(), b"-1"),
        MANIFEST.replace(str(len(LAYER)).encode(), b"1" + b"0" * 17),
        MANIFEST.replace(f'"size": {len(CONFIG)}'.encode(), b'"size": 10000000000'),
        MANIFEST.replace(f'"size": {len(CONFIG)}'.encode(), b'"size": 1'),
        manifest_of(CONFIG),
        manifest_of(CONFIG, *[described("layer.v1.tar+gzip", LAYER)] * 3),
        manifest_of(b"nowhere", described("layer.v1.tar+gzip", LAYER)),
        b" " * (9 << 20),
    ],
)
def test_a_manifest_that_makes_no_sense_is_an_error(document, server, store):
    server.put_manifest("web", "1", document)
    with pytest.raises(GraphbuildError) as caught:
        pull(store, server.host)
    clear(caught, server.host)
    assert store.blob(digest(LAYER)) is None


def test_indexes_that_hold_each_other_end(server, store):
    body = json.dumps({"schemaVersion": 2, "manifests": [described("manifest.v1+json", MANIFEST)] * 1001}).encode()
    for _ in range(12):
        body = json.dumps({"schemaVersion": 2, "manifests": [described("index.v1+json", body)]}).encode()
        server.put_manifest("web", "1", body)
    with pytest.raises(GraphbuildError) as caught:
        pull(store, server.host)
    clear(caught, "nested deeper")


def test_a_registry_that_claims_to_have_everything_is_found_out(server):
    def lie(handler):
        if handler.command == "HEAD" and "/blobs/" in handler.path:
            handler.answer(200)
            return True
        return False

    server.faults = lie
    with pytest.raises(GraphbuildError) as caught:
        push(server.host)
    clear(caught, "MANIFEST_BLOB_UNKNOWN", server.host)


def test_a_registry_that_says_it_made_something_else_of_a_manifest_is_found_out(server):
    def lie(handler):
        if handler.command == "PUT" and "/manifests/" in handler.path:
            handler.body()
            handler.answer(201, Docker_Content_Digest="sha256:" + "1" * 64)
            return True
        return False

    server.faults = lie
    with pytest.raises(GraphbuildError) as caught:
        push(server.host)
    clear(caught, server.host)


@pytest.mark.parametrize("where", ["file:///tmp/x", "gopher://127.0.0.1/", "http://127.0.0.1:1/", "", "//", "http://[", "/\x7f"])
def test_an_upload_that_leads_elsewhere_is_an_error(where, server):
    def lie(handler):
        if handler.command == "POST":
            handler.body()
            handler.answer(202, **({"Location": where} if where else {}))
            return True
        return False

    server.faults = lie
    with pytest.raises(GraphbuildError) as caught:
        push(server.host)
    clear(caught, "127.0.0.1" if "gopher" not in where and "file" not in where else "")


def test_an_upload_that_goes_on_elsewhere_is_not_told_who_asks(server, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"auths": {server.host: {"auth": "dXNlcjpwYXNz"}}}))
    with RegistryServer() as elsewhere:
        server.auth, server.users = "basic", {"user": "pass"}

        def lead(handler):
            if handler.command == "POST" and handler.user():
                handler.body()
                elsewhere.uploads["there"] = bytearray()
                handler.answer(202, Location=f"{elsewhere.base}/v2/web/blobs/uploads/there")
                return True
            return False

        server.faults = lead
        with pytest.raises(GraphbuildError):  # the blobs went there, so the manifest is refused
            push(server.host, environment={"DOCKER_CONFIG": str(tmp_path)})
        assert elsewhere.requests
        assert all("Authorization" not in headers for _, _, headers in elsewhere.requests)


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"[]",
        b"{}",
        b'{"token": "a\\nb"}',
        b'{"token": 5}',
        b'{"token": ""}',
        b" " * (2 << 20),
        b'{"token": "x", "expires_in": "soon"}',
    ],
)
def test_a_token_server_that_makes_no_sense_is_an_error(page, server, store):
    server.auth = "bearer"

    def lie(handler):
        if handler.path.startswith("/token"):
            handler.answer(200, page)
            return True
        return False

    server.faults = lie
    with pytest.raises(GraphbuildError) as caught:
        pull(store, server.host)
    clear(caught, "127.0.0.1")
