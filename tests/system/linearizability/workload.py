"""Random operations of many workers on few breakers, so that every state and every conflict occurs.

A given ``now`` grows with the number of operations, so that leases and open times end without waiting.
"""

from __future__ import annotations

import multiprocessing as mp
import random
import sys
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Barrier
from typing import Any

from cbstore_sql import BreakerPolicy, FailureRate
from cbstore_sql.core.model import Permit, Transition
from cbstore_sql.errors import StoreError
from cbstore_sql.stores.base import Store
from tests.stores.contract.backends import Backend, open_store
from tests.stores.contract.blocking import Blocking
from tests.system.linearizability.history import Call
from tests.system.linearizability.recorder import record

# The same on both clocks: an operation on the moving one takes as long as a slow one on the real one.
SECONDS_PER_OPERATION = 0.002
# The probability that the winner of a probe uses it next, and that a former owner acts as the owner.
STAYING_SHARE = 0.8
LATE_OWNER_SHARE = 0.25
POLICIES = (
    BreakerPolicy(failure_threshold=2, recovery_timeout=0.01, success_threshold=2, probe_lease=0.02),
    BreakerPolicy(
        failure_threshold=3, recovery_timeout=0.008, probe_lease=0.015, backoff_multiplier=2.0, recovery_jitter=0.5
    ),
    BreakerPolicy(trip=FailureRate(0.2, 0.6, 30.0), recovery_timeout=0.01, probe_lease=0.02),
)


@dataclass(frozen=True)
class Plan:
    """The amount of work.

    Attributes:
        seed: The seed of the random numbers.
        workers: The number of simultaneous workers.
        operations: The number of operations of each worker.
        per_name: The number of operations after which a worker uses the next breakers.
        names: The number of breakers that a worker uses at a time.
    """

    seed: int
    workers: int = 4
    operations: int = 300
    per_name: int = 100
    names: int = 2


class Driver:
    """One worker's random operations.

    Args:
        store: The store.
        rng: The source of random numbers.
        clock: A function that returns ``now`` for an operation; ``None`` means the store's clock.
    """

    def __init__(self, store: Store, rng: random.Random, clock: Callable[[], float | None]) -> None:
        self._store = store
        self._rng = rng
        self._clock = clock
        self._permits: dict[str, deque[Permit]] = defaultdict(lambda: deque(maxlen=3))
        self._probes: dict[str, Permit] = {}
        self._just_won: str | None = None
        self._operations: dict[Callable[[str, BreakerPolicy], Any], int] = {
            self._read: 10,
            self._claim: 14,
            self._fail: 8,
            self._succeed: 5,
            self._send_success: 2,
            self._force_open: 1,
            self._reset: 1,
            self._hold: 1,
        }
        self._owner_operations: dict[Callable[[str, BreakerPolicy], Any], int] = {
            self._settle: 6,
            self._release: 3,
            self._renew: 3,
            self._claim_again: 1,
        }

    def act(self, name: str) -> None:
        """Do one operation on a breaker. An error of the store is only recorded."""
        if self._just_won and self._rng.random() < STAYING_SHARE:
            name = self._just_won
        owns = name == self._just_won or (name in self._probes and self._rng.random() < LATE_OWNER_SHARE)
        self._just_won = None
        operations = self._owner_operations if owns else self._operations
        [operation] = self._rng.choices(list(operations), list(operations.values()))
        with suppress(StoreError):
            operation(name, self._rng.choice(POLICIES))

    def _read(self, name: str, policy: BreakerPolicy) -> None:
        self._permits[name].append(self._store.read(name, now=self._clock()).permit)

    def _claim(self, name: str, policy: BreakerPolicy, token: str | None = None) -> None:
        token = token or uuid.UUID(int=self._rng.getrandbits(128)).hex
        self._keep(name, self._store.claim_probe(name, policy, token=token, now=self._clock()))

    def _claim_again(self, name: str, policy: BreakerPolicy) -> None:
        self._claim(name, policy, self._probes[name].token)

    def _settle(self, name: str, policy: BreakerPolicy) -> None:
        success, failure = self._store.record_success, self._store.record_failure
        report = self._rng.choice((success, success, failure))
        report(self._probes[name], policy, now=self._clock())

    def _fail(self, name: str, policy: BreakerPolicy) -> None:
        failures = self._rng.choice((1, 1, 1, 2))
        target, roll = self._target(name), self._rng.random()
        successes = self._rng.choice((0, 0, 0, 1))
        self._store.record_failure(target, policy, failures=failures, successes=successes, now=self._clock(), rand=roll)

    def _succeed(self, name: str, policy: BreakerPolicy) -> None:
        expected = self._rng.choice((None, None, "closed", "half_open"))
        self._store.record_success(self._target(name), policy, expected_state=expected, now=self._clock())

    def _send_success(self, name: str, policy: BreakerPolicy) -> None:
        if self._permits[name]:
            permit = self._rng.choice(self._permits[name])
            if not self._store.send_success(permit, policy):
                self._store.record_success(permit, policy)

    def _release(self, name: str, policy: BreakerPolicy) -> None:
        self._store.release_probe(self._probes[name], now=self._clock())

    def _renew(self, name: str, policy: BreakerPolicy) -> None:
        self._store.renew_probe(self._probes[name], policy, now=self._clock())

    def _force_open(self, name: str, policy: BreakerPolicy) -> None:
        self._store.force_open(name, self._rng.choice((0.0, 0.01)), now=self._clock())

    def _reset(self, name: str, policy: BreakerPolicy) -> None:
        self._store.reset(name, now=self._clock())

    def _hold(self, name: str, policy: BreakerPolicy) -> None:
        self._store.hold(name, 0.004, now=self._clock())

    def _target(self, name: str) -> str | Permit:
        permits = self._permits[name]
        # The last one is the one that is likely to count.
        targets: list[str | Permit] = [name, *permits, permits[-1], permits[-1]] if permits else [name]
        return self._rng.choice(targets)

    def _keep(self, name: str, claim: Transition | None) -> None:
        if claim is not None:
            self._permits[name].append(claim.permit)
            self._probes[name] = claim.permit
            self._just_won = name


def drive(store: Store, plan: Plan, worker: int) -> None:
    """Do one worker's part of a plan, alternately with ``now`` and with the store's clock."""
    rng = random.Random(f"{plan.seed}/{worker}")
    done = 0

    def moving() -> float | None:
        return 1000.0 + done * SECONDS_PER_OPERATION + rng.uniform(0.0, SECONDS_PER_OPERATION)

    given, clocked = Driver(store, rng, moving), Driver(store, rng, lambda: None)
    for done in range(plan.operations):
        epoch = done // plan.per_name
        driver, kind = (clocked, "clock") if epoch % 2 else (given, "now")
        driver.act(f"{kind}-{epoch}-{rng.randrange(plan.names)}")


def histories(backend: Backend, plan: Plan) -> list[Call]:
    """Carry out a plan, in threads for a store in memory and otherwise in processes, and return the recorded calls."""
    if backend.name == "memory":
        return in_threads(backend.open(), plan)
    context = mp.get_context("forkserver")
    # What takes long to import is imported once, in the process that the others are forked from.
    context.set_forkserver_preload([__name__])
    namespace, barrier, results = uuid.uuid4().hex, context.Barrier(plan.workers, timeout=60.0), context.Queue()
    open_ = partial(open_store, backend.name, backend.url, namespace)
    workers = [
        context.Process(target=_work, args=(open_, plan, worker, barrier, results)) for worker in range(plan.workers)
    ]
    for process in workers:
        process.start()
    calls = [call for _ in workers for call in results.get(timeout=120.0)]
    for process in workers:
        process.join()
    return calls


def in_threads(store: Store, plan: Plan) -> list[Call]:
    """Carry out a plan in threads of this process, on one store."""
    calls: list[Call] = []
    record(store, 0, calls.append)
    workers = [threading.Thread(target=drive, args=(store, plan, worker)) for worker in range(plan.workers)]
    with _hasty_threads():
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join()
    return calls


def _work(open_: Callable[[], Store], plan: Plan, worker: int, barrier: Barrier, results: mp.Queue[Any]) -> None:
    calls: list[Call] = []
    try:
        with open_() as store:
            record(store.store if isinstance(store, Blocking) else store, worker, calls.append)
            barrier.wait()
            drive(store, plan, worker)
    finally:
        results.put(calls)


@contextmanager
def _hasty_threads() -> Iterator[None]:
    """Make threads switch so often that a thread is interrupted at every place."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
