"""The service that the workers call: a small HTTP server that fails on request and records what reaches it."""

from __future__ import annotations

import os
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from multiprocessing.connection import Connection
from typing import Any

from cbstore_sql.cli.demo.records import Health, Logbook, Message, Ready, Tally, Visit
from cbstore_sql.cli.demo.timing import FAILS_IN, SERVED_IN

WORKER_HEADER = "X-Worker"
PROBE_HEADER = "X-Probe"
ASKED_HEADER = "X-Asked"

_TALLY_PERIOD = 0.2


class Desk:
    """Records every call, and how many are in service at one time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._visits: list[Visit] = []
        self._present = 0
        self._probes = 0
        self._most_probes = 0
        self.healthy = True

    @contextmanager
    def visit(self, worker: int, probe: bool, asked: float) -> Iterator[tuple[int, bool]]:
        """Record one call while it is in service; yield its number and whether to answer it well."""
        with self._lock:
            served = self.healthy
            self._visits.append(Visit(worker, probe, asked, time.monotonic(), served))
            number = len(self._visits)
            self._present += 1
            self._probes += probe
            self._most_probes = max(self._most_probes, self._probes)
        try:
            yield number, served
        finally:
            with self._lock:
                self._present -= 1
                self._probes -= probe

    def tally(self) -> Tally:
        """Return the counts so far."""
        with self._lock:
            failed = sum(not visit.served for visit in self._visits)
            return Tally(len(self._visits), failed, self._present)

    def logbook(self) -> Logbook:
        """Return everything."""
        with self._lock:
            return Logbook(tuple(self._visits), self._most_probes)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, desk: Desk) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.desk = desk

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: workers are stopped in the middle of calls."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        worker, asked = int(self.headers[WORKER_HEADER]), float(self.headers[ASKED_HEADER])
        with self.server.desk.visit(worker, PROBE_HEADER in self.headers, asked) as (number, served):
            time.sleep(SERVED_IN if served else FAILS_IN)
        if served:
            self._answer(200)
        elif number % 2:
            self._answer(503)
        # Otherwise the connection closes without an answer, which is the other way in which services fail.

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the terminal belongs to the view."""

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def serve(pipe: Connection[Message, bool | None]) -> None:
    """Run the service until an order to stop, or until the other end of the pipe closes.

    Args:
        pipe: Receives ``True`` (be healthy), ``False`` (fail) or ``None`` (stop); sends what was recorded.
    """
    desk = Desk()
    with pipe, _Server(desk) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with suppress(EOFError, ConnectionError):
            pipe.send(Ready(os.getpid(), port=server.server_address[1]))
            _obey(pipe, desk)
        server.shutdown()


def _obey(pipe: Connection[Message, bool | None], desk: Desk) -> None:
    while True:
        if not pipe.poll(_TALLY_PERIOD):
            pipe.send(desk.tally())
            continue
        order = pipe.recv()
        if order is None:
            pipe.send(desk.tally())
            pipe.send(desk.logbook())
            return
        desk.healthy = order
        pipe.send(Health(order, time.monotonic()))
