"""An HTTP server that asks for a login, for tests without MLflow's or Prefect's server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

GOOD = "Basic dXNlcjpnb29k"
"""The login user:good."""


@contextmanager
def guarded(forbids: bool = False) -> Iterator[str]:
    """HTTP server that answers 401 without the login user:good, but at /health."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = 401
            if self.headers.get("Authorization") == GOOD:
                status = 403 if forbids else 404
            if self.path.endswith("/health"):
                status = 200
            body = b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}' if status == 404 else b"refused"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
