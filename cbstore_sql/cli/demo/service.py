"""The service that the workers call: a small HTTP server that fails on command and records all calls."""

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


class CallRecorder:
    """A record of every call to the service, with the number of calls that the service serves at the same time.

    Attributes:
        healthy: Whether the service answers new calls successfully.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._visits: list[Visit] = []
        self._present = 0
        self._probes = 0
        self._most_probes = 0
        self.healthy = True

    @contextmanager
    def visit(self, worker: int, probe: bool, asked: float) -> Iterator[tuple[int, bool]]:
        """Record one call. The call lasts from the beginning to the end of the ``with`` block.

        Args:
            worker: The number of the worker that calls.
            probe: Whether the call is a probe.
            asked: When the worker requested admission from the breaker, by `time.monotonic` in seconds.

        Yields:
            The number of the call, from 1, and whether the service must answer the call successfully.
        """
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
        """Return how many calls have arrived, how many have failed, and how many the service is serving now."""
        with self._lock:
            failed = sum(not visit.served for visit in self._visits)
            return Tally(len(self._visits), failed, self._present)

    def logbook(self) -> Logbook:
        """Return the record of all calls that have arrived until now."""
        with self._lock:
            return Logbook(tuple(self._visits), self._most_probes)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, recorder: CallRecorder) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.recorder = recorder

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error: the demo may stop a worker in the middle of a call."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        worker, asked = int(self.headers[WORKER_HEADER]), float(self.headers[ASKED_HEADER])
        with self.server.recorder.visit(worker, PROBE_HEADER in self.headers, asked) as (number, served):
            time.sleep(SERVED_IN if served else FAILS_IN)
        if served:
            self._answer(200)
        elif number % 2:
            self._answer(503)
        # For every second failed call, the server closes the connection without an answer.

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log: the terminal shows only the view."""

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def serve(pipe: Connection[Message, bool | None]) -> None:
    """Run the service until it receives the order to stop, or until the parent closes its end of the pipe.

    Args:
        pipe: The pipe to the parent. The parent sends ``True`` (work), ``False`` (fail) or ``None`` (stop). The service
            sends its records.
    """
    recorder = CallRecorder()
    with pipe, _Server(recorder) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with suppress(EOFError, ConnectionError):
            pipe.send(Ready(os.getpid(), port=server.server_address[1]))
            _obey(pipe, recorder)
        server.shutdown()


def _obey(pipe: Connection[Message, bool | None], recorder: CallRecorder) -> None:
    while True:
        if not pipe.poll(_TALLY_PERIOD):
            pipe.send(recorder.tally())
            continue
        order = pipe.recv()
        if order is None:
            pipe.send(recorder.tally())
            pipe.send(recorder.logbook())
            return
        recorder.healthy = order
        pipe.send(Health(order, time.monotonic()))
