"""A store keeps its deadline with any behaviour of the server, and abandoned work ends later."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from queue import SimpleQueue
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import AsyncSqlStore, BreakerPolicy, SqlStore, StoreUnavailableError
from cbstore_sql.deadline import within
from cbstore_sql.stores.dict_protocol import ProtocolStore
from cbstore_sql.stores.sql.connections.drive import drive, drive_async
from cbstore_sql.stores.sql.connections.libpq import PgSession
from cbstore_sql.stores.sql.operations import Query
from cbstore_sql.stores.sql.retry import LateError
from cbstore_sql.stores.sql.statements.statement import Statement
from tests.stores.contract.backends import open_store
from tests.system.faults.proxy import FaultProxy
from tests.waiting import eventually

MOMENT = 0.05
NEVER = BreakerPolicy(failure_threshold=1000)

Open = Callable[[str], ProtocolStore]


@pytest.fixture(params=["", "async-"])
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def namespace() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def proxy(migrated_postgres_url: str) -> Iterator[FaultProxy]:
    with FaultProxy(migrated_postgres_url) as proxy:
        yield proxy


@pytest.fixture
def open_postgres(colour: str, migrated_postgres_url: str, namespace: str, proxy: FaultProxy) -> Open:
    """A function that opens a synchronous or asynchronous store behind the proxy, with a query added to its URL."""

    def opened(query: str = "") -> ProtocolStore:
        return open_store(f"{colour}postgresql", proxy.url(migrated_postgres_url) + query, namespace)

    return opened


def given_up(ask: Callable[[], Any], seconds: float = MOMENT) -> bool | None:
    """Run an operation that misses its deadline, and return ``applied`` of the error."""
    with within(seconds), pytest.raises(StoreUnavailableError) as caught:
        ask()
    return caught.value.applied


def test_keeps_deadlines_is_true_only_for_a_store_made_from_a_url(migrated_postgres_url: str) -> None:
    engine = sa.create_engine(migrated_postgres_url)
    assert not SqlStore(engine).keeps_deadlines
    assert SqlStore(migrated_postgres_url).keeps_deadlines
    assert AsyncSqlStore(migrated_postgres_url).keeps_deadlines


@pytest.mark.parametrize("colour", ["", "async-"])
def test_a_session_with_a_late_answer_closes_without_waiting(
    colour: str, migrated_postgres_url: str, proxy: FaultProxy
) -> None:
    with psycopg.connect(proxy.url(migrated_postgres_url).replace("+psycopg", "")) as connection:
        session = PgSession(connection, None)
        proxy.switch("hole")
        steps = session.steps(Query(Statement("SELECT 1"), {}), prepare=False)
        with within(MOMENT), pytest.raises(LateError):
            asyncio.run(drive_async(session, steps)) if colour else drive(session, steps)
        assert session.is_busy()
        assert not session.is_sound()
        session.cut()
        assert connection.closed
        assert session.is_dead()


def test_a_write_to_a_server_that_stops_answering_ends_at_the_deadline(open_postgres: Open, proxy: FaultProxy) -> None:
    with open_postgres("") as store:
        store.record_failure("b", NEVER)
        proxy.switch("hole")
        assert given_up(lambda: store.record_failure("b", NEVER)) is None
        proxy.heal()
        assert store.read("b").failure_count == 1


def test_a_statement_not_prepared_before_the_deadline_had_no_effect(open_postgres: Open, proxy: FaultProxy) -> None:
    with open_postgres("") as store:
        store.read("b")
        proxy.switch("hole")
        assert given_up(lambda: store.record_failure("b", NEVER)) is False


def test_a_read_without_an_answer_had_no_effect(open_postgres: Open, proxy: FaultProxy) -> None:
    with open_postgres("") as store:
        store.read("b")
        proxy.switch("hole")
        assert given_up(lambda: store.read("b")) is False


def test_a_connection_that_cannot_be_opened_delays_no_caller_beyond_the_deadline(
    open_postgres: Open, proxy: FaultProxy
) -> None:
    proxy.switch("hole")
    with open_postgres("?connect_timeout=2") as store:
        for _ in range(20):  # more than the pool allows
            assert given_up(lambda: store.record_failure("b", NEVER), 0.01) is False
        assert eventually(lambda: openers(store) == 0), "an opener hangs"
        proxy.heal()
        store.record_failure("b", NEVER)
        assert store.read("b").failure_count == 1


def openers(store: Any) -> int:
    """Return how many slots of the pool are in use: by threads or tasks that are opening connections."""
    pool = getattr(store, "store", store)._connections
    free = pool._slots._value if isinstance(pool._slots, asyncio.Semaphore) else pool._slots.qsize()
    return int(pool._limit() - free)


def test_a_connection_opened_after_the_deadline_is_used_by_the_next_caller(
    open_postgres: Open, proxy: FaultProxy
) -> None:
    proxy.switch("delay", 0.1)
    with open_postgres("") as store:
        assert given_up(lambda: store.read("b")) is False
        assert openers(store) == 1, "the opening keeps its slot, so that there are no more connections than slots"
        proxy.switch("pass")
        assert eventually(lambda: openers(store) == 0)
        store.read("b")
        assert proxy.accepted == 1


def test_a_connection_opened_after_the_store_was_closed_is_closed(
    migrated_postgres_url: str, proxy: FaultProxy
) -> None:
    proxy.switch("delay", 0.1)
    with SqlStore(proxy.url(migrated_postgres_url)) as store:
        assert given_up(lambda: store.read("b")) is False
    proxy.switch("pass")
    assert eventually(lambda: openers(store) == 0)
    assert eventually(lambda: proxy.connections == 0)


def test_statements_that_wait_for_a_locked_row_are_cancelled_on_the_server(
    colour: str, migrated_postgres_url: str, namespace: str
) -> None:
    plain = migrated_postgres_url.replace("+psycopg", "")
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE%breakers%'"
    with (
        open_store(f"{colour}postgresql", migrated_postgres_url, namespace) as store,
        psycopg.connect(plain) as holder,
        psycopg.connect(plain, autocommit=True) as observer,
    ):
        store.reset("b")
        holder.execute("SELECT 1 FROM cbstore.breakers WHERE namespace = %s FOR UPDATE", [namespace])
        assert given_up(lambda: store.record_failure("b", NEVER)) is None
        assert eventually(lambda: observer.execute(waiting).fetchone() == (0,))
        holder.rollback()
        assert store.read("b").failure_count == 0


def test_a_caller_that_waits_for_a_connection_gives_up_at_the_deadline(
    colour: str, migrated_postgres_url: str, namespace: str
) -> None:
    with open_store(f"{colour}postgresql", migrated_postgres_url, namespace) as store:
        store.read("b")
        with all_at_work(store):
            assert given_up(lambda: store.record_failure("b", NEVER)) is False


@contextmanager
def all_at_work(store: Any) -> Iterator[None]:
    """Use every place in the pool, as running operations do."""
    connections = getattr(store, "store", store)._connections
    turns = connections._slots
    connections._slots = asyncio.Semaphore(0) if isinstance(turns, asyncio.Semaphore) else SimpleQueue()
    yield
    connections._slots = turns


def test_a_store_over_an_application_s_engine_gives_up_at_the_deadline(
    migrated_postgres_url: str, proxy: FaultProxy
) -> None:
    engine = sa.create_engine(proxy.url(migrated_postgres_url))
    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    store.read("b")
    proxy.switch("hole")
    assert given_up(lambda: store.record_failure("b", NEVER)) is None
    pool: Any = engine.pool
    assert pool.checkedout() == 1, "the server may still be at the statement"
    assert eventually(lambda: pool.checkedout() == 0)
    engine.dispose()


def test_sqlite_waits_for_other_writers_until_the_deadline(
    colour: str, migrated_sqlite_url: str, namespace: str
) -> None:
    with open_store(f"{colour}sqlite", migrated_sqlite_url, namespace) as store:
        store.reset("b")
        path = sa.make_url(migrated_sqlite_url).database or ""
        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            assert given_up(lambda: store.record_failure("b", NEVER)) is False
            assert time.monotonic() - began < 4.0, "it waited as long as without a deadline"
        store.record_failure("b", NEVER)
        assert store.read("b").failure_count == 1
