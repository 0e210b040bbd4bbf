"""The processes that make guarded calls while the cluster changes its primary, each with a store of its own kind."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing as mp
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle, islice
from multiprocessing.synchronize import Event
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncSqlStore,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    PushState,
    SqlStore,
)
from cbstore_sql.breaker.outage.changes import LocalChanges
from cbstore_sql.breaker.outage.local import LocalBreakers
from cbstore_sql.events import BreakerEvent, StoreDegraded, StoreRecovered

Messages: TypeAlias = "mp.Queue[Report | Seen]"

Connections = Literal["own", "given"]

COUNTED = "fails"
"""The breaker whose calls all fail and which never opens: its row counts every failure."""

OPENING = "opens"
"""The breaker whose calls all fail and which opens, is probed and opens again."""

HEALTHY = "answers"

READY = "ready"
"""What a worker sees when it has used its store for some seconds. Imports and first connections are not measured."""

NEVER_OPENS = BreakerPolicy(failure_threshold=10**6)
POLICIES = {COUNTED: NEVER_OPENS, OPENING: BreakerPolicy(failure_threshold=5, recovery_timeout=1.0)}
CALLERS = 4
CATCH_UP_SECONDS = 2.0
"""How far a caller may be behind its rate and still makes the calls that it is late with."""

WARM_UP = 100
"""Calls of a worker before it is ready."""

STORE_TIMEOUT = 0.25
WATCH_SECONDS = 0.02


def signal(number: int) -> str:
    """The healthy breaker that is opened by another process when the primary has changed for the nth time."""
    return f"signal-{number}"


class DependencyError(Exception):
    """What a dependency raises."""


@dataclass(frozen=True)
class Plan:
    """What a worker does.

    Attributes:
        name: Of the worker, in the table.
        url: Of the cluster.
        connections: Whether its store opens its own connections or takes those of an engine.
        awaited: Whether it runs an event loop.
        push: Whether its breaker listens for changes.
        rate: Guarded calls a second.
        changes: How often the primary will change.
    """

    name: str
    url: str
    connections: Connections
    awaited: bool
    push: bool
    rate: float
    changes: int

    def names(self) -> list[str]:
        """The breakers that its calls use in turn: a quarter of the calls fail and are counted."""
        return [HEALTHY, COUNTED, *map(signal, range(self.changes)), OPENING, HEALTHY]


@dataclass(frozen=True)
class Seen:
    """The first time that a worker saw something.

    Attributes:
        worker: The name of the worker.
        what: `READY`, or the name of the breaker that refused a call.
        moment: By the monotonic clock, which all processes of a machine share.
    """

    worker: str
    what: str
    moment: float


@dataclass
class Report:
    """What a worker saw.

    Attributes:
        name: Of the worker.
        calls: How many guarded calls ended.
        seconds: The time from the call at which the worker was ready to its last call.
        failures: How many failures of `COUNTED` the dependency handed out.
        unknown: Reports of `COUNTED` that got no answer, so that the row may have them or not.
        refused: How often each breaker refused a call.
        slowest: The longest admission or report, seconds.
        kept_waiting: The longest time that the machine, busy with other processes, let a thread of this process wait
            for its turn, seconds.
        loop_stood: The longest time that the event loop was kept from its turn, seconds; 0 for a worker with threads.
        degraded: Monotonic moments at which the breaker said that its store does not answer.
        recovered: Monotonic moments at which it said that the store answers again.
        listening: Monotonic moments at which it began to hear of changes by push.
        wrongs: What must not be, in words.
    """

    name: str
    calls: int = 0
    seconds: float = 0.0
    failures: int = 0
    unknown: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    kept_waiting: float = 0.0
    loop_stood: float = 0.0
    degraded: list[float] = field(default_factory=list)
    recovered: list[float] = field(default_factory=list)
    listening: list[float] = field(default_factory=list)
    wrongs: list[str] = field(default_factory=list)


class Worker(ABC):
    """One process: it makes calls at a steady rate until it is told to stop, then reports."""

    def __init__(self, plan: Plan, stopped: Event, messages: Messages) -> None:
        self.plan = plan
        self.report = Report(plan.name)
        self._stopped = stopped
        self._messages = messages
        self._lock = threading.Lock()
        self._ready_at = 0.0

    @property
    def options(self) -> dict[str, Any]:
        """The arguments of the breaker."""
        return {
            "policies": POLICIES,
            "listeners": [self._hear],
            "push": self.plan.push,
            "store_timeout": STORE_TIMEOUT,
        }

    @abstractmethod
    def run(self) -> None:
        """Make calls until the event is set, and close everything."""

    def watch_reports(self, local: LocalBreakers) -> None:
        """Count the failures of which the breaker does not know whether the shared store has them."""
        log_failure, put_back = local._log_failure, local.put_back

        def logging(name: str, *, uncounted: bool) -> None:
            self._note_unknown(name, 0 if uncounted else 1)
            log_failure(name, uncounted=uncounted)

        def putting_back(changes: LocalChanges, *, may_be_counted: bool) -> None:
            self._note_unknown(changes.name, changes.failures if may_be_counted else 0)
            put_back(changes, may_be_counted=may_be_counted)

        vars(local).update(_log_failure=logging, put_back=putting_back)

    def pauses(self, caller: int) -> Iterator[tuple[str, float]]:
        """For each call of a caller: the breaker, and the seconds until the call is due."""
        step = CALLERS / self.plan.rate
        due = time.monotonic() + step * caller / CALLERS
        for name in islice(cycle(self.plan.names()), caller, None):
            if self._stopped.is_set():
                return
            due = max(due + step, time.monotonic() - CATCH_UP_SECONDS)
            yield name, max(0.0, due - time.monotonic())

    @contextmanager
    def account(self, call: GuardedCall) -> Iterator[None]:
        """Take down how one call ends."""
        began = time.monotonic()
        raised: BaseException | None = None
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever reaches a caller is what is judged
            raised = error
        ended = time.monotonic()
        asked = call.asked_at or ended
        with self._lock:
            self.report.slowest = max(self.report.slowest, asked - began, ended - asked)
            self._take_down(call, raised, ended)

    def _take_down(self, call: GuardedCall, raised: BaseException | None, ended: float) -> None:
        report = self.report
        report.calls += 1
        if report.calls == WARM_UP:
            self._messages.put(Seen(report.name, READY, ended))
            report.slowest = report.kept_waiting = report.loop_stood = 0.0
            self._ready_at = ended
        elif report.calls > WARM_UP:
            report.seconds = ended - self._ready_at
        report.failures += call.asked and call.name == COUNTED
        if not call.asked and isinstance(raised, CircuitBreakerOpenError) and call.name not in (HEALTHY, COUNTED):
            if not report.refused[call.name]:
                self._messages.put(Seen(report.name, call.name, ended))
            report.refused[call.name] += 1
        elif not call.is_true(raised):
            report.wrongs.append(f"{report.name}: a call of {call.name} ended with {raised!r}, asked: {call.asked}")

    def watch(self, state: Callable[[], PushState | None]) -> None:
        """Note when push begins to listen, and how busy the machine is, until the worker is told to stop."""
        before = state()
        due = time.monotonic() + WATCH_SECONDS
        while not self._stopped.wait(WATCH_SECONDS):
            self.report.kept_waiting = max(self.report.kept_waiting, time.monotonic() - due)
            due = time.monotonic() + WATCH_SECONDS
            now = state()
            if now == "listening" != before:
                self.report.listening.append(time.monotonic())
            before = now

    def _note_unknown(self, name: str, failures: int) -> None:
        if name == COUNTED:
            self.report.unknown += failures

    def _hear(self, event: BreakerEvent) -> None:
        if isinstance(event, StoreDegraded):
            self.report.degraded.append(time.monotonic())
        elif isinstance(event, StoreRecovered):
            self.report.recovered.append(time.monotonic())


class GuardedCall:
    """One call of a dependency that fails or answers with itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked_at = 0.0
        self.answer: object = None
        self._error = DependencyError() if name in POLICIES else None

    @property
    def asked(self) -> bool:
        """Whether the dependency was asked."""
        return self.asked_at > 0.0

    def dependency(self) -> object:
        self.asked_at = time.monotonic()
        if self._error is not None:
            raise self._error
        return self

    async def awaited(self) -> object:
        return self.dependency()

    def is_true(self, raised: BaseException | None) -> bool:
        """Whether the dependency was asked, and the caller was told what it told."""
        return self.asked and (raised is self._error if self._error else raised is None and self.answer is self)


class SyncWorker(Worker):
    """Threads with a `CircuitBreaker`."""

    def run(self) -> None:
        engine = sa.create_engine(self.plan.url, connect_args={"connect_timeout": 3})
        with (
            SqlStore(self.plan.url if self.plan.connections == "own" else engine) as store,
            CircuitBreaker(store, **self.options) as breaker,
            ThreadPoolExecutor(CALLERS + 1) as threads,
        ):
            self.watch_reports(breaker._controller.outage.local)
            threads.submit(self.watch, lambda: breaker.push_state)
            for done in [threads.submit(self._call, breaker, caller) for caller in range(CALLERS)]:
                done.result()
        engine.dispose()

    def _call(self, breaker: CircuitBreaker, caller: int) -> None:
        for name, pause in self.pauses(caller):
            time.sleep(pause)
            call = GuardedCall(name)
            with self.account(call):
                call.answer = breaker.call(name, call.dependency)


class AsyncWorker(Worker):
    """Tasks with an `AsyncCircuitBreaker`."""

    def run(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        engine = create_async_engine(self.plan.url, connect_args={"connect_timeout": 3})
        async with (
            AsyncSqlStore(self.plan.url if self.plan.connections == "own" else engine) as store,
            AsyncCircuitBreaker(store, **self.options) as breaker,
        ):
            self.watch_reports(breaker._controller.outage.local)
            threading.Thread(target=self.watch, args=[lambda: breaker.push_state]).start()
            await asyncio.gather(self._watch_loop(), *(self._call(breaker, caller) for caller in range(CALLERS)))
        await engine.dispose()

    async def _watch_loop(self) -> None:
        while not self._stopped.is_set():
            due = time.monotonic() + WATCH_SECONDS
            await asyncio.sleep(WATCH_SECONDS)
            self.report.loop_stood = max(self.report.loop_stood, time.monotonic() - due)

    async def _call(self, breaker: AsyncCircuitBreaker, caller: int) -> None:
        for name, pause in self.pauses(caller):
            await asyncio.sleep(pause)
            call = GuardedCall(name)
            with self.account(call):
                call.answer = await breaker.call(name, call.awaited)


def be(plan: Plan, stopped: Event, messages: Messages, *, verbose: bool) -> None:
    """Be one worker from its start to its report."""
    # The outages are in the table.
    level = logging.WARNING if verbose else logging.CRITICAL
    logging.basicConfig(level=level, format=f"%(asctime)s {plan.name}: %(message)s")
    worker = (AsyncWorker if plan.awaited else SyncWorker)(plan, stopped, messages)
    worker.run()
    messages.put(worker.report)
