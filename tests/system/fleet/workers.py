"""Processes that call the upstream through one shared breaker."""

from __future__ import annotations

import multiprocessing as mp
import urllib.error
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from typing import Any

from cbstore_sql import BreakerPolicy, CircuitBreaker, CircuitBreakerOpenError, SqlStore
from cbstore_sql.events import BreakerEvent, StateChanged
from tests.system.fleet.upstream import fetch

context = mp.get_context("spawn")

NAME = "upstream"


def told(event: BreakerEvent) -> str:
    """Name an event, with both states where it is a change of state."""
    if isinstance(event, StateChanged):
        return f"{event.previous_state}->{event.snapshot.state}"
    return type(event).__name__


@dataclass(frozen=True)
class Job:
    """The breaker that a process uses, and the address that it calls."""

    database: str
    namespace: str
    policy: BreakerPolicy
    url: str

    def open(self) -> SqlStore:
        """Open the store in this process."""
        return SqlStore(self.database, namespace=self.namespace)


def call_on(job: Job, stop: Event, results: mp.Queue[Any]) -> None:
    """Call the upstream until the test stops the process, then send the observations."""
    seen = Counter[str]()
    store = job.open()
    breaker = CircuitBreaker(
        store, job.policy, listeners=[lambda event: seen.update([told(event)])], max_staleness=0, store_timeout=None
    )
    answered_last = False
    with store:
        while not stop.wait(0.01):
            try:
                breaker.call(NAME, fetch, job.url)
                seen["answered"] += 1
                answered_last = True
            except CircuitBreakerOpenError:
                answered_last = False
            except (urllib.error.URLError, OSError):
                seen["failed"] += 1
                answered_last = False
    seen["answered last"] = int(answered_last)
    results.put(seen)


def call_once(job: Job, results: mp.Queue[Any]) -> None:
    """Make one guarded call, and send the events."""
    seen: list[str] = []
    with job.open() as store:
        breaker = CircuitBreaker(
            store, job.policy, listeners=[lambda event: seen.append(told(event))], max_staleness=0, store_timeout=None
        )
        with suppress(CircuitBreakerOpenError, urllib.error.URLError):
            breaker.call(NAME, fetch, job.url)
    results.put(seen)


class Fleet:
    """Workers started together and stopped together."""

    def __init__(self, job: Job, size: int) -> None:
        self._stop: Event = context.Event()
        self._results: mp.Queue[Any] = context.Queue()
        arguments = (job, self._stop, self._results)
        self.workers = [context.Process(target=call_on, args=arguments, daemon=True) for _ in range(size)]
        for worker in self.workers:
            worker.start()

    def stop(self) -> list[Counter[str]]:
        """Stop the workers and return what each has seen."""
        self._stop.set()
        seen = [self._results.get(timeout=60.0) for _ in self.workers]
        for worker in self.workers:
            worker.join(60.0)
        return seen


@contextmanager
def one_caller(job: Job) -> Iterator[tuple[SpawnProcess, mp.Queue[Any]]]:
    """Start a process that makes one guarded call, and end it at the end of the block."""
    results: mp.Queue[Any] = context.Queue()
    process = context.Process(target=call_once, args=(job, results), daemon=True)
    process.start()
    try:
        yield process, results
    finally:
        process.kill()
        process.join(60.0)
