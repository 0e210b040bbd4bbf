"""Tests with a primary and a standby that follows it through a proxy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from cbstore_sql import BreakerPolicy, SqlStore, State, StoreUnavailableError
from cbstore_sql.deadline import within
from tests.system.faults.attempts import attempt, ended_at_last
from tests.system.faults.callers import CALLERS, COLOURS, NEVER_OPENS, Colour, account, calling
from tests.system.faults.postgres import Cluster, Postgres
from tests.system.faults.proxy import FaultProxy
from tests.system.faults.table import Observed, fault
from tests.waiting import eventually

LEASE = BreakerPolicy(probe_lease=30.0)
REPLAYED = "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn"


class Pair(NamedTuple):
    """A primary, its standby, and the proxy between them."""

    primary: Postgres
    standby: Postgres
    way: FaultProxy

    @property
    def url(self) -> str:
        """A URL that names both servers and asks for the one that takes writes."""
        first, second = (sa.make_url(server.url) for server in (self.primary, self.standby))
        hosts = [f"{each.host}:{each.port}" for each in (first, second)]
        several = first.set(host=None, port=None).update_query_dict({"host": hosts})
        wanted = several.update_query_dict({"target_session_attrs": "read-write"})
        return wanted.render_as_string(hide_password=False)

    def await_replay(self) -> None:
        """Wait until the standby has replayed all changes of the primary."""
        lsn = self.primary.ask("SELECT pg_current_wal_lsn()")
        assert eventually(lambda: self.standby.ask(REPLAYED, lsn))


def engine(url: str, colour: Colour) -> sa.Engine | AsyncEngine:
    """An application's engine, for callers of a colour."""
    return sa.create_engine(url) if colour == "sync" else create_async_engine(url)


@pytest.fixture
def pair(server: Postgres, cluster: Cluster) -> Iterator[Pair]:
    with FaultProxy(server.url) as way, cluster.standby_of(way.url(server.url)) as standby:
        yield Pair(server, standby, way)


@fault(
    8,
    "asynchronous failover: what the primary acknowledged last never reaches the promoted standby",
    "the last writes are lost; two owners of one probe, fenced by their tokens, for a lease at most",
)
def test_an_asynchronous_failover_loses_the_last_writes_and_only_those(pair: Pair, observed: Observed) -> None:
    with SqlStore(pair.primary.url) as before, SqlStore(pair.standby.url) as after:
        before.force_open("probed", 0.0)
        for _ in range(10):
            before.record_failure("counted", NEVER_OPENS)
        pair.await_replay()
        pair.way.switch("hole")
        for _ in range(5):
            before.record_failure("counted", NEVER_OPENS)
        first = before.claim_probe("probed", LEASE)
        pair.primary.stop("immediate")
        began = time.monotonic()
        pair.standby.promote()
        second = after.claim_probe("probed", LEASE)
        recovered = time.monotonic() - began
        assert first is not None
        assert second is not None, "the claim that was lost with the primary does not hold the new one up"
        assert second.permit.generation == first.permit.generation, "only the tokens tell the owners apart"
        assert after.record_success(first.permit) is None, "the owner of the lost timeline settles nothing"
        assert after.read("probed").state is State.HALF_OPEN
        assert after.record_success(second.permit) is not None
        counted = after.read("counted").failure_count
    assert counted == 10
    observed(
        "two acknowledged owners with equal generations; the first one's report was rejected",
        recovered=recovered,
        calls=17,
        calls_lost=0,
        counts_lost=15 - counted,
        counts_doubled=0,
    )


@fault(8, "failover with synchronous replication, promoted under a standby that has everything", "nothing is lost")
def test_a_synchronous_failover_loses_nothing_and_keeps_the_owner(pair: Pair, observed: Observed) -> None:
    pair.primary.configure("synchronous_standby_names", "*")
    assert eventually(lambda: pair.primary.ask("SELECT sync_state FROM pg_stat_replication") == "sync")
    with SqlStore(pair.primary.url) as before, SqlStore(pair.standby.url) as after:
        before.force_open("probed", 0.0)
        for _ in range(10):
            before.record_failure("counted", NEVER_OPENS)
        first = before.claim_probe("probed", LEASE)
        pair.primary.stop("immediate")
        began = time.monotonic()
        pair.standby.promote()
        counted = after.read("counted").failure_count
        recovered = time.monotonic() - began
        assert counted == 10
        assert first is not None
        assert after.claim_probe("probed", LEASE) is None, "the owner of before is still the owner"
        assert after.record_success(first.permit) is not None
    observed("one owner", recovered=recovered, calls=13, calls_lost=0, counts_lost=0, counts_doubled=0)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("connections", ["own", "given"])
@fault(
    8,
    "the primary is stopped at once and its synchronous standby promoted, under guarded calls over a URL with both "
    "hosts; the store opens its own connections, or is given an engine",
    "no call is lost; the new primary has every count that was acknowledged",
)
def test_no_call_is_lost_when_the_standby_of_a_url_with_two_hosts_is_promoted(
    pair: Pair, colour: Colour, connections: str, observed: Observed
) -> None:
    pair.primary.configure("synchronous_standby_names", "*")
    assert eventually(lambda: pair.primary.ask("SELECT sync_state FROM pg_stat_replication") == "sync")
    with calling(pair.url if connections == "own" else engine(pair.url, colour), colour) as callers:
        pair.primary.stop("immediate")
        callers.await_degraded()
        callers.make_more(100)
        pair.standby.promote()
        recovered = callers.recovery_since(time.monotonic())
        callers.make_more()
    lost = account(callers, pair.standby, observed, f"{connections} connections, stopped (immediate)", recovered)
    assert lost <= CALLERS, "at most what was on its way from each caller"


@fault(
    9,
    "the pool is connected to a standby while the address has moved on to the primary",
    "25006 drops the pool; the next operation connects again",
)
def test_connections_to_a_standby_are_replaced(pair: Pair, observed: Observed) -> None:
    with FaultProxy(pair.standby.url) as address, SqlStore(address.url(pair.standby.url)) as store:
        assert store.read("b").state is State.CLOSED
        # There is no deadline here: it could pass during a repetition, and then the effect of the repetition would
        # be unknown.
        with pytest.raises(StoreUnavailableError) as raised:
            store.record_failure("b", NEVER_OPENS)
        assert raised.value.applied is False
        address.server = ("127.0.0.1", pair.primary.port)
        began = time.monotonic()
        store.record_failure("b", NEVER_OPENS)
        recovered = time.monotonic() - began
        assert store.read("b").failure_count == 1
    observed(str(raised.value), recovered=recovered, calls=2, calls_lost=1, counts_lost=0, counts_doubled=0)


@pytest.mark.parametrize("colour", COLOURS)
@fault(
    10,
    "commits wait for a synchronous standby that does not exist, for 100 calls",
    "no call waits longer than the deadline",
)
def test_no_call_waits_for_a_commit_that_hangs(server: Postgres, colour: Colour, observed: Observed) -> None:
    def heal() -> None:
        server.configure("synchronous_standby_names", "")

    with calling(server.url, colour) as callers:
        with ended_at_last(heal):
            server.configure("synchronous_standby_names", "ghost")
            callers.await_degraded()
            callers.make_more(100)
            heal()
        recovered = callers.recovery_since(time.monotonic())
        callers.make_more()
    account(callers, server, observed, "commits hung", recovered)


@fault(
    10,
    "a bare store commits to a synchronous standby that does not exist",
    "gives up at its deadline: unknown, counted once",
)
def test_a_store_gives_up_a_commit_that_hangs_and_does_not_repeat_it(server: Postgres, observed: Observed) -> None:
    def heal() -> None:
        server.configure("synchronous_standby_names", "")

    def fail() -> None:
        with within(0.5):
            store.record_failure("b", NEVER_OPENS)

    with SqlStore(server.url) as store:
        store.record_failure("b", NEVER_OPENS)
        server.configure("synchronous_standby_names", "ghost")
        tried = attempt(fail, heal)
        heal()
        assert isinstance(tried.error, StoreUnavailableError)
        assert tried.error.applied is None, "it is committed here, and perhaps nowhere else"
        began = time.monotonic()
        store.record_failure("b", NEVER_OPENS)
        recovered = time.monotonic() - began
        assert eventually(lambda: store.read("b").failure_count == 3)
    seen = f"gave up after {tried.seconds:.2f} s of 0.50 s, unknown whether applied; it was, once"
    observed(seen, recovered=recovered, calls=3, calls_lost=1, counts_lost=0, counts_doubled=0)
