"""A registry in this process (OCI distribution-spec), as well behaved or as faulty as a test wants it. Knows nothing of graphbuild.

`faults` hears of every request first, with the handler; where it returns true, it has answered (or hung up).
"""

import base64
import hashlib
import http.server
import json
import re
import threading
import urllib.parse
import uuid

_PATH = re.compile(r"/v2/(?P<path>.+?)/(?P<kind>manifests|blobs|blobs/uploads)/(?P<name>[^/]*)")


class RegistryServer:
    """`auth`: None, "basic" or "bearer"; `users`: name → password. `requests` are (method, path, headers), as they came."""

    def __init__(self, *, auth=None, users=None, context=None, mounts=True, ranges=True, faults=None, token_server=None):
        self.auth, self.users, self.mounts, self.ranges = auth, users or {}, mounts, ranges
        self.faults = faults or (lambda handler: False)
        self.identities = {}
        self.repositories = {}  # path → {"blobs": {digest: bytes}, "manifests": {name: (type, bytes)}}
        self.uploads = {}
        self.requests = []
        self.tokens = {}  # token → scopes
        self.lock = threading.Lock()
        outer = self

        class Handler(_Handler):
            server_part = outer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # clients that hang up are part of the tests
        self.scheme = "https" if context else "http"
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.base = f"{self.scheme}://{self.host}"
        self.realm = f"{token_server or self.base}/token"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def repository(self, path):
        with self.lock:
            return self.repositories.setdefault(path, {"blobs": {}, "manifests": {}})

    def put_blob(self, path, data):
        digest = digest_of(data)
        self.repository(path)["blobs"][digest] = data
        return digest

    def put_manifest(self, path, name, data, media_type="application/vnd.oci.image.manifest.v1+json"):
        digest = digest_of(data)
        for each in (name, digest):
            self.repository(path)["manifests"][each] = (media_type, data)
        return digest

    def asked(self, pattern, method=None):
        """The requests whose path matches."""
        return [one for one in self.requests if re.search(pattern, one[1]) and method in (None, one[0])]


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_part = None

    def log_message(self, *arguments):
        pass

    def answer(self, status, data=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", headers.pop("size", None) or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def handle_any(self):
        outer = self.server_part
        outer.requests.append((self.command, self.path, dict(self.headers)))
        if outer.faults(self):
            return None
        path = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(path.query)
        if path.path == "/token":
            return self.token(query)
        match = _PATH.fullmatch(urllib.parse.unquote(path.path))
        if match is None:
            return self.answer(404)
        if not self.allowed(match["path"], query):
            self.body()
            return self.refuse(match["path"])
        kind = match["kind"].rpartition("/")[2]
        return getattr(self, f"{kind}_{self.command.lower()}")(match["path"], match["name"], query)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815 - the standard library's names

    def allowed(self, path, query):
        outer, said = self.server_part, self.headers.get("Authorization") or ""
        if outer.auth is None:
            return True
        if outer.auth == "basic":
            return self.user() is not None
        scopes = outer.tokens.get(said.removeprefix("Bearer "), ())
        wanted = "pull" if self.command in ("GET", "HEAD") else "push"
        return any(scope.startswith(f"repository:{path}:") and wanted in scope.rpartition(":")[2].split(",") for scope in scopes)

    def user(self):
        said = self.headers.get("Authorization") or ""
        if not said.startswith("Basic "):
            return None
        name, _, password = base64.b64decode(said.removeprefix("Basic ")).decode().partition(":")
        return name if self.server_part.users.get(name) == password else None

    def refuse(self, path):
        outer = self.server_part
        challenge = 'Basic realm="here"'
        if outer.auth == "bearer":
            challenge = f'Bearer realm="{outer.realm}",service="the service",scope="repository:{path}:pull"'
        page = json.dumps({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}).encode()
        self.answer(401, page, WWW_Authenticate=challenge)

    def token(self, query):
        outer = self.server_part
        if self.command == "POST":
            form = urllib.parse.parse_qs(self.body().decode())
            if form["refresh_token"][0] not in outer.identities:
                return self.answer(401)
            scopes = form["scope"][0].split(" ")
        else:
            if self.headers.get("Authorization") and self.user() is None:
                return self.answer(401)
            scopes = query.get("scope", [])
            if self.user() is None:  # anybody may read what is public
                scopes = [scope.replace("pull,push", "pull") for scope in scopes if ":public/" in scope]
        token = uuid.uuid4().hex
        outer.tokens[token] = scopes
        return self.answer(200, json.dumps({"token": token, "expires_in": 300}).encode())

    def manifests_get(self, path, name, query):
        found = self.server_part.repository(path)["manifests"].get(name)
        if found is None:
            return self.answer(404, json.dumps({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}).encode())
        return self.answer(200, found[1], Content_Type=found[0], Docker_Content_Digest=digest_of(found[1]))

    manifests_head = manifests_get

    def manifests_put(self, path, name, query):
        data = self.body()
        repository = self.server_part.repository(path)
        document = json.loads(data)
        for below in (document.get("config"), *document.get("layers", ())):
            if below and below["digest"] not in repository["blobs"]:
                return self.answer(400, json.dumps({"errors": [{"code": "MANIFEST_BLOB_UNKNOWN", "message": "blob unknown"}]}).encode())
        digest = self.server_part.put_manifest(path, name, data, self.headers["Content-Type"])
        return self.answer(201, Docker_Content_Digest=digest)

    def blobs_get(self, path, name, query):
        data = self.server_part.repository(path)["blobs"].get(name)
        if data is None:
            return self.answer(404)
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(match[1]) if match and self.server_part.ranges else 0
        if start:
            return self.answer(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")
        return self.answer(200, data)

    blobs_head = blobs_get

    def uploads_post(self, path, name, query):
        outer = self.server_part
        self.body()
        if "mount" in query and outer.mounts:
            data = outer.repository(query["from"][0])["blobs"].get(query["mount"][0])
            if data is not None:
                outer.put_blob(path, data)
                return self.answer(201, Location=f"/v2/{path}/blobs/{query['mount'][0]}")
        identity = uuid.uuid4().hex
        outer.uploads[identity] = bytearray()
        return self.answer(202, Location=f"/v2/{path}/blobs/uploads/{identity}?state=a%3Db")

    def uploads_get(self, path, name, query):
        upload = self.server_part.uploads.get(name)
        if upload is None:
            return self.answer(404)
        return self.answer(204, Location=f"/v2/{path}/blobs/uploads/{name}?state=x", Range=f"0-{max(len(upload) - 1, 0)}")

    def uploads_patch(self, path, name, query):
        upload = self.server_part.uploads.get(name)
        if upload is None:
            self.body()
            return self.answer(404)
        start = int((self.headers.get("Content-Range") or f"{len(upload)}-").partition("-")[0])
        if start != len(upload):
            self.body()
            return self.answer(416)
        left = int(self.headers["Content-Length"])
        while left:
            data = self.rfile.read1(min(left, 65536))
            if not data:
                self.close_connection = True
                return None
            upload += data
            left -= len(data)
        return self.answer(202, Location=f"/v2/{path}/blobs/uploads/{name}?state=x", Range=f"0-{max(len(upload) - 1, 0)}")

    def uploads_put(self, path, name, query):
        upload = self.server_part.uploads.get(name)
        data = self.body()
        if upload is None:
            return self.answer(404)
        whole = bytes(upload) + data
        if digest_of(whole) != query["digest"][0]:
            return self.answer(400, json.dumps({"errors": [{"code": "DIGEST_INVALID", "message": "digest invalid"}]}).encode())
        del self.server_part.uploads[name]
        self.server_part.put_blob(path, whole)
        return self.answer(201, Location=f"/v2/{path}/blobs/{digest_of(whole)}")

    def uploads_delete(self, path, name, query):
        self.server_part.uploads.pop(name, None)
        return self.answer(204)
