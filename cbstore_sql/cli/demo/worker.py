"""A worker: calls the service again and again, each time behind the shared breaker."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from multiprocessing.connection import Connection

from cbstore_sql.cli.demo.guard import GuardedCalls
from cbstore_sql.cli.demo.pace import CALL_TIMEOUT, Pace
from cbstore_sql.cli.demo.records import BREAKER, Attempt, Change, Failed, Message, Outcome, Ready
from cbstore_sql.cli.demo.service import ASKED_HEADER, PROBE_HEADER, WORKER_HEADER
from cbstore_sql.errors import CircuitBreakerError, CircuitBreakerOpenError
from cbstore_sql.model import Permit, Transition
from cbstore_sql.stores.sql import SqlStore


@dataclass(frozen=True, slots=True)
class Job:
    """What one worker is told.

    Attributes:
        number: Which worker it is, from 1.
        url: The database with the breaker.
        schema: The schema of its table.
        namespace: The breaker's namespace.
        port: Where the service listens on this machine.
        pace: The times of the run.
    """

    number: int
    url: str
    schema: str
    namespace: str
    port: int
    pace: Pace


class ServiceError(Exception):
    """The call failed."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome


def work(job: Job, pipe: Connection[Message, None]) -> None:
    """Be a worker, until told to stop or until the other end of the pipe is gone.

    Args:
        job: Whom to call, behind which breaker.
        pipe: Brings ``None`` twice: to begin and to stop; takes every attempt.
    """
    try:
        with SqlStore(job.url, schema=job.schema, namespace=job.namespace) as store:
            store.read(BREAKER)
            pipe.send(Ready(os.getpid(), job.number))
            pipe.recv()
            worker = _Worker(job, store)
            while not pipe.poll(random.uniform(*job.pace.pause)):
                pipe.send(worker.attempt())
    except (EOFError, ConnectionError):
        pass
    except CircuitBreakerError as error:
        pipe.send(Failed(str(error)))


class _Worker:
    def __init__(self, job: Job, store: SqlStore) -> None:
        self._job = job
        self._breaker = GuardedCalls(store, job.pace.policy, f"worker-{job.number}", self._witness)
        self._changes: list[Change] = []
        self._asked_breaker = 0.0

    def attempt(self) -> Attempt:
        asked = self._asked_breaker = time.monotonic()
        self._changes = []
        try:
            permit = self._breaker.admit(BREAKER)
        except CircuitBreakerOpenError:
            return self._told(asked, Outcome.REFUSED, probe=False)
        return self._told(asked, self._call(permit, asked), probe=permit.is_probe)

    def _call(self, permit: Permit, asked: float) -> Outcome:
        headers = {WORKER_HEADER: str(self._job.number), ASKED_HEADER: repr(asked)}
        if permit.is_probe:
            headers[PROBE_HEADER] = permit.token
        try:
            call_service(self._job.port, headers)
        except ServiceError as error:
            self._asked_breaker = time.monotonic()
            self._breaker.failure(permit, error)
            return error.outcome
        self._asked_breaker = time.monotonic()
        self._breaker.success(permit)
        return Outcome.OK

    def _told(self, asked: float, outcome: Outcome, *, probe: bool) -> Attempt:
        return Attempt(self._job.number, probe, asked, time.monotonic(), outcome, tuple(self._changes))

    def _witness(self, transition: Transition) -> None:
        after = transition.snapshot
        self._changes.append(
            Change(
                self._job.number,
                after.generation,
                transition.previous_state.value,
                after.state.value,
                self._asked_breaker,
                time.monotonic(),
            )
        )


def call_service(port: int, headers: dict[str, str]) -> None:
    """Make one HTTP call.

    Raises:
        ServiceError: The service answered with an error, hung up, or did not answer in time.
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
