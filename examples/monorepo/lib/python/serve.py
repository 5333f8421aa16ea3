"""Answer GET with JSON: the whole framework of this shop's Python services."""

import json
import os
import sys
import threading
import urllib.request
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def serve(pages: Mapping[str, object]) -> None:
    """Serve `pages` (path → what to answer) on $PORT, for ever. With --check: on any free port, until /healthz has answered once."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path in pages
            body = json.dumps(pages[self.path] if known else {"error": "not found"}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    check = sys.argv[1:] == ["--check"]
    server = ThreadingHTTPServer(("", 0 if check else int(os.environ.get("PORT", "8080"))), Handler)
    if check:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/healthz", timeout=10).close()  # raises for a 404
    else:
        server.serve_forever()
