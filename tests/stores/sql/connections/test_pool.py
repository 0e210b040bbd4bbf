"""Tests of the connections that a store keeps between statements: few, always usable, and never shared."""

from __future__ import annotations

import asyncio
import gc
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import AsyncSqlStore, BreakerPolicy, ConfigurationError, SchemaError, SqlStore
from cbstore_sql.stores.sql.connections.engine import open_engine
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.retry import LateError
from cbstore_sql.stores.sql.statements.statement import TEXT, Statement
from tests.stores.contract.blocking import Blocking
from tests.waiting import eventually

NEVER = BreakerPolicy(failure_threshold=10**6)


@pytest.fixture
def store(migrated_postgres_url: str) -> Iterator[SqlStore]:
    with SqlStore(migrated_postgres_url, namespace=uuid.uuid4().hex) as store:
        yield store


def asked(store: SqlStore, statement: str, *, durable: bool = False) -> Any:
    """Ask the server over the connection that the store would use next."""
    return store._execute(Query(Statement(statement, (), [TEXT]), {}, durable))[0][0]


def backend(store: SqlStore) -> int:
    return int(asked(store, "SELECT pg_backend_pid()::text"))


def test_successive_operations_use_the_same_connection(store: SqlStore) -> None:
    backends = set()
    for _ in range(20):
        store.record_failure("b", NEVER)
        backends.add(backend(store))
    assert len(backends) == 1
    assert store._engine.pool.checkedout() == 1  # type: ignore[attr-defined] # of the pool that is used here


def test_a_pinned_statement_runs_in_read_committed_and_leaves_the_session_unchanged(migrated_postgres_url: str) -> None:
    strict = sa.make_url(migrated_postgres_url).update_query_dict(
        {"options": "-c default_transaction_isolation=serializable"}
    )
    shown, wrong = Statement("SHOW transaction_isolation", (), [TEXT]), Statement("SELECT 1 / 0", (), [TEXT])
    with SqlStore(strict) as store:
        before = backend(store)
        for pinned, level in ((False, "serializable"), (True, "read committed"), (False, "serializable")):
            assert store._execute(Query(shown, {}, pinned=pinned)) == [(level,)]
            with pytest.raises(psycopg.errors.DivisionByZero):
                store._execute(Query(wrong, {}, pinned=pinned))
        assert backend(store) == before


def test_each_thread_uses_at_most_one_connection(store: SqlStore) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: store.record_failure("b", NEVER), range(200)))
    assert store.read("b").failure_count == 200
    assert store._engine.pool.checkedout() <= 4  # type: ignore[attr-defined] # of the pool that is used here


def test_more_threads_than_connections_wait_and_all_succeed(store: SqlStore, migrated_postgres_url: str) -> None:
    store.reset("b")
    with (
        psycopg.connect(migrated_postgres_url.replace("+psycopg", "")) as holder,
        psycopg.connect(migrated_postgres_url.replace("+psycopg", ""), autocommit=True) as observer,
        ThreadPoolExecutor(20) as threads,
    ):
        holder.execute("SELECT 1 FROM cbstore.breakers WHERE namespace = %s FOR UPDATE", [store.namespace])
        failing = [threads.submit(store.record_failure, "b", NEVER) for _ in range(20)]
        question = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE%%breakers%%'"
        )
        while observer.execute(question).fetchone() != (15,):  # five of the pool and ten more
            observer.execute("SELECT pg_sleep(0.01)")
        holder.rollback()
        for each in failing:
            assert each.result(timeout=20.0), "nobody waits at the pool until it gives up"
    assert store.read("b").failure_count == 20


def test_closing_the_store_ends_every_session(migrated_postgres_url: str) -> None:
    store = SqlStore(migrated_postgres_url, namespace=uuid.uuid4().hex)
    own = backend(store)
    store.close()
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", ""), autocommit=True) as observer:
        question = "SELECT FROM pg_stat_activity WHERE pid = %s"
        assert eventually(lambda: observer.execute(question, [own]).fetchone() is None)


@pytest.mark.parametrize("make", [SqlStore, lambda url: Blocking(lambda: AsyncSqlStore(url))], ids=["", "async"])
def test_closing_ends_a_busy_session_of_a_replaced_pool(
    make: Callable[[str], Any], migrated_postgres_url: str, collector_off: None
) -> None:
    name = uuid.uuid4().hex
    url = sa.make_url(migrated_postgres_url).update_query_dict({"application_name": name})
    plain = migrated_postgres_url.replace("+psycopg", "")
    question = "SELECT FROM pg_stat_activity WHERE application_name = %s"
    with psycopg.connect(plain) as holder, psycopg.connect(plain, autocommit=True) as observer:
        with make(url.render_as_string(hide_password=False)) as store, ThreadPoolExecutor(1) as threads:
            store.reset(name)
            holder.execute("SELECT FROM cbstore.breakers WHERE name = %s FOR UPDATE", [name])
            failing = threads.submit(store.record_failure, name, NEVER)
            waiting = f"{question} AND wait_event_type = 'Lock'"
            assert eventually(lambda: observer.execute(waiting, [name]).fetchone() is not None)
            drop_pool(store)
            holder.rollback()
            assert failing.result() is not None
        assert eventually(lambda: observer.execute(question, [name]).fetchone() is None)


@pytest.fixture
def collector_off() -> Iterator[None]:
    """Switch off the garbage collector, so that collected objects close no connections."""
    gc.disable()
    yield
    gc.enable()


def drop_pool(store: Any) -> None:
    if isinstance(store, Blocking):
        inner: Any = store.store
        store.loop.wait(inner._engine.dispose())
    else:
        store._engine.dispose()


def test_a_session_that_the_server_ended_causes_no_error(store: SqlStore, migrated_postgres_url: str) -> None:
    store.record_failure("b", NEVER)
    own = backend(store)
    with psycopg.connect(migrated_postgres_url.replace("+psycopg", ""), autocommit=True) as observer:
        observer.execute("SELECT pg_terminate_backend(%s)", [own])
        while observer.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [own]).fetchone() is not None:
            pass
    store.record_failure("b", NEVER)
    assert store.read("b").failure_count == 2
    assert backend(store) != own


def test_disposing_of_the_engine_ends_the_kept_sessions(store: SqlStore) -> None:
    own = backend(store)
    store._engine.dispose()
    assert backend(store) != own


def test_a_failed_statement_returns_its_connection(migrated_postgres_url: str) -> None:
    with SqlStore(migrated_postgres_url, schema="nowhere") as store:
        for _ in range(30):
            with pytest.raises(SchemaError):
                store.record_failure("b")
        assert store._engine.pool.checkedout() == 1  # type: ignore[attr-defined] # of the pool that is used here


def test_a_forked_child_opens_new_connections(store: SqlStore) -> None:
    own = backend(store)
    child = os.fork()
    if child == 0:
        same = backend(store) == own
        store.record_failure("b", NEVER)
        os._exit(int(same))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert backend(store) == own, "the parent's session goes on"
    assert store.read("b").failure_count == 1


def test_a_forked_child_of_a_sqlite_store_works(migrated_sqlite_url: str) -> None:
    with SqlStore(migrated_sqlite_url, namespace=uuid.uuid4().hex) as store:
        store.record_failure("b", NEVER)
        child = os.fork()
        if child == 0:
            store.record_failure("b", NEVER)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store.read("b").failure_count == 2


def test_relaxed_durability_applies_only_to_counts(migrated_postgres_url: str) -> None:
    waits: list[bool] = []

    class Watched(SqlStore):
        def _execute(self, query: Query) -> list[Values]:
            waits.append(query.durable)
            return super()._execute(query)

    with Watched(migrated_postgres_url, namespace=uuid.uuid4().hex, durability="relaxed") as store:
        assert asked(store, "SHOW synchronous_commit") == "off"
        assert asked(store, "SHOW synchronous_commit", durable=True) == "on"
        waits.clear()
        store.force_open("b", 0.0, now=1000.0)
        claim = store.claim_probe("b", now=1000.0)
        assert claim is not None
        store.release_probe(claim.permit)
        store.reset("b")
        store.clear("b")
        assert set(waits) == {True}
        waits.clear()
        store.renew_probe(claim.permit)
        store.record_success("b")
        store.record_failure("b")
        store.read("b")
        assert set(waits) == {False}


def test_full_durability_uses_one_pool(store: SqlStore) -> None:
    assert store._counting is store._connections
    assert asked(store, "SHOW synchronous_commit") == "on"


def test_relaxed_durability_keeps_the_options_of_the_url(migrated_postgres_url: str) -> None:
    url = f"{migrated_postgres_url}{'&' if '?' in migrated_postgres_url else '?'}options=-c%20work_mem%3D123kB"
    with SqlStore(url, durability="relaxed") as store:
        assert asked(store, "SHOW work_mem") == "123kB"
        assert asked(store, "SHOW synchronous_commit") == "off"


def test_an_invalid_or_unavailable_durability_is_refused(migrated_postgres_url: str) -> None:
    with pytest.raises(ConfigurationError, match="durability"):
        SqlStore(migrated_postgres_url, durability="some")  # type: ignore[arg-type] # the wrong value is the point
    engine = open_engine(migrated_postgres_url)
    with pytest.raises(ConfigurationError, match="URL"):
        SqlStore(engine, durability="relaxed")
    engine.dispose()


@pytest.mark.parametrize(
    ("error", "over"),
    [
        (KeyboardInterrupt(), True),
        (asyncio.CancelledError(), True),
        (LateError(sent=True), True),
        (RuntimeError("refused"), False),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("url", ["migrated_postgres_url", "migrated_sqlite_url"])
def test_a_connection_is_not_used_again_after_an_interruption_or_a_broken_connection(
    url: str, error: BaseException, over: bool, request: pytest.FixtureRequest
) -> None:
    with SqlStore(request.getfixturevalue(url)) as store:
        connections: Any = store._connections
        lease = connections._take([])
        assert connections._is_over(lease, error) is over
        lease.discard()
        if "postgres" in url:
            assert connections._is_over(lease, error)
