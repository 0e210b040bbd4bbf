"""The processes of a soak: some use stores without a breaker, some guard calls. All of them record their calls."""

from __future__ import annotations

import asyncio
import faulthandler
import multiprocessing as mp
import random
import signal
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncSqlStore,
    BreakerPolicy,
    CircuitBreaker,
    CircuitBreakerOpenError,
    SqlStore,
)
from cbstore_sql.core.model import Permit
from cbstore_sql.deadline import within
from tests.system.linearizability.history import Call
from tests.system.linearizability.recorder import record
from tests.system.linearizability.workload import Driver
from tests.system.soak.plan import Report, Soak
from tests.system.soak.usage import usage
from tests.waiting import eventually

BARE_NAMES = 4
GUARDED_NAMES = 3
CALLERS = 3
STORE_SECONDS = (0.05, 0.4)
POLICY = BreakerPolicy(failure_threshold=4, recovery_timeout=0.1, probe_lease=0.3, backoff_multiplier=1.5)
FAILING_SHARE = 0.35
LONG_SHARE, LONG_SECONDS = 0.01, 0.5
CANCELLED_SHARE = 0.02
CANCELLED_AFTER = 0.01
PUSH_SHARE = 0.3
BARE_PAUSE = 0.002
REST_SECONDS = 20.0

if TYPE_CHECKING:
    Reports = mp.Queue[Report | None]


class DependencyError(Exception):
    """The error of a dependency."""


class Ledger:
    """The reports of one worker, one for each round. Late results become part of the next report.

    Attributes:
        tasks: The number of tasks of its event loop between two rounds.
    """

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.tasks = 0
        self.report = Report(worker, 0)

    def log(self, call: Call) -> None:
        """Record one call of a store."""
        self.report.calls.append(call)

    @contextmanager
    def account(self, call: GuardedCall) -> Iterator[None]:
        """Record the outcome of a guarded call."""
        raised: BaseException | None = None
        began = time.monotonic()
        try:
            yield
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - what reaches the caller is what is judged
            raised = error
        report = self.report
        report.slowest = max(report.slowest, time.monotonic() - began - call.lasted)
        report.guarded[call.ending(raised)] += 1
        if not call.is_true(raised):
            report.wrongs.append(f"a guarded call of {self.worker} ended with {raised!r}, asked: {call.asked}")

    def admitted(self, permit: Permit) -> None:
        """Record a call made as the probe of the shared breaker. Probes of a local outage are left out."""
        if permit.is_probe and type(permit) is Permit:
            self.report.probes.append(permit)

    def hand_in(self, reports: Reports, round_: int) -> None:
        """Send the report of a round with the resources at its end, and begin the next round."""
        done, self.report = self.report, Report(self.worker, round_ + 1)
        done.usage = usage(self.tasks)
        reports.put(done)


class GuardedCall:
    """One call of a dependency that answers, fails, or is slow."""

    def __init__(self, rng: random.Random) -> None:
        self.asked = False
        self.cancelled = False
        self.lasted = 0.0
        self.answer: object = None
        self.seconds = LONG_SECONDS if rng.random() < LONG_SHARE else rng.uniform(0.0, 0.005)
        self._error = DependencyError() if rng.random() < FAILING_SHARE else None

    def dependency(self) -> object:
        self._begin()
        time.sleep(self.seconds)
        return self._end()

    async def awaited(self) -> object:
        self._begin()
        await asyncio.sleep(self.seconds)
        return self._end()

    def is_true(self, raised: BaseException | None) -> bool:
        """Whether the caller received the result of the dependency."""
        if isinstance(raised, asyncio.CancelledError):
            return self.cancelled
        if not self.asked:
            return isinstance(raised, CircuitBreakerOpenError)
        return raised is self._error if self._error else raised is None and self.answer is self

    def ending(self, raised: BaseException | None) -> str:
        """Return the outcome in one word."""
        return "answered" if raised is None else type(raised).__name__

    def _begin(self) -> None:
        self.asked = True
        self._began = time.monotonic()

    def _end(self) -> GuardedCall:
        self.lasted = time.monotonic() - self._began
        if self._error is not None:
            raise self._error
        return self


class Worker(ABC):
    """One process, which works on the breakers of each round and sends a report."""

    kind: str

    def __init__(self, url: str, soak: Soak, number: int, reports: Reports) -> None:
        self.number = number
        self.soak = soak
        self.ledger = Ledger(f"{self.kind} {number}")
        self._url = url
        self._reports = reports

    def run(self) -> None:
        """Work through all rounds, and send a last report after everything is closed."""
        self.work()
        if not eventually(lambda: not background_threads(), REST_SECONDS):
            self.ledger.report.wrongs.append(f"{self.ledger.worker} was closed and still has {background_threads()}")
        self.ledger.hand_in(self._reports, self.soak.rounds)

    @abstractmethod
    def work(self) -> None:
        """Work through all rounds and close everything."""

    def rounds(self) -> Iterator[int]:
        """Yield the rounds. The report of a round is sent when the next round is requested."""
        for round_ in range(self.soak.rounds):
            yield round_
            self.ledger.hand_in(self._reports, round_)

    def rng(self, round_: int, caller: int) -> random.Random:
        """Return the random numbers of one caller in one round."""
        return random.Random(f"{self.soak.seed}/{self.number}/{round_}/{caller}")

    def options(self, round_: int) -> dict[str, Any]:
        """Return the options of the breaker of a round: with or without a view, push and batching."""
        rng = self.rng(round_, -1)
        staleness = rng.choice((0.0, 0.05, 0.25))
        push = staleness > 0.0 and rng.random() < PUSH_SHARE
        return {"max_staleness": staleness, "push": push, "flush_interval": rng.choice((0.0, 0.0, 0.003))}

    def in_threads(self, work: Callable[[random.Random], None], round_: int) -> None:
        """Run every caller in a separate thread."""

        def guarded_work(caller: int) -> None:
            try:
                work(self.rng(round_, caller))
            except Exception:  # noqa: BLE001 - whatever it is, it should not have come here
                self.ledger.report.wrongs.append(f"{self.ledger.worker} raised\n{traceback.format_exc()}")

        threads = [threading.Thread(target=guarded_work, args=(caller,)) for caller in range(CALLERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


class BareWorker(Worker):
    """A worker that uses a store without a breaker with random operations, half of them with ``now``."""

    kind = "bare"

    def work(self) -> None:
        with SqlStore(self._url, namespace=self.kind) as store:
            record(store, self.number, self.ledger.log)
            for round_ in self.rounds():
                self.in_threads(partial(self._work, store, round_), round_)

    def _work(self, store: SqlStore, round_: int, rng: random.Random) -> None:
        drivers = {"now": Driver(store, rng, time.time), "clock": Driver(store, rng, lambda: None)}
        while self.soak.left_of(round_) > 0.0:
            kind = rng.choice(list(drivers))
            with within(rng.uniform(*STORE_SECONDS)):
                drivers[kind].act(f"{round_}-{kind}-{rng.randrange(BARE_NAMES)}")
            time.sleep(BARE_PAUSE)


class GuardedWorker(Worker):
    """A worker that guards calls with a new breaker in each round."""

    kind = "guarded"

    def work(self) -> None:
        with SqlStore(self._url, namespace=self.kind) as store:
            record(store, self.number, self.ledger.log)
            for round_ in self.rounds():
                with CircuitBreaker(store, POLICY, **self.options(round_)) as breaker:
                    self.in_threads(partial(self._work, breaker, round_), round_)

    def _work(self, breaker: CircuitBreaker, round_: int, rng: random.Random) -> None:
        while self.soak.left_of(round_) > 0.0:
            call = GuardedCall(rng)
            with self.ledger.account(call), breaker.guard(guarded_name(round_, rng)) as permit:
                self.ledger.admitted(permit)
                call.answer = call.dependency()


class AwaitingWorker(Worker):
    """A worker that guards calls in an event loop, and cancels some of them."""

    kind = "awaiting"

    def work(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        async with AsyncSqlStore(self._url, namespace=GuardedWorker.kind) as store:
            record(store, self.number, self.ledger.log)
            for round_ in self.rounds():
                async with AsyncCircuitBreaker(store, POLICY, **self.options(round_)) as breaker:
                    await asyncio.gather(*(self._work(breaker, round_, caller) for caller in range(CALLERS)))
                self.ledger.tasks = len(asyncio.all_tasks())

    async def _work(self, breaker: AsyncCircuitBreaker, round_: int, caller: int) -> None:
        rng = self.rng(round_, caller)
        while self.soak.left_of(round_) > 0.0:
            call = GuardedCall(rng)
            with self.ledger.account(call):
                await self._call(breaker, guarded_name(round_, rng), call, rng)

    async def _call(self, breaker: AsyncCircuitBreaker, name: str, call: GuardedCall, rng: random.Random) -> None:
        async def made() -> None:
            async with breaker.guard(name) as permit:
                self.ledger.admitted(permit)
                call.answer = await call.awaited()

        task = asyncio.create_task(made())
        if rng.random() < CANCELLED_SHARE:
            await asyncio.sleep(CANCELLED_AFTER)
            call.cancelled = task.cancel()
        await task


def background_threads() -> list[str]:
    """Return the library's threads in this process."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("cbstore-")]


def guarded_name(round_: int, rng: random.Random) -> str:
    """Return the name of one of the guarded breakers of a round."""
    return f"{round_}-guarded-{rng.randrange(GUARDED_NAMES)}"


def be(kind: type[Worker], url: str, number: int, plans: mp.Queue[Soak], reports: Reports) -> None:
    """Run one worker as soon as it has a plan. A signal makes it print its stack."""
    faulthandler.register(signal.SIGUSR1)
    reports.put(None)
    kind(url, plans.get(), number, reports).run()
