"""Tests with other sessions that lock rows, keep old snapshots, or fill the notification queue."""

from __future__ import annotations

import contextlib
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from cbstore_sql import BreakerPolicy, CircuitBreaker, SqlStore, State
from tests.system.faults.attempts import ended_at_last
from tests.system.faults.callers import CALLERS, COLOURS, NEVER_OPENS, Colour, account, calling
from tests.system.faults.postgres import Postgres
from tests.system.faults.table import IS_LONG, Observed, fault
from tests.waiting import PATIENCE, eventually

UPDATES = 20_000 if IS_LONG else 1_000
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
SIZE = "SELECT pg_relation_size('cbstore.breakers')"


@pytest.mark.parametrize("colour", COLOURS)
@fault(7, "another session keeps the row locked for 400 calls", "decided locally, no pile-up of waiting sessions")
def test_no_call_waits_for_a_locked_row(server: Postgres, colour: Colour, observed: Observed) -> None:
    with calling(server.url, colour) as callers, server.connect() as holder:
        holder.execute("BEGIN")
        holder.execute("SELECT 1 FROM cbstore.breakers WHERE name = 'fails' FOR UPDATE")
        with ended_at_last(holder.cancel):
            callers.await_degraded()
            callers.make_more(400)
        waiting = server.ask(WAITING)
        holder.execute("ROLLBACK")
        recovered = callers.recovery_since(time.monotonic())
        callers.make_more()
        assert eventually(lambda: server.ask(WAITING) == 0)
    assert waiting <= 2 * CALLERS
    lost = account(callers, server, observed, f"sessions that waited for the lock: {waiting}", recovered)
    assert lost <= 2 * CALLERS + 8, "a failure for each attempt to recover, and those on their way at first"


@fault(20, f"an idle transaction keeps a snapshot for {UPDATES:,} updates of a row", "slower; recovers with its end")
def test_an_old_snapshot_makes_the_table_grow_only_until_the_snapshot_ends(
    server: Postgres, observed: Observed
) -> None:
    with SqlStore(server.url) as store, server.connect() as reader:
        undisturbed = median_of_updates(store)
        small = server.ask(SIZE)
        reader.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        reader.execute("SELECT count(*) FROM cbstore.breakers")
        median_of_updates(store)
        grown = server.ask(SIZE)
        disturbed = median_of_updates(store, 200)
        reader.execute("ROLLBACK")
        began = time.monotonic()
        median_of_updates(store)
        recovered = time.monotonic() - began
        after = median_of_updates(store, 200)
        assert grown > small, "the fault was made"
        assert server.ask(SIZE) <= 2 * grown, "the rows nobody can see any more are used again"
        counted = store.read("b").failure_count
    made = 3 * UPDATES + 400
    assert counted == made
    observed(
        f"median of an update {undisturbed * 1e6:.0f} µs before, {disturbed * 1e6:.0f} µs at the end of the fault, "
        f"{after * 1e6:.0f} µs after it; table {small // 1024} to {grown // 1024} kB",
        recovered=recovered,
        calls=made,
        calls_lost=0,
        counts_lost=0,
        counts_doubled=0,
    )


@fault(
    21,
    "max_notify_queue_pages = 64 and a listener idle in a transaction: the queue of NOTIFY is full",
    "no call is affected",
)
def test_a_full_notification_queue_affects_no_call(server: Postgres, observed: Observed) -> None:
    server.stop("fast")
    server.start({"max_notify_queue_pages": 64})
    trips = BreakerPolicy(failure_threshold=1, recovery_timeout=0.0)
    with server.connect() as listener, SqlStore(server.url) as store:
        listener.execute("LISTEN elsewhere")
        listener.execute("BEGIN")
        fill_the_queue(server)
        with CircuitBreaker(store, trips, push=True, store_timeout=PATIENCE) as breaker:
            for _ in range(10):
                breaker.failure(breaker.admit("b"))
            assert breaker.state("b") is State.OPEN
            counted = store.read("b").failure_count
            state = breaker.push_state
    observed(f"all reports applied; push: {state}", calls=10, calls_lost=0, counts_lost=10 - counted, counts_doubled=0)


def median_of_updates(store: SqlStore, updates: int = UPDATES) -> float:
    """Update one row many times, and return the median duration of an update in seconds."""
    taken = []
    for _ in range(updates):
        began = time.perf_counter()
        store.record_failure("b", NEVER_OPENS)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def fill_the_queue(server: Postgres) -> None:
    with server.connect() as session, contextlib.suppress(psycopg.errors.ProgramLimitExceeded):
        for _ in range(100):
            session.execute("SELECT pg_notify('elsewhere', repeat('x', 7900) || n) FROM generate_series(1, 64) n")
        pytest.fail("the queue has no end")


@fault(19, "two breakers fail by turns, in opposite order, with writes combined", "no deadlock: one row a statement")
def test_writes_in_opposite_order_never_deadlock(server: Postgres, observed: Observed) -> None:
    names = ("a", "b")
    with (
        SqlStore(server.url) as store,
        CircuitBreaker(store, NEVER_OPENS, flush_interval=0.002, store_timeout=None) as breaker,
    ):

        def fail(order: tuple[str, ...]) -> None:
            for _ in range(100):
                for name in order:
                    breaker.failure(breaker.admit(name))

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(fail, [names, names[::-1]] * 2))
        counted = sum(snapshot.failure_count for snapshot in store.read_many(names).values())
    assert counted == 800
    assert "deadlock detected" not in server.log
    observed("no deadlock in the server's log", calls=800, calls_lost=0, counts_lost=0, counts_doubled=0)
