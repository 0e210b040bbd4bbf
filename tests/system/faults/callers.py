"""Callers of guarded functions that count outcomes during and after a fault."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from cbstore_sql import AsyncCircuitBreaker, AsyncSqlStore, BreakerPolicy, CircuitBreaker, SqlStore
from cbstore_sql.events import BreakerEvent, StoreDegraded, StoreRecovered
from tests.system.faults.postgres import Postgres
from tests.system.faults.table import Observed
from tests.waiting import eventually

Colour = Literal["sync", "async"]
COLOURS: tuple[Colour, ...] = ("sync", "async")

NEVER_OPENS = BreakerPolicy(failure_threshold=10**6)
CALLERS = 4
PAUSE = 0.005
"""Seconds between two calls of one caller."""


class DependencyError(Exception):
    """The error of the dependency."""


class Callers(ABC):
    """Several callers of two guarded functions: ``"answers"`` always answers and ``"fails"`` always fails.

    Attributes:
        calls: The number of calls that ended.
        failures: The number of failures of the dependency.
        calls_lost: The number of calls that ended without a call of the dependency.
        answers_lost: The number of answers or exceptions of the dependency that did not reach the caller unchanged.
        slowest: The longest call, seconds.
        others: The number of other exceptions that reached a caller, by the name of the class.
        degraded: Monotonic times at which the breaker reported the beginning of an outage.
        recovered: Monotonic times at which the breaker reported the end of an outage.
    """

    def __init__(self) -> None:
        self.calls = self.failures = self.calls_lost = self.answers_lost = 0
        self.slowest = 0.0
        self.others: Counter[str] = Counter()
        self.degraded: list[float] = []
        self.recovered: list[float] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def make_more(self, calls: int = 4 * CALLERS) -> None:
        """Wait until a number of further calls have ended."""
        target = self.calls + calls
        assert eventually(lambda: self.calls >= target), "the calls hang"

    def await_degraded(self) -> None:
        """Wait until the breaker has noticed that its store does not answer."""
        assert eventually(lambda: len(self.degraded) > len(self.recovered)), "nobody noticed"

    def recovery_since(self, moment: float) -> float:
        """Wait until the breaker uses its store again, and return the seconds since a monotonic time."""
        assert eventually(lambda: len(self.recovered) >= len(self.degraded)), "the store is never used again"
        return max(0.0, self.recovered[-1] - moment) if self.recovered else 0.0

    def hear(self, event: BreakerEvent) -> None:
        """Record an event of the breaker."""
        if isinstance(event, StoreDegraded):
            self.degraded.append(time.monotonic())
        elif isinstance(event, StoreRecovered):
            self.recovered.append(time.monotonic())

    @contextlib.contextmanager
    def _account(self, call: _Call) -> Iterator[None]:
        """Count the outcome of one call."""
        began = time.monotonic()
        raised: BaseException | None = None
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever reaches a caller is what is to be found out
            raised = error
        with self._lock:
            self.calls += 1
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.failures += call.failed
            self.calls_lost += not call.asked
            self.answers_lost += call.asked and not call.is_true(raised)
            if raised is not None and not isinstance(raised, DependencyError):
                self.others[type(raised).__name__] += 1

    @abstractmethod
    def start(self, database: Any, **options: Any) -> None:
        """Make a store and a breaker for a URL or for an engine of the callers' colour, and begin to make calls."""

    @abstractmethod
    def stop(self) -> None:
        """End the calls, and wait for them and for the breaker's remaining reports."""


class _Call:
    """One guarded call of a dependency that fails, or that returns this object."""

    def __init__(self, *, fails: bool) -> None:
        self.name = "fails" if fails else "answers"
        self.failed = self.asked = False
        self.result: object = None
        self._fails = fails
        self._error = DependencyError()

    def dependency(self) -> object:
        self.asked = True
        if self._fails:
            self.failed = True
            raise self._error
        return self

    async def awaited(self) -> object:
        return self.dependency()

    def is_true(self, raised: BaseException | None) -> bool:
        return raised is self._error if self._fails else raised is None and self.result is self


class SyncCallers(Callers):
    """Threads with a `CircuitBreaker` over a `SqlStore`."""

    def start(self, database: Any, **options: Any) -> None:
        self._store = SqlStore(database)
        self._breaker = CircuitBreaker(self._store, NEVER_OPENS, listeners=[self.hear], **options)
        self._threads = ThreadPoolExecutor(CALLERS)
        self._running = [self._threads.submit(self._run, fails=number % 2 == 0) for number in range(CALLERS)]

    def stop(self) -> None:
        self._stopped.set()
        for each in self._running:
            each.result()
        self._threads.shutdown()
        self._breaker.close()
        self._store.close()
        self._store._engine.dispose()

    def _run(self, *, fails: bool) -> None:
        while not self._stopped.wait(PAUSE):
            call = _Call(fails=fails)
            with self._account(call):
                call.result = self._breaker.call(call.name, call.dependency)


class AsyncCallers(Callers):
    """Tasks with an `AsyncCircuitBreaker` over an `AsyncSqlStore`, in an event loop whose delays are measured.

    Attributes:
        stalled: The longest delay of the event loop, in seconds.
    """

    stalled = 0.0

    def start(self, database: Any, **options: Any) -> None:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(database, options)))
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    async def _main(self, database: Any, options: dict[str, Any]) -> None:
        store = AsyncSqlStore(database)
        breaker = AsyncCircuitBreaker(store, NEVER_OPENS, listeners=[self.hear], **options)
        await asyncio.gather(self._watch(), *(self._run(breaker, fails=number % 2 == 0) for number in range(CALLERS)))
        await breaker.close()
        await store.close()
        await store._engine.dispose()

    async def _run(self, breaker: AsyncCircuitBreaker, *, fails: bool) -> None:
        while not self._stopped.is_set():
            await asyncio.sleep(PAUSE)
            call = _Call(fails=fails)
            with self._account(call):
                call.result = await breaker.call(call.name, call.awaited)

    async def _watch(self) -> None:
        while not self._stopped.is_set():
            due = time.monotonic() + PAUSE
            await asyncio.sleep(PAUSE)
            self.stalled = max(self.stalled, time.monotonic() - due)


_KINDS: dict[Colour, Callable[[], Callers]] = {"sync": SyncCallers, "async": AsyncCallers}


@contextlib.contextmanager
def calling(database: Any, colour: Colour = "sync", **options: Any) -> Iterator[Callers]:
    """Run callers for the duration of the block. The block begins after the first calls have ended.

    Args:
        database: A URL, or an engine of the callers' colour, which is disposed of at the end.
        colour: Whether the callers are threads or tasks.
        **options: The arguments of the breaker.
    """
    callers = _KINDS[colour]()
    callers.start(database, **options)
    try:
        callers.make_more()
        yield callers
    finally:
        callers.stop()


def account(callers: Callers, server: Postgres, observed: Observed, seen: str, recovered: float | None) -> int:
    """Compare the callers' counts with the store, record the row of the table, and return the number of lost failures.

    Args:
        callers: The callers, after they have stopped.
        server: The server of the store.
        observed: The fixture ``observed`` of the test.
        seen: The observation in words.
        recovered: Seconds; see `Row`.
    """
    counted = server.ask("SELECT failure_count FROM cbstore.breakers WHERE name = 'fails'")
    observed(
        f"{seen}; slowest call {callers.slowest * 1000:.0f} ms",
        recovered=recovered,
        calls=callers.calls,
        calls_lost=callers.calls_lost,
        answers_lost=callers.answers_lost,
        counts_lost=max(0, callers.failures - counted),
        counts_doubled=max(0, counted - callers.failures),
    )
    assert (callers.calls_lost, callers.answers_lost) == (0, 0), callers.others
    assert counted <= callers.failures, "a failure was counted twice"
    return int(callers.failures - counted)
