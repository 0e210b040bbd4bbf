"""Tests with PgBouncer in transaction mode: without a free session, or with a database that crashes."""

from __future__ import annotations

import time

import psycopg
import pytest

from cbstore_sql import SqlStore, StoreUnavailableError
from tests.stores.sql.pooler import needs_pgbouncer, transaction_pooler
from tests.system.faults.callers import COLOURS, NEVER_OPENS, Colour, account, calling
from tests.system.faults.postgres import Postgres
from tests.system.faults.table import Observed, fault

pytestmark = needs_pgbouncer


@fault(12, "PgBouncer's only connection is in another's transaction, query_wait_timeout 1 s", "08P01: nothing applied")
def test_a_statement_that_a_pooler_refuses_is_reported_as_not_applied(server: Postgres, observed: Observed) -> None:
    with (
        transaction_pooler(server.url, default_pool_size=1, query_wait_timeout=1) as url,
        SqlStore(url) as store,
    ):
        store.record_failure("b", NEVER_OPENS)
        with psycopg.connect(url.replace("+psycopg", "")) as holder:
            holder.execute("SELECT 1")
            with pytest.raises(StoreUnavailableError) as raised:
                store.record_failure("b", NEVER_OPENS)
            assert raised.value.applied is False
        began = time.monotonic()
        store.record_failure("b", NEVER_OPENS)
        recovered = time.monotonic() - began
        counted = store.read("b").failure_count
    assert counted == 2
    observed(str(raised.value), recovered=recovered, calls=3, calls_lost=1, counts_lost=0, counts_doubled=0)


@pytest.mark.parametrize("colour", COLOURS)
@fault(12, "PgBouncer's only connection is in another's transaction for 100 calls", "no call waits for it")
def test_no_call_waits_for_a_pooler_without_a_free_session(
    server: Postgres, colour: Colour, observed: Observed
) -> None:
    with (
        transaction_pooler(server.url, default_pool_size=1) as url,
        calling(url, colour) as callers,
        psycopg.connect(url.replace("+psycopg", "")) as holder,
    ):
        holder.execute("SELECT 1")
        callers.await_degraded()
        callers.make_more(100)
        holder.rollback()
        recovered = callers.recovery_since(time.monotonic())
        callers.make_more()
    account(callers, server, observed, "pooler used up", recovered)


@pytest.mark.parametrize("colour", COLOURS)
@fault(12, "the database behind PgBouncer crashes under load and recovers (server_login_retry 1 s)", "no call is lost")
def test_no_call_is_lost_when_the_database_behind_a_pooler_crashes(
    server: Postgres, colour: Colour, observed: Observed
) -> None:
    with transaction_pooler(server.url, server_login_retry=1) as url, calling(url, colour) as callers:
        server.stop("immediate")
        callers.await_degraded()
        callers.make_more(100)
        server.start()
        recovered = callers.recovery_since(time.monotonic())
        callers.make_more()
    account(callers, server, observed, "database down behind the pooler", recovered)
