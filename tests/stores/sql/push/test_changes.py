"""Tests that changes of state reach other processes at once."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
import sqlalchemy as sa

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncSqlStore,
    BreakerPolicy,
    CircuitBreaker,
    SqlStore,
)
from cbstore_sql.stores.sql.push.channel import digest_of
from tests.stores.sql.push.tools import LONG, TRIPS_AT_ONCE, hearing, pushing, refuses, sessions
from tests.waiting import eventually


def test_push_makes_a_circuit_that_another_process_opened_refuse_calls_at_once(
    listening: CircuitBreaker, other: SqlStore
) -> None:
    with CircuitBreaker(other, TRIPS_AT_ONCE, store_timeout=None, push=True) as elsewhere:
        elsewhere.failure(elsewhere.admit("b"))
        assert eventually(lambda: refuses(listening))


def test_push_makes_a_circuit_that_another_process_closed_admit_calls_at_once(
    listening: CircuitBreaker, other: SqlStore
) -> None:
    with CircuitBreaker(other, store_timeout=None, push=True) as elsewhere:
        elsewhere.force_open("b", LONG)
        assert eventually(lambda: refuses(listening))
        elsewhere.reset("b")
        assert eventually(lambda: not refuses(listening))


@pytest.mark.parametrize("kind", [AsyncSqlStore, SqlStore])
def test_asynchronous_breakers_send_and_receive_notifications(
    kind: type[AsyncSqlStore | SqlStore], url: str, namespace: str, listening: CircuitBreaker
) -> None:
    async def run() -> None:
        store = kind(url, namespace=namespace)
        async with AsyncCircuitBreaker(
            store, TRIPS_AT_ONCE, store_timeout=None, max_staleness=LONG, push=True
        ) as breaker:
            await breaker.admit("b")
            assert await asyncio.to_thread(eventually, lambda: breaker.push_state == "listening")
            listening.force_open("b", LONG)
            assert await asyncio.to_thread(eventually, lambda: refuses(breaker))
            await breaker.reset("b")
            assert await asyncio.to_thread(eventually, lambda: not refuses(listening))
        assert breaker.push_state == "off"
        await breaker.store.close()

    asyncio.run(run())


def test_a_breaker_closed_right_after_a_change_has_sent_the_notification(
    listening: CircuitBreaker, other: SqlStore
) -> None:
    with CircuitBreaker(other, store_timeout=None, push=True) as elsewhere:
        elsewhere.force_open("b", LONG)
    assert eventually(lambda: refuses(listening))


def test_only_changes_of_state_are_sent(
    listening: CircuitBreaker, observer: psycopg.Connection, namespace: str
) -> None:
    told = hearing(observer)
    listening._controller.policies["b"] = BreakerPolicy(failure_threshold=3)
    for _ in range(2):
        listening.failure(listening.admit("b"))
    listening.success(listening.admit("b"))
    for _ in range(2):
        listening.failure(listening.admit("b"))
    change = listening.force_open("b", LONG)
    listening.force_open("b", LONG * 2)
    listening.close()
    ours = [payload for payload in told() if payload.startswith(digest_of(namespace, "b"))]
    assert ours == [f"{digest_of(namespace, 'b')} {change.snapshot.generation}"]


def test_a_failed_notification_does_not_undo_the_change(
    migrated_postgres_url: str, namespace: str, observer: psycopg.Connection
) -> None:
    role = f"r{namespace}"
    observer.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    observer.execute(f"GRANT ALL ON SCHEMA cbstore TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA cbstore TO {role}")
    own = sa.make_url(migrated_postgres_url).set(username=role, password="secret")
    try:
        with SqlStore(own, namespace=namespace) as store, pushing(store) as breaker:
            observer.execute("REVOKE EXECUTE ON FUNCTION pg_notify FROM PUBLIC")
            breaker.failure(breaker.admit("b"))
            assert breaker.state("b") == "open"
            assert eventually(lambda: breaker.push_state == "connecting")
            assert breaker.reset("b").changed
    finally:
        observer.execute("GRANT EXECUTE ON FUNCTION pg_notify TO PUBLIC")
        observer.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_without_push_no_session_listens_and_no_notification_is_sent(
    url: str, namespace: str, observer: psycopg.Connection
) -> None:
    told = hearing(observer)
    with SqlStore(url, namespace=namespace) as store, CircuitBreaker(store, store_timeout=None) as breaker:
        breaker.force_open("b", LONG)
        assert breaker.push_state is None
        assert len(sessions(observer, namespace)) == 1
    assert not [payload for payload in told() if payload.startswith(digest_of(namespace, "b"))]
