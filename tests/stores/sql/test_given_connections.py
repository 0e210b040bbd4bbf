"""Connections of the application's engine: ended by the server, opened too late, or with a message in between."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from cbstore_sql import AsyncSqlStore, BreakerPolicy, SqlStore, StoreUnavailableError
from cbstore_sql.deadline import within
from tests.waiting import eventually

NEVER = BreakerPolicy(failure_threshold=1000)
IDLE = 3
ENDED = (
    "SELECT count(*) FROM (SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE application_name = %s)"
)


@pytest.fixture
def name() -> str:
    """The name of the engine's sessions on the server, and the namespace of the store."""
    return f"given-{uuid.uuid4().hex}"


@pytest.fixture
def url(migrated_postgres_url: str, name: str) -> str:
    return f"{migrated_postgres_url}?application_name={name}"


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(url, pool_size=IDLE)
    yield engine
    engine.dispose()


def end_sessions(url: str, name: str) -> None:
    with psycopg.connect(url.replace("+psycopg", "").partition("?")[0], autocommit=True) as session:
        assert session.execute(f"{ENDED} AS ended".encode(), [name]).fetchone() == (IDLE,)


def test_idle_sessions_that_the_server_ended_cause_no_error(engine: sa.Engine, url: str, name: str) -> None:
    store = SqlStore(engine, namespace=name)
    store.record_failure("b", NEVER)
    for held in [engine.connect() for _ in range(IDLE)]:
        held.close()
    end_sessions(url, name)
    # Without a deadline: what could not be known would not be repeated.
    for failures in range(2, IDLE + 3):
        store.record_failure("b", NEVER)
        assert store.read("b").failure_count == failures


def test_idle_sessions_that_the_server_ended_cause_no_error_in_a_task(url: str, name: str) -> None:
    async def counted() -> int:
        engine = create_async_engine(url, pool_size=IDLE)
        store = AsyncSqlStore(engine, namespace=name)
        for held in [await engine.connect() for _ in range(IDLE)]:
            await held.close()
        await asyncio.to_thread(end_sessions, url, name)
        for _ in range(IDLE + 1):
            await store.record_failure("b", NEVER)
        failures = (await store.read("b")).failure_count
        await engine.dispose()
        return failures

    assert asyncio.run(counted()) == IDLE + 1


def test_a_connection_that_opened_after_the_deadline_serves_the_next_operation(engine: sa.Engine, name: str) -> None:
    opened: list[object] = []
    sa.event.listen(engine, "connect", lambda *_: opened.append(None))
    store = SqlStore(engine, namespace=name)
    with within(0.0), pytest.raises(StoreUnavailableError) as caught:
        store.record_failure("b", NEVER)
    assert caught.value.applied is False, "nothing is sent too late"
    assert store.read("b").failure_count == 0
    assert len(opened) == 1


def test_a_task_s_connection_that_opened_after_the_deadline_serves_the_next_operation(url: str, name: str) -> None:
    opened: list[object] = []

    async def work() -> None:
        engine = create_async_engine(url, pool_size=IDLE)
        sa.event.listen(engine.sync_engine, "connect", lambda *_: opened.append(None))
        store = AsyncSqlStore(engine, namespace=name)
        with within(0.0), pytest.raises(StoreUnavailableError) as caught:
            await store.record_failure("b", NEVER)
        assert caught.value.applied is False
        assert (await store.read("b")).failure_count == 0
        await engine.dispose()

    asyncio.run(work())
    assert len(opened) == 1


def test_a_notification_between_statements_does_not_end_the_connection(engine: sa.Engine, url: str, name: str) -> None:
    store = SqlStore(engine, namespace=name)
    opened: list[object] = []
    sa.event.listen(engine, "connect", lambda *_: opened.append(None))
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(f'LISTEN "{name}"')
        driver = connection.connection.driver_connection
    assert driver is not None
    store.read("b")
    with psycopg.connect(url.replace("+psycopg", "").partition("?")[0], autocommit=True) as session:
        session.execute("SELECT pg_notify(%s, 'news')", [name])
    received: list[str] = []
    driver.add_notify_handler(lambda notification: received.append(notification.payload))
    assert eventually(lambda: store.read("b") and received)
    assert received == ["news"]
    assert len(opened) == 1
