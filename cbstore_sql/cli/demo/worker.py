"""The worker process, which calls the service repeatedly behind the shared breaker."""

from __future__ import annotations

import logging
import os
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from multiprocessing.connection import Connection

from cbstore_sql.breaker.circuit_breaker import CircuitBreaker
from cbstore_sql.cli.demo.records import BREAKER, Attempt, Change, Failed, Message, Outcome, Ready
from cbstore_sql.cli.demo.service import ASKED_HEADER, PROBE_HEADER, WORKER_HEADER
from cbstore_sql.cli.demo.timing import CALL_TIMEOUT, Timing
from cbstore_sql.core.model import Permit, State
from cbstore_sql.errors import CircuitBreakerError, CircuitBreakerOpenError
from cbstore_sql.events import BreakerEvent, ProbeClaimed, StateChanged
from cbstore_sql.stores.sql import SqlStore


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """The parameters of one worker.

    Attributes:
        number: The number of the worker, from 1.
        url: The URL of the database with the breaker.
        schema: The schema of the table.
        namespace: The breaker's namespace.
        port: The port on which the service listens on this machine.
        timing: The planned durations of the parts of the demo.
    """

    number: int
    url: str = field(repr=False)
    schema: str
    namespace: str
    port: int
    timing: Timing


class ServiceError(Exception):
    """Raised when the service does not answer a call successfully.

    Args:
        outcome: How the call failed: `Outcome.ERROR` or `Outcome.HUNG_UP`.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


def work(job: WorkerTask, pipe: Connection[Message, None]) -> None:
    """Run a worker until it receives the order to stop, or until the parent closes its end of the pipe.

    Args:
        job: The parameters of the worker.
        pipe: The pipe to the parent. The parent sends ``None`` twice: first to begin, then to stop. The worker sends
            each attempt.
    """
    with pipe, suppress(EOFError, ConnectionError):
        try:
            _work(job, pipe)
        except CircuitBreakerError as error:
            pipe.send(Failed(str(error)))


def _work(job: WorkerTask, pipe: Connection[Message, None]) -> None:
    # The view shows every change. Log lines of the library would break the picture of the view.
    logging.getLogger("cbstore_sql").addHandler(logging.NullHandler())
    with SqlStore(job.url, schema=job.schema, namespace=job.namespace) as store:
        store.read(BREAKER)
        pipe.send(Ready(os.getpid(), job.number))
        pipe.recv()
        worker = _Worker(job, store)
        while not pipe.poll(worker.pause()):
            pipe.send(worker.attempt())


class _Worker:
    def __init__(self, job: WorkerTask, store: SqlStore) -> None:
        self._job = job
        # The breaker reads the store for every call, because the checks count every call that it admits too late.
        self._breaker = CircuitBreaker(
            store,
            job.timing.policy,
            store_timeout=None,
            on_store_outage="raise",
            listeners=[self._witness],
            max_staleness=0,
        )
        self._changes: list[Change] = []
        self._asked_store = 0.0
        self._retry_after = 0.0

    def pause(self) -> float:
        """Return the seconds to wait before the next attempt.

        After a rejection, the pause is not longer than the time until the next possible probe.
        """
        pause = random.uniform(*self._job.timing.pause)
        return min(pause, self._retry_after) if self._retry_after else pause

    def attempt(self) -> Attempt:
        """Call the service if the breaker admits the call, and return the record of the attempt."""
        asked = self._asked_store = time.monotonic()
        self._changes = []
        self._retry_after = 0.0
        probe, outcome = False, Outcome.OK
        try:
            with self._breaker.guard(BREAKER) as permit:
                probe = permit.is_probe
                self._call(asked, permit)
        except CircuitBreakerOpenError as refused:
            self._retry_after = refused.retry_after
            outcome = Outcome.REFUSED
        except ServiceError as error:
            outcome = error.outcome
        return Attempt(self._job.number, probe, asked, time.monotonic(), outcome, tuple(self._changes))

    def _call(self, asked: float, permit: Permit) -> None:
        headers = {WORKER_HEADER: str(self._job.number), ASKED_HEADER: repr(asked)}
        if permit.is_probe:
            headers[PROBE_HEADER] = permit.token
        try:
            call_service(self._job.port, headers)
        finally:
            # After the call, the next request to the store reports the outcome.
            self._asked_store = time.monotonic()

    def _witness(self, event: BreakerEvent) -> None:
        match event:
            case StateChanged(previous_state=before, snapshot=after):
                self._note(after.generation, before, after.state)
            case ProbeClaimed(permit=permit, took_over=True):
                self._note(permit.generation, State.HALF_OPEN, State.HALF_OPEN)

    def _note(self, generation: int, before: State, after: State) -> None:
        times = self._asked_store, time.monotonic()
        self._changes.append(Change(self._job.number, generation, before.value, after.value, *times))


def call_service(port: int, headers: dict[str, str]) -> None:
    """Make one HTTP call to the service.

    Args:
        port: The port of the service on this machine.
        headers: The headers of the request.

    Raises:
        ServiceError: The service answered with an error, closed the connection, or did not answer in time.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=CALL_TIMEOUT)
    try:
        connection.request("GET", "/", headers=headers)
        status = connection.getresponse().status
    except (OSError, HTTPException):
        raise ServiceError(Outcome.HUNG_UP) from None
    finally:
        connection.close()
    if status != HTTPStatus.OK:
        raise ServiceError(Outcome.ERROR)
