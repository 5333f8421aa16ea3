"""The Network seam: one contract for the fake and the real thing, then what only HTTP can get wrong."""

import hashlib
import http.server
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest
from fake_network import FakeNetwork

from graphbuild.network import OfflineNetwork, download, refresh
from graphbuild.network.http import HttpNetwork
from graphbuild.values.errors import EXIT_FAILED, EXIT_INTERRUPTED, GraphbuildError

BODY = bytes(range(256)) * 4000
LIMIT = 1 << 30


class Server:
    """A loopback server. `script` maps a path to a list of answers, used up in turn (the last one stays); plain bytes are served with ranges."""

    def __init__(self, files, script=None, context=None):
        self.requests = []
        self.connections = set()
        self.script = script or {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                outer.requests.append((self.path, dict(self.headers)))
                outer.connections.add(self.client_address)
                answers = outer.script.get(self.path)
                if answers:
                    (answers.pop(0) if len(answers) > 1 else answers[0])(self)
                elif self.path in files:
                    serve(self, files[self.path])
                else:
                    self.send_error(404)

            def do_CONNECT(self):
                outer.requests.append((self.path, dict(self.headers)))
                self.send_error(403, "no tunnels")

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # clients that hang up are part of the tests
        self.scheme = "https" if context else "http"
        self.base = f"{self.scheme}://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def serve(handler, body, etag='"1"'):
    if handler.headers.get("If-None-Match") == etag:
        handler.send_response(304)
        handler.end_headers()
        return
    match = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range") or "")
    start = int(match[1]) if match and handler.headers.get("If-Range") in (None, etag) else 0
    if match and start >= len(body):
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(body)}")
        body = b""
    elif start:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    else:
        handler.send_response(200)
    handler.send_header("ETag", etag)
    handler.send_header("Content-Length", str(len(body) - start if body else 0))
    handler.end_headers()
    handler.wfile.write(body[start:])


def status(code, **headers):
    def answer(handler):
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "3")
        handler.end_headers()
        handler.wfile.write(b"no\n")

    return answer


def broken_after(body, count, etag='"1"'):
    """Promise all of the body, send `count` bytes, hang up."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("ETag", etag)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:count])
        handler.close_connection = True

    return answer


def without_ranges(body):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(body), 50_000):
            piece = body[start : start + 50_000]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    return answer


def http_network(**options):
    return HttpNetwork(sleep=lambda _: None, timeout=5, **options)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=["fake", "http"])
def network(request):
    """(a network, the base url under which /file and /empty are)."""
    files = {"/file": BODY, "/empty": b""}
    if request.param == "fake":
        yield FakeNetwork({f"http://host{name}": body for name, body in files.items()}), "http://host"
    else:
        real = http_network()
        with Server(files) as server:
            yield real, server.base
            real.close()


def fetch(network, url, **options):
    got = bytearray()
    result = network.fetch(url, got.extend, **{"limit": LIMIT, **options})
    return bytes(got), result


# The contract


def test_the_body_arrives_whole_and_in_order(network):
    real, base = network
    got, result = fetch(real, f"{base}/file")
    assert (got, result.size, result.resumed) == (BODY, len(BODY), False)
    assert fetch(real, f"{base}/empty")[0] == b""


@pytest.mark.parametrize("offset", [1, 300_000, len(BODY) - 1, len(BODY)])
def test_an_offset_skips_what_is_there(network, offset):
    real, base = network
    got, result = fetch(real, f"{base}/file", offset=offset)
    assert (got, result.size, result.resumed) == (BODY[offset:], len(BODY), True)


def test_what_is_known_already_is_not_sent_again(network):
    real, base = network
    known = fetch(real, f"{base}/file")[1].validator
    assert known is not None
    got, again = fetch(real, f"{base}/file", unless=known)
    assert (got, again.unchanged, again.validator) == (b"", True, known)
    other, result = fetch(real, f"{base}/empty", unless=known)
    assert (other, result.unchanged) == (b"", False)
    got, result = fetch(real, f"{base}/file", unless=known, offset=1)
    assert (got, result.unchanged) == (BODY[1:], False)


def test_progress_counts_to_the_whole_size(network):
    real, base = network
    seen = []
    fetch(real, f"{base}/file", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)


def test_what_is_not_there_and_what_is_too_large_are_errors_that_name_the_url(network):
    real, base = network
    with pytest.raises(GraphbuildError, match=f"{base}/none: HTTP 404") as missing:
        fetch(real, f"{base}/none")
    assert missing.value.exit_code == EXIT_FAILED
    with pytest.raises(GraphbuildError, match=f"{base}/file: is larger than 5000 bytes"):
        fetch(real, f"{base}/file", limit=5000)
    assert fetch(real, f"{base}/file", limit=len(BODY))[0] == BODY


def test_other_schemes_are_refused(network):
    real, _ = network
    for url in ("file:///etc/passwd", "ftp://host/x", "/etc/passwd", ""):
        with pytest.raises(GraphbuildError, match="not a URL that can be fetched"):
            fetch(real, url)


def test_a_cancelled_fetch_stops_with_its_own_exit_code(network):
    real, base = network
    with pytest.raises(GraphbuildError, match="cancelled") as error:
        fetch(real, f"{base}/file", cancelled=lambda: True)
    assert error.value.exit_code == EXIT_INTERRUPTED


def test_what_the_sink_raises_comes_through(network):
    real, base = network

    def full(_):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        real.fetch(f"{base}/file", full, limit=LIMIT)


# Downloads


@pytest.fixture
def target(tmp_path):
    with (tmp_path / "file").open("w+b") as file:
        yield file


def test_a_download_is_verified(network, target):
    real, base = network
    target.write(b"old content, longer or not" * 100_000)
    target.flush()
    wanted = hashlib.sha256(BODY).hexdigest()
    digest, size = download(real, [f"{base}/file"], target.fileno(), sha256=wanted, size=len(BODY), limit=LIMIT)
    assert (str(digest), size) == (f"sha256:{wanted}", len(BODY))
    assert Path(target.name).read_bytes() == BODY


def test_mirrors_are_tried_in_order_and_every_failure_is_told(network, target):
    real, base = network
    wanted = hashlib.sha256(BODY).hexdigest()
    download(real, [f"{base}/none", f"{base}/empty", f"{base}/file"], target.fileno(), sha256=wanted, limit=LIMIT)
    assert Path(target.name).read_bytes() == BODY
    with pytest.raises(GraphbuildError) as error:
        download(real, [f"{base}/none", f"{base}/file"], target.fileno(), sha256="0" * 64, limit=LIMIT)
    assert [problem.message.partition(": ")[0] for problem in error.value.problems] == [f"{base}/none", f"{base}/file"]
    assert f"has sha256:{wanted}, expected sha256:{'0' * 64}" in str(error.value)
    assert error.value.exit_code == EXIT_FAILED


def test_a_size_bounds_the_download(network, target):
    real, base = network
    with pytest.raises(GraphbuildError, match="is larger than 100 bytes"):
        download(real, [f"{base}/file"], target.fileno(), size=100, limit=LIMIT)
    with pytest.raises(GraphbuildError, match="has 0 bytes, expected 100"):
        download(real, [f"{base}/empty"], target.fileno(), size=100, limit=LIMIT)
    with pytest.raises(GraphbuildError, match="no url"):
        download(real, [], target.fileno(), limit=LIMIT)


def test_offline_says_so(target):
    with pytest.raises(GraphbuildError, match=r"http://host/x: not fetched: --offline"):
        download(OfflineNetwork(), ["http://user:secret@host/x"], target.fileno(), limit=LIMIT)


def test_a_refreshed_download_is_what_is_there_now(network, target):
    real, base = network
    first = refresh(real, f"{base}/file", target.fileno(), None, limit=LIMIT)
    assert (first.digest.hex, first.size) == (hashlib.sha256(BODY).hexdigest(), len(BODY))
    assert Path(target.name).read_bytes() == BODY
    assert refresh(real, f"{base}/file", target.fileno(), first, limit=LIMIT) == first
    assert Path(target.name).read_bytes() == b""
    assert refresh(real, f"{base}/empty", target.fileno(), first, limit=LIMIT).size == 0
    with pytest.raises(GraphbuildError, match="HTTP 404"):
        refresh(real, f"{base}/none", target.fileno(), first, limit=LIMIT)


# HTTP


def test_connections_are_kept():
    with Server({"/a": BODY, "/b": b"b"}, {"/to": [status(302, Location="/b")]}) as server:
        real = http_network()
        for path in ("/a", "/b", "/to", "/a"):
            fetch(real, server.base + path)
        real.close()
        assert len(server.connections) == 1


def test_an_idle_connection_that_was_closed_is_no_fault():
    def closing(handler):
        serve(handler, b"x")
        handler.close_connection = True  # without saying so in a header

    with Server({}, {"/x": [closing]}) as server:
        real = http_network(attempts=1)
        assert [fetch(real, f"{server.base}/x")[0] for _ in range(3)] == [b"x"] * 3
        real.close()


@pytest.mark.parametrize("code", [429, 500, 503])
def test_passing_faults_are_retried(code):
    with Server({"/x": BODY}, {"/x": [status(code, Retry_After="1"), status(code), lambda handler: serve(handler, BODY)]}) as server:
        assert fetch(http_network(), f"{server.base}/x")[0] == BODY
        assert len(server.requests) == 3


def test_lasting_faults_end():
    with Server({}, {"/x": [status(500)]}) as server, pytest.raises(GraphbuildError, match=r"/x: HTTP 500") as error:
        fetch(http_network(), f"{server.base}/x")
    assert len(server.requests) == 4
    assert error.value.exit_code == EXIT_FAILED
    with Server({}, {"/x": [status(403)]}) as server, pytest.raises(GraphbuildError, match="HTTP 403"):
        fetch(http_network(), f"{server.base}/x")
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_an_error():
    with Server({}) as server:
        base = server.base
    with pytest.raises(GraphbuildError, match="refused"):
        fetch(http_network(), f"{base}/x")


def test_a_broken_transfer_goes_on_where_it_broke():
    script = {"/x": [broken_after(BODY, 300_000), lambda handler: serve(handler, BODY)]}
    with Server({}, script) as server:
        got, result = fetch(http_network(), f"{server.base}/x")
    assert (got, result.size, result.resumed) == (BODY, len(BODY), True)
    assert server.requests[1][1]["Range"] == "bytes=300000-"
    assert server.requests[1][1]["If-Range"] == '"1"'


def test_a_server_without_ranges_sends_all_again_and_the_sink_sees_each_byte_once():
    with Server({}, {"/x": [broken_after(BODY, 300_000, etag=""), without_ranges(BODY)]}) as server:
        got, result = fetch(http_network(), f"{server.base}/x")
    assert (got, result.resumed) == (BODY, False)


def test_a_file_that_changes_while_it_is_read_is_an_error():
    script = {"/x": [broken_after(BODY, 300_000), lambda handler: serve(handler, BODY[::-1], etag='"2"')]}
    with Server({}, script) as server, pytest.raises(GraphbuildError, match="changed while it was read"):
        fetch(http_network(), f"{server.base}/x")


def test_a_body_without_a_length_is_bounded_too():
    with Server({}, {"/x": [without_ranges(BODY)]}) as server:
        assert fetch(http_network(), f"{server.base}/x")[0] == BODY
        with pytest.raises(GraphbuildError, match="larger than 70000 bytes"):
            fetch(http_network(), f"{server.base}/x", limit=70_000)


def tagged(body, etag, **headers):
    """A file with an ETag, and other headers beside it."""

    def answer(handler):
        if handler.headers.get("If-None-Match") == etag:
            handler.send_response_only(304)
            handler.end_headers()
            return
        handler.send_response_only(200)
        for name, value in {"ETag": etag, "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    ("etag", "headers", "kept"),
    [
        ('"a"', {}, True),
        ('W/"a"', {}, False),
        ("a", {}, False),
        ('"a b"', {}, False),
        (f'"{"a" * 2000}"', {}, False),
        ('"a"', {"Last_Modified": "Tue, 02 Jan 2001 03:04:05 GMT", "Date": "Tue, 02 Jan 2001 03:05:05 GMT"}, True),
        ('"a"', {"Last_Modified": "Tue, 02 Jan 2001 03:04:05 GMT", "Date": "Tue, 02 Jan 2001 03:05:04 GMT"}, False),
        ('"a"', {"Last_Modified": "Tue, 02 Jan 2001 03:04:05 GMT"}, False),
        ('"a"', {"Last_Modified": "yesterday", "Date": "Tue, 02 Jan 2001 03:05:04 GMT"}, False),
    ],
)
def test_only_a_strong_etag_of_what_is_at_rest_is_relied_on(etag, headers, kept):
    with Server({}, {"/x": [tagged(b"x", etag, **headers)]}) as server:
        result = fetch(http_network(), f"{server.base}/x")[1]
        assert (result.validator is not None) == kept


def test_an_etag_is_asked_for_only_where_it_came_from():
    script = {
        "/latest": [status(302, Location="/v1"), status(302, Location="/v2")],
        "/v1": [tagged(b"1", '"e"')],
        "/v2": [tagged(b"2", '"e"')],
    }
    with Server({}, script) as server:
        first = fetch(http_network(), f"{server.base}/latest")[1]
        assert fetch(http_network(), f"{server.base}/v1", unless=first.validator)[1].unchanged
        got, second = fetch(http_network(), f"{server.base}/latest", unless=first.validator)
        assert (got, second.unchanged) == (b"2", False)


def test_an_answer_that_nothing_changed_needs_a_question():
    with Server({}, {"/x": [status(304)]}) as server, pytest.raises(GraphbuildError, match="HTTP 304"):
        fetch(http_network(), f"{server.base}/x")


def test_redirects_are_followed_and_bounded():
    script = {
        "/1": [status(301, Location="2?a=b c")],
        "/2?a=b%20c": [status(307, Location="/file")],
        "/loop": [status(302, Location="/loop")],
    }
    with Server({"/file": BODY}, script) as server:
        assert fetch(http_network(), f"{server.base}/1")[0] == BODY
        with pytest.raises(GraphbuildError, match="more than 10 redirects"):
            fetch(http_network(), f"{server.base}/loop")


@pytest.mark.parametrize("location", ["file:///etc/passwd", "gopher://x/", ""])
def test_redirects_to_elsewhere_are_refused(location):
    with Server({}, {"/x": [status(302, Location=location)]}) as server, pytest.raises(GraphbuildError):
        fetch(http_network(), f"{server.base}/x")


def test_passwords_are_sent_to_their_host_and_shown_nowhere():
    with Server({"/x": b"x"}) as other, Server({}, {"/x": [status(302, Location=f"{other.base}/x")]}) as server:
        url = server.base.replace("http://", "http://user:p%40ss@")
        assert fetch(http_network(), f"{url}/x")[0] == b"x"
        with pytest.raises(GraphbuildError) as error:
            fetch(http_network(), f"{url}/none")
    assert server.requests[0][1]["Authorization"] == "Basic dXNlcjpwQHNz"
    assert "Authorization" not in other.requests[0][1]
    assert "ss@" not in str(error.value)


def test_no_encoding_is_asked_for():
    with Server({"/x": b"x"}) as server:
        fetch(http_network(), f"{server.base}/x")
    assert server.requests[0][1]["Accept-Encoding"] == "identity"


def test_proxies_come_from_the_environment(monkeypatch):
    url = "http://example.invalid/file"
    with Server({url: BODY}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.base.replace("//", "//u:p@"))
        monkeypatch.setenv("https_proxy", proxy.base)
        assert fetch(http_network(), url)[0] == BODY
        with pytest.raises(GraphbuildError, match="403"):
            fetch(http_network(attempts=1), "https://example.invalid/file")
        assert proxy.requests[0][1]["Proxy-Authorization"] == "Basic dTpw"
        assert proxy.requests[0][1]["Host"] == "example.invalid"
        assert proxy.requests[1][0] == "example.invalid:443"
        with Server({"/x": b"direct"}) as server:
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            assert fetch(http_network(), f"{server.base}/x")[0] == b"direct"


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http://host:0/",
        "http://host:99999/",
        "http://ho st/",
        "http://host/\r\nX: y",
        "http://höst/",
        "http://[::1",
        "http://a..b/",
    ],
)
def test_malformed_urls_are_errors(url):
    with pytest.raises(GraphbuildError):
        fetch(http_network(attempts=1), url)


def test_broken_answers_are_errors():
    def garbage(handler):
        handler.wfile.write(b"\x00\x01garbage\r\n\r\n")
        handler.close_connection = True

    def endless_header(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")
        handler.close_connection = True

    def bad_chunks(handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"zz\r\nabc")
        handler.close_connection = True

    def wrong_range(handler):
        handler.send_response(206)
        handler.send_header("Content-Range", "bytes 7-9/10")
        handler.send_header("Content-Length", "3")
        handler.end_headers()
        handler.wfile.write(b"abc")

    for answer in (garbage, endless_header, bad_chunks, wrong_range):
        with Server({}, {"/x": [answer]}) as server, pytest.raises(GraphbuildError, match="/x: "):
            fetch(http_network(), f"{server.base}/x", offset=5 if answer is wrong_range else 0)


def test_silence_ends():
    waiting = threading.Event()
    with Server({}, {"/x": [lambda _: waiting.wait(5)]}) as server:
        with pytest.raises(GraphbuildError, match="no answer in time"):
            fetch(HttpNetwork(timeout=0.2, attempts=2, sleep=lambda _: None), f"{server.base}/x")
        waiting.set()


@pytest.fixture(scope="module")
def certificate():
    if not shutil.which("openssl"):
        pytest.skip("needs the package openssl")
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "cert.pem", Path(folder) / "key.pem"
        subprocess.run(
            [
                *[
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                    "-days",
                    "2",
                    "-subj",
                    "/CN=test",
                ],
                "-addext",
                "subjectAltName=IP:127.0.0.1",
                "-out",
                files[0],
                "-keyout",
                files[1],
            ],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
        yield files[0], context


def test_https_trusts_what_ssl_cert_file_names_and_nothing_else(certificate, monkeypatch):
    path, context = certificate
    with Server({"/x": BODY}, context=context) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        assert fetch(http_network(), f"{server.base}/x")[0] == BODY
        monkeypatch.setenv("SSL_CERT_FILE", os.devnull)
        monkeypatch.setenv("SSL_CERT_DIR", os.devnull)
        with pytest.raises(GraphbuildError, match="certificate refused"):
            fetch(http_network(), f"{server.base}/x")


def test_https_does_not_redirect_to_http(certificate, monkeypatch):
    path, context = certificate
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with Server({"/x": b"x"}) as plain, Server({}, {"/x": [status(302, Location=f"{plain.base}/x")]}, context=context) as server:
        with pytest.raises(GraphbuildError, match="redirects from https to http://"):
            fetch(http_network(), f"{server.base}/x")
        assert plain.requests == []
