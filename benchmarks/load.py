"""What processes are sent to do all at once."""

from __future__ import annotations

import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from time import perf_counter_ns

from benchmarks.guards import GUARDS, event_loop
from benchmarks.servers import Servers
from benchmarks.stores import STORES
from benchmarks.timing import NANOSECONDS
from benchmarks.workers import Work


@dataclass(frozen=True)
class Done:
    """What one process has done.

    Attributes:
        taken: How long each call took, nanoseconds.
        seconds: How long all of it took.
    """

    taken: array[int]
    seconds: float

    @property
    def rate(self) -> float:
        """Calls a second."""
        return len(self.taken) / self.seconds


@dataclass(frozen=True)
class Failures:
    """Counts failures.

    Attributes:
        servers: Where.
        store: Which, as in `STORES`.
        breakers: Their names; each thread goes through them in its own order.
        threads: How many.
        seconds: For how long at most.
        shared: Whether the threads share one store, or each has its own.
        calls: How many calls each thread makes at most, with the one before the rest that opens its connection.
    """

    servers: Servers
    store: str
    breakers: tuple[str, ...]
    threads: int
    seconds: float
    shared: bool = False
    calls: int = sys.maxsize

    @contextmanager
    def begin(self) -> Iterator[Work[Done]]:
        """See `Job`."""
        with ExitStack() as stack:
            stores = 1 if self.shared else self.threads
            opened = [stack.enter_context(STORES[self.store](self.servers)) for _ in range(stores)]
            for operations in opened:
                # The first of each kind opens a connection. Nothing here measures that.
                operations.read(self.breakers[0])
                operations.fail(self.breakers[0])
            fails = [operations.fail for operations in opened]
            yield lambda _: self._count(fails * (self.threads // stores))

    def _count(self, fails: Sequence[Callable[[str], object]]) -> Done:
        taken = array("q")
        began = time.monotonic()
        threads = [threading.Thread(target=self._fail, args=(fail, taken)) for fail in fails]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Done(taken, time.monotonic() - began)

    def _fail(self, fail: Callable[[str], object], taken: array[int]) -> None:
        breakers = Random().sample(self.breakers, len(self.breakers))
        deadline = perf_counter_ns() + int(self.seconds * NANOSECONDS)
        for number in range(1, self.calls):
            began = perf_counter_ns()
            fail(breakers[number % len(breakers)])
            ended = perf_counter_ns()
            taken.append(ended - began)
            if ended > deadline:
                break


@dataclass(frozen=True)
class Paced:
    """Makes guarded calls at an even rate until told to stop.

    Attributes:
        servers: Where.
        guard: Which breaker, as in `GUARDS`.
        rate: Calls a second.
    """

    servers: Servers
    guard: str
    rate: float

    @contextmanager
    def begin(self) -> Iterator[Work[int]]:
        """See `Job`; found is the number of calls."""
        with event_loop() as loop, GUARDS[self.guard](self.servers, loop) as guard:
            guard.answer()
            yield lambda stopped: self._call(guard.answer, stopped)

    def _call(self, call: Callable[[], object], stopped: Callable[[], bool]) -> int:
        calls = 0
        began = time.monotonic()
        while not stopped():
            call()
            calls += 1
            time.sleep(max(0.0, began + calls / self.rate - time.monotonic()))
        return calls
