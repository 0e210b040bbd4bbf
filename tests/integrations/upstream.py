"""A small HTTP server on this machine whose answers a test chooses by path."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_BODY = b"0123456789" * 100


class _Handler(BaseHTTPRequestHandler):
    """Answers ``/answer?status=…&retry_after=…``, ``/broken`` (a body that breaks off) and ``/reset`` (no answer)."""

    protocol_version = "HTTP/1.1"
    server: Upstream

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        url = urlsplit(self.path)
        wanted = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == "/reset":
            self.close_connection = True
            return
        self.send_response(int(wanted.get("status", "200")))
        self.send_header("Content-Length", str(len(_BODY)))
        if "retry_after" in wanted:
            self.send_header("Retry-After", wanted["retry_after"])
        self.end_headers()
        if url.path == "/broken":
            self.wfile.write(_BODY[: len(_BODY) // 2])
            self.close_connection = True
            return
        self.wfile.write(_BODY)

    def log_message(self, *_: object) -> None:
        """Write no log."""


class Upstream(ThreadingHTTPServer):
    """The server.

    Attributes:
        paths: The path of every request that arrived, in order.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.paths: list[str] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore the error, because clients under test break connections on purpose."""

    @property
    def name(self) -> str:
        """The breaker name that the integrations give this server."""
        return f"http://127.0.0.1:{self.server_port}"

    def url(self, path: str) -> str:
        return self.name + path


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Run a server for the duration of a block."""
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
