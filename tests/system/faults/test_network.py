"""Tests with a network that swallows, delays and interrupts traffic between callers and server."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cbstore_sql import BreakerPolicy, CircuitBreaker, CircuitBreakerOpenError, SqlStore, StoreUnavailableError
from cbstore_sql.deadline import within
from cbstore_sql.stores.sql.push import channel
from cbstore_sql.stores.sql.push import listener as listen
from tests.system.faults import namespaces
from tests.system.faults.attempts import attempt, ended_at_last
from tests.system.faults.callers import COLOURS, NEVER_OPENS, AsyncCallers, Colour, account, calling
from tests.system.faults.postgres import Cluster, Postgres
from tests.system.faults.proxy import FaultProxy
from tests.system.faults.table import Observed, fault
from tests.waiting import PATIENCE, eventually

LONG = 600.0
"""Seconds of staleness that no test waits for: what is known sooner was pushed."""

WANTED = 0.5
"""Seconds a bare store is given."""


@pytest.mark.parametrize("colour", COLOURS)
@fault(5, "everything sent is acknowledged and dropped for 100 calls", "no call waits longer than the deadline")
def test_no_call_hangs_while_the_network_swallows_requests(
    server: Postgres, proxy: FaultProxy, colour: Colour, observed: Observed
) -> None:
    with calling(proxy.url(server.url), colour) as callers, ended_at_last(proxy.heal):
        proxy.switch("hole")
        callers.await_degraded()
        callers.make_more(100)
        proxy.switch("pass")
        recovered = callers.recovery_since(time.monotonic())
        callers.make_more()
    loop = f"; event loop kept {callers.stalled * 1000:.0f} ms at most" if isinstance(callers, AsyncCallers) else ""
    account(callers, server, observed, f"in a hole{loop}", recovered)


@fault(5, "a bare store writes into a hole that acknowledges, over a connection it had", "gives up at its deadline")
def test_a_store_gives_up_a_swallowed_statement_at_its_deadline(
    proxy: FaultProxy, store: SqlStore, observed: Observed
) -> None:
    store.record_failure("b", NEVER_OPENS)
    proxy.switch("hole")
    tried = attempt(in_time(lambda: store.record_failure("b", NEVER_OPENS)), proxy.heal)
    proxy.switch("pass")
    assert isinstance(tried.error, StoreUnavailableError)
    assert tried.error.applied is None, "the statement was sent"
    began = time.monotonic()
    store.record_failure("b", NEVER_OPENS)
    recovered = time.monotonic() - began
    counted = store.read("b").failure_count
    assert counted == 2, "what fell into the hole was not counted"
    seen = f"gave up after {tried.seconds:.2f} s of {WANTED} s, unknown whether applied"
    observed(seen, recovered=recovered, calls=3, calls_lost=1, counts_lost=1, counts_doubled=0)


@fault(5, "a bare store connects into a hole that acknowledges", "gives up at its deadline, nothing applied")
def test_a_store_gives_up_connecting_without_an_answer_at_its_deadline(
    proxy: FaultProxy, store: SqlStore, observed: Observed
) -> None:
    proxy.switch("hole")
    tried = attempt(in_time(lambda: store.record_failure("b", NEVER_OPENS)), proxy.heal)
    proxy.switch("pass")
    assert isinstance(tried.error, StoreUnavailableError)
    assert tried.error.applied is False, "the statement was never sent"
    began = time.monotonic()
    store.record_failure("b", NEVER_OPENS)
    recovered = time.monotonic() - began
    assert store.read("b").failure_count == 1
    seen = f"gave up after {tried.seconds:.2f} s of {WANTED} s"
    observed(seen, recovered=recovered, calls=2, calls_lost=1, counts_lost=0, counts_doubled=0)


@pytest.mark.parametrize("colour", COLOURS)
@fault(7, "each request takes 2 s on its way, for 100 calls", "decided locally, no pile-up")
def test_no_call_waits_for_a_slow_server(
    server: Postgres, proxy: FaultProxy, colour: Colour, observed: Observed
) -> None:
    with calling(proxy.url(server.url), colour) as callers, ended_at_last(proxy.heal):
        proxy.switch("delay", 2.0)
        callers.await_degraded()
        callers.make_more(100)
        connections = proxy.connections
        proxy.switch("pass")
        recovered = callers.recovery_since(time.monotonic())
        callers.make_more()
    account(callers, server, observed, f"{connections} connections at the end of the fault", recovered)


@namespaces.needed
@fault(6, "nft drops what goes to the server while the connection is idle", "gives up at its deadline")
def test_a_statement_in_a_network_partition_ends_at_its_deadline(cluster: Cluster, observed: Observed) -> None:
    def scenario() -> None:
        with cluster.server() as server, SqlStore(server.url) as store:
            store.record_failure("b", NEVER_OPENS)
            namespaces.drop_to(server.port)
            tried = attempt(in_time(lambda: store.record_failure("b", NEVER_OPENS)), namespaces.heal)
            namespaces.heal()
            began = time.monotonic()
            assert isinstance(tried.error, StoreUnavailableError)
            store.record_failure("b", NEVER_OPENS)
            recovered = time.monotonic() - began
            counted = store.read("b").failure_count
            # The kernel sends the bytes in the socket's buffer after the network heals, unless the socket was reset.
            assert counted in {2, 3}
            seen = f"gave up after {tried.seconds:.2f} s of {WANTED} s, unknown whether applied"
            observed(seen, recovered=recovered, calls=3, calls_lost=1, counts_lost=3 - counted, counts_doubled=0)

    namespaces.inside(scenario)


@namespaces.needed
@fault(6, "nft drops what the server sends while it carries out a statement", "gives up at its deadline")
def test_a_statement_whose_reply_a_partition_stops_ends_at_its_deadline(cluster: Cluster, observed: Observed) -> None:
    def scenario() -> None:
        with cluster.server() as server, SqlStore(server.url) as store, server.connect() as holder:
            store.record_failure("b", NEVER_OPENS)
            with holder.transaction():
                holder.execute("SELECT 1 FROM cbstore.breakers FOR UPDATE")
                with when_waiting_for_a_lock(server, lambda: namespaces.drop_from(server.port)):
                    tried = attempt(in_time(lambda: store.record_failure("b", NEVER_OPENS)), namespaces.heal)
                namespaces.heal()
            began = time.monotonic()
            assert isinstance(tried.error, StoreUnavailableError)
            assert tried.error.applied is None
            store.record_failure("b", NEVER_OPENS)
            recovered = time.monotonic() - began
            seen = f"gave up after {tried.seconds:.2f} s of {WANTED} s, unknown whether applied"
            observed(seen, recovered=recovered, calls=3, calls_lost=1)

    namespaces.inside(scenario)


@fault(22, "the connection of LISTEN goes into a hole", "the heartbeat notices; listens again by itself")
def test_a_listener_on_a_dead_connection_is_noticed_and_listens_again(
    server: Postgres, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, observed: Observed
) -> None:
    monkeypatch.setattr(listen, "HEARTBEAT", 0.2)
    monkeypatch.setattr(channel, "ANSWER_SECONDS", 0.5)
    trips = BreakerPolicy(failure_threshold=1)
    with (
        SqlStore(proxy.url(server.url)) as store,
        SqlStore(server.url) as elsewhere,
        CircuitBreaker(store, trips, max_staleness=LONG, push=True, store_timeout=PATIENCE) as breaker,
        CircuitBreaker(elsewhere, trips, push=True, store_timeout=PATIENCE) as other,
        ended_at_last(proxy.heal),
    ):
        breaker.call("b", int)
        assert eventually(lambda: breaker.push_state == "listening")
        proxy.switch("hole")
        began = time.monotonic()
        assert eventually(lambda: breaker.push_state == "connecting")
        noticed = time.monotonic() - began
        proxy.switch("pass")
        began = time.monotonic()
        assert eventually(lambda: breaker.push_state == "listening")
        recovered = time.monotonic() - began
        other.failure(other.admit("b"))
        assert eventually(lambda: is_refused(breaker))
    observed(f"noticed after {noticed:.1f} s with a heartbeat of 0.2 s and 0.5 s for its answer", recovered=recovered)


def in_time(operation: Callable[[], Any]) -> Callable[[], Any]:
    def limited() -> Any:
        with within(WANTED):
            return operation()

    return limited


@contextlib.contextmanager
def when_waiting_for_a_lock(server: Postgres, then: Callable[[], None]) -> Iterator[None]:
    """Call a function while a session of the block waits for a lock."""

    def watch() -> None:
        assert eventually(lambda: server.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
        then()

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield
    watcher.join()


def is_refused(breaker: CircuitBreaker) -> bool:
    try:
        breaker.call("b", int)
    except CircuitBreakerOpenError:
        return True
    return False
