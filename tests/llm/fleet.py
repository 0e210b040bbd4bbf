"""Processes that call an API on this machine, and an API that records every request."""

from __future__ import annotations

import multiprocessing as mp
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.context import ForkServerProcess
from multiprocessing.synchronize import Event, Semaphore
from typing import Any, NamedTuple

from cbstore_sql import SqlStore

# Seconds. The limit only keeps a failure from hanging the suite.
GIVE_UP_AFTER = 120.0

context = mp.get_context("forkserver")


class Request(NamedTuple):
    """One request that the API received.

    Attributes:
        process: The number of the process that made it.
        call: The number of the call within that process.
        asked: When the process began the call, seconds of ``time.monotonic``, which all processes share.
        came: When the request came, by the same clock.
        status: How it was answered.
    """

    process: int
    call: int
    asked: float
    came: float
    status: int


class Api(ThreadingHTTPServer):
    """An API that answers every request with ``status`` and ``headers`` once ``gate`` is set.

    Attributes:
        url: Where it listens.
        requests: What came, in order.
        most_at_once: How many requests were under way at most since `forget`.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.requests: list[Request] = []
        self.most_at_once = 0
        self._under_way = 0
        self._lock = threading.Lock()

    def handle(self, process: int, call: int, asked: float) -> int:
        with self._lock:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
            status = self.status
            self.requests.append(Request(process, call, asked, time.monotonic(), status))
        self.gate.wait(GIVE_UP_AFTER)
        with self._lock:
            self._under_way -= 1
        return status

    def answer_from_now_on(self, status: int, **headers: str) -> None:
        """Change the answer; each later request gets the new one."""
        with self._lock:
            self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}

    def forget(self) -> None:
        """Set the counters to zero."""
        with self._lock:
            self.requests = []
            self.most_at_once = self._under_way

    def processes(self) -> set[int]:
        """The processes that have called."""
        return {request.process for request in self.requests}


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        who = self.headers
        status = self.server.handle(int(who["X-Process"]), int(who["X-Call"]), float(who["X-Asked"]))
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(self.server.headers if status != 200 else {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Api]:
    """Run an API in threads of this process."""
    api = Api()
    thread = threading.Thread(target=api.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield api
    finally:
        api.gate.set()
        api.shutdown()
        thread.join()
        api.server_close()


class Caller:
    """One process of the fleet, which numbers its calls.

    Args:
        process: The number of the process.
    """

    def __init__(self, process: int) -> None:
        self.process = process
        self.calls = 0
        self.asked = 0.0

    def begin(self) -> None:
        """Begin the next call."""
        self.calls += 1
        self.asked = time.monotonic()

    def fetch(self, url: str) -> str:
        """Make one attempt of the current call; a status over 399 is raised as an error."""
        headers = {"X-Process": str(self.process), "X-Call": str(self.calls), "X-Asked": repr(self.asked)}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the test's own server
        with urllib.request.urlopen(request, timeout=GIVE_UP_AFTER) as response:  # noqa: S310 - see above
            response.read()
        return url


class Signals(NamedTuple):
    """Events between the test and the processes.

    Attributes:
        go: Set by the test: the processes may begin.
        stop: Set by the test: the processes must end.
        ready: Released by each process that has opened what it needs.
    """

    go: Event
    stop: Event
    ready: Semaphore


class Job(NamedTuple):
    """The parameters of a process.

    Attributes:
        database: The URL of the store.
        namespace: The namespace of the store.
        apis: Where the APIs listen.
    """

    database: str
    namespace: str
    apis: tuple[str, ...]

    def open(self) -> SqlStore:
        """Open the store in this process."""
        return SqlStore(self.database, namespace=self.namespace)


Work = Callable[[int, Signals, Job], Any]


class Fleet:
    """Processes that run one function until the test stops them.

    Args:
        size: How many.
        work: Is called in each process with its number, the signals and the job; returns what it has seen.
        job: What the processes work with.

    Attributes:
        signals: What the test tells the processes.
    """

    def __init__(self, size: int, work: Work, job: Job) -> None:
        self.signals = Signals(context.Event(), context.Event(), context.Semaphore(0))
        self._results: mp.Queue[Any] = context.Queue()
        context.set_forkserver_preload(["cbstore_sql.llm", "cbstore_sql", "psycopg", work.__module__])
        self._workers: list[ForkServerProcess] = [
            context.Process(target=_run, args=(self._results, work, number, self.signals, job), daemon=True)
            for number in range(size)
        ]
        for worker in self._workers:
            worker.start()

    def wait_until_ready(self) -> None:
        """Return when every process has opened what it needs."""
        for _ in self._workers:
            assert self.signals.ready.acquire(timeout=GIVE_UP_AFTER)

    def results(self) -> list[Any]:
        """Stop the processes and return what each has seen."""
        self.signals.stop.set()
        results = [self._results.get(timeout=GIVE_UP_AFTER) for _ in self._workers]
        for worker in self._workers:
            worker.join(GIVE_UP_AFTER)
        return results

    def kill(self) -> None:
        """End the processes that still run."""
        for worker in self._workers:
            worker.kill()
            worker.join(GIVE_UP_AFTER)


def _run(results: mp.Queue[Any], work: Work, number: int, signals: Signals, job: Job) -> None:
    try:
        results.put(work(number, signals, job))
    except BaseException as error:
        results.put(repr(error))
        raise


@contextmanager
def fleet(size: int, work: Work, job: Job) -> Iterator[Fleet]:
    """Start a fleet, and end its processes at the end of the block."""
    started = Fleet(size, work, job)
    try:
        started.wait_until_ready()
        yield started
    finally:
        started.kill()
