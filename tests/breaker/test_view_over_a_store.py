"""Breakers with a view over a real store: which calls need no I/O, and how old an answer can be."""

from __future__ import annotations

import asyncio
import multiprocessing as mp
import os
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.synchronize import Event
from typing import Any

import pytest

from cbstore_sql import AsyncCircuitBreaker, BreakerPolicy, CircuitBreaker, CircuitBreakerOpenError, SqlStore, State
from cbstore_sql.core.model import Snapshot
from cbstore_sql.stores.sql.operations import Query, Values

BOUND = 0.005
TRIPS = 1000


class Counting(SqlStore):
    """A store that counts the statements that it sends."""

    sent = 0

    def _execute(self, query: Query) -> list[Values]:
        self.sent += 1
        return super()._execute(query)


@pytest.fixture
def store(migrated_sqlite_url: str) -> Iterator[Counting]:
    with Counting(migrated_sqlite_url, namespace=uuid.uuid4().hex) as store:
        yield store


def test_a_healthy_call_costs_no_statement(store: Counting) -> None:
    with CircuitBreaker(store, store_timeout=None, max_staleness=60.0) as breaker:
        breaker.call("b", int)
        store.sent = 0
        for _ in range(1000):
            breaker.call("b", int)
        assert store.sent == 0


def test_a_refused_call_costs_no_statement(store: Counting) -> None:
    store.force_open("b", 3600.0)
    with CircuitBreaker(store, store_timeout=None, max_staleness=60.0) as breaker:
        with pytest.raises(CircuitBreakerOpenError):
            breaker.call("b", int)
        store.sent = 0
        with pytest.raises(CircuitBreakerOpenError) as refused:
            breaker.call("b", int)
        assert 3500.0 < refused.value.retry_after <= 3600.0
        assert store.sent == 0


def test_with_max_staleness_0_every_call_reads_the_store(store: Counting) -> None:
    breaker = CircuitBreaker(store, store_timeout=None, max_staleness=0)
    for _ in range(10):
        breaker.call("b", int)
    assert store.sent == 20


def test_a_process_sees_its_own_changes_at_once(store: Counting) -> None:
    with CircuitBreaker(store, BreakerPolicy(failure_threshold=2), store_timeout=None, max_staleness=60.0) as breaker:
        breaker.call("b", int)
        for _ in range(2):
            with pytest.raises(ValueError, match="invalid"):
                breaker.call("b", int, "no number")
        with pytest.raises(CircuitBreakerOpenError):
            breaker.call("b", int)
        breaker.reset("b")
        breaker.call("b", int)


def test_a_success_clears_the_failures_that_this_process_counted(store: Counting) -> None:
    with CircuitBreaker(store, store_timeout=None, max_staleness=60.0) as breaker:
        breaker.call("b", int)
        with pytest.raises(ValueError, match="invalid"):
            breaker.call("b", int, "no number")
        breaker.call("b", int)
    assert store.read("b").failure_count == 0


def test_the_call_after_a_report_without_effect_reads_the_store(store: Counting) -> None:
    with CircuitBreaker(store, store_timeout=None, max_staleness=60.0) as breaker:
        breaker.call("b", int)
        store.force_open("b", 60.0)
        with pytest.raises(ValueError, match="invalid"):
            breaker.call("b", int, "no number")
        with pytest.raises(CircuitBreakerOpenError):
            breaker.call("b", int)


def test_one_statement_refreshes_all_breakers_in_use(store: Counting) -> None:
    asked: list[list[str]] = []

    class Watched(SqlStore):
        def _read_many(self, names: list[str], now: float | None) -> dict[str, Snapshot]:
            asked.append(names)
            return super()._read_many(names, now)

    watched = Watched(store._engine, namespace=store.namespace)
    with CircuitBreaker(watched, store_timeout=None, max_staleness=0.02) as breaker:
        deadline = time.monotonic() + 10.0
        while not asked and time.monotonic() < deadline:
            for name in ("a", "b", "c"):
                breaker.call(name, int)
        assert sorted(asked[0]) == ["a", "b", "c"]


def test_an_asynchronous_breaker_has_a_view(store: Counting) -> None:
    async def calls() -> None:
        async with AsyncCircuitBreaker(store, store_timeout=None, max_staleness=60.0) as breaker:
            async with breaker.guard("b"):
                pass
            store.sent = 0
            for _ in range(100):
                async with breaker.guard("b"):
                    pass
            assert store.sent == 0

    asyncio.run(calls())


def test_a_forked_child_starts_with_an_empty_view(store: Counting) -> None:
    with CircuitBreaker(store, store_timeout=None, max_staleness=60.0) as breaker:
        breaker.call("b", int)
        assert breaker._controller.view is not None
        child = os.fork()
        if child == 0:
            os._exit(int(breaker._controller.view.fresh_permit("b") is not None))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def admit_all_the_while(url: str, namespace: str, ready: Event, stop: Event, results: mp.Queue[Any]) -> None:
    """Record when each admitted call asked for admission and when it was admitted."""
    admitted: list[tuple[float, float]] = []
    with (
        SqlStore(url, namespace=namespace) as store,
        CircuitBreaker(store, store_timeout=None, max_staleness=BOUND) as breaker,
    ):
        while not stop.is_set():
            before = time.monotonic()
            with suppress(CircuitBreakerOpenError):
                breaker.admit("b")
                admitted.append((before, time.monotonic()))
                ready.set()
            time.sleep(0.0002)  # Let the process that opens the circuit run.
    results.put(admitted)


def test_calls_are_admitted_at_most_until_the_bound_after_another_process_opened_the_circuit(
    migrated_postgres_url: str,
) -> None:
    context = mp.get_context("spawn")
    ready, stop, results, namespace = context.Event(), context.Event(), context.Queue(), uuid.uuid4().hex
    observer = context.Process(
        target=admit_all_the_while, args=(migrated_postgres_url, namespace, ready, stop, results), daemon=True
    )
    observer.start()
    assert ready.wait(60.0)
    with SqlStore(migrated_postgres_url, namespace=namespace) as store:
        open_from_to = [trip(store) for _ in range(TRIPS)]
    stop.set()
    admitted = results.get(timeout=60.0)
    observer.join()

    assert len(admitted) > TRIPS
    spans = iter(open_from_to)
    opened, closed = next(spans)
    for asked, answered in admitted:
        while asked > closed:
            opened, closed = next(spans, (float("inf"), float("inf")))
        assert not (opened <= asked - BOUND and answered <= closed), "admitted by what was older than the bound"


def trip(store: SqlStore) -> tuple[float, float]:
    """Open the circuit for a while, and return the period during which it certainly was open."""
    assert store.force_open("b", 60.0).snapshot.state is State.OPEN
    opened = time.monotonic()
    time.sleep(random.random() * 3 * BOUND)  # the other process runs on the real clock
    closed = time.monotonic()
    store.reset("b")
    return opened, closed
