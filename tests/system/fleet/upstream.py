"""A dependency that a test can break and repair, and that counts its requests."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Upstream(ThreadingHTTPServer):
    """Serves HTTP on this machine; every request is answered with ``status`` once ``controller`` is open."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.controller = threading.Event()
        self.controller.set()
        self._changed = threading.Condition()
        self._in_flight = 0
        self.served = 0
        self.most_at_once = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    @contextmanager
    def request(self) -> Iterator[None]:
        with self._changed:
            self._in_flight += 1
            self.served += 1
            self.most_at_once = max(self.most_at_once, self._in_flight)
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def wait_until_idle_and_count_anew(self) -> None:
        """Wait until no request is running, and set the counters to zero."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._in_flight == 0, timeout=30.0)
            self.served = self.most_at_once = 0

    def wait_for_requests(self, count: int) -> None:
        """Wait until so many requests have come since the last count."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.served >= count, timeout=30.0)


class _Handler(BaseHTTPRequestHandler):
    server: Upstream

    def do_GET(self) -> None:
        with self.server.request():
            self.server.controller.wait(30.0)
            self.send_response(self.server.status)
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write no log, because there are thousands of requests."""


@contextmanager
def serving() -> Iterator[Upstream]:
    """Run an upstream in threads of this process."""
    upstream = Upstream()
    thread = threading.Thread(target=upstream.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield upstream
    finally:
        upstream.controller.set()
        upstream.shutdown()
        thread.join()
        upstream.server_close()


def fetch(url: str) -> int:
    """Call the upstream; a status over 399 is raised as an error."""
    with urllib.request.urlopen(url, timeout=30.0) as response:  # noqa: S310 - the test's own server
        return int(response.status)
