"""Without LISTEN, push is refused or reported once as unavailable, and polling continues."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from cbstore_sql import (
    AsyncCircuitBreaker,
    AsyncSqlStore,
    CircuitBreaker,
    ConfigurationError,
    InMemoryStore,
    SqlStore,
)
from cbstore_sql.stores.sql.push import listener as listen
from cbstore_sql.stores.sql.push.channel import NotDeliveredError, is_impossible
from cbstore_sql.stores.threaded import ThreadedStore
from tests.stores.sql.pooler import needs_pgbouncer, transaction_pooler
from tests.stores.sql.push.tools import LONG, is_called
from tests.waiting import eventually


@needs_pgbouncer
def test_push_behind_a_transaction_pooler_is_logged_as_unavailable_once_and_polling_continues(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    migrated_postgres_url: str,
    namespace: str,
    other: SqlStore,
) -> None:
    monkeypatch.setattr(listen, "_PROBE_SECONDS", 0.3)
    monkeypatch.setattr(listen, "_IMPOSSIBLE_PAUSE", 0.05)
    with transaction_pooler(migrated_postgres_url) as pooled, caplog.at_level(logging.WARNING):
        engine = sa.create_engine(pooled, connect_args={"prepare_threshold": None})
        opened: list[object] = []
        sa.event.listen(engine, "detach", lambda *given: opened.append(given))
        store = SqlStore(engine, namespace=namespace)
        with CircuitBreaker(store, store_timeout=None, max_staleness=0.1, push=True) as breaker:
            assert eventually(lambda: is_called(breaker) and breaker.push_state == "unavailable")
            assert eventually(lambda: is_called(breaker) and len(opened) > 4), "two sessions each time it tries again"
            other.force_open("b", LONG)
            assert eventually(lambda: not is_called(breaker))
        engine.dispose()
    said = [record.getMessage() for record in caplog.records if "push" in record.getMessage()]
    assert len(said) == 1
    assert "polling goes on" in said[0]
    assert "://" not in said[0]


@pytest.mark.parametrize(
    ("error", "impossible"),
    [
        pytest.param(SimpleNamespace(sqlstate="25006"), True, id="a standby"),
        pytest.param(SimpleNamespace(sqlstate="57P01"), False, id="a server that stops"),
        pytest.param(SimpleNamespace(sqlstate=None), False, id="a connection that broke"),
        pytest.param(OSError(), False, id="no driver's error"),
    ],
)
def test_an_error_of_a_standby_means_that_push_is_impossible(error: BaseException, impossible: bool) -> None:
    assert is_impossible(error) is impossible


def test_a_standby_is_tried_again_sooner_than_a_pooler_for_it_may_become_the_primary(
    migrated_postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with SqlStore(migrated_postgres_url) as store, CircuitBreaker(store, push=True) as breaker:
        push: Any = breaker._push
        standby, pooler = psycopg.errors.ReadOnlySqlTransaction(), NotDeliveredError()
        assert max(push._pause_after(standby, failures) for failures in range(1, 20)) <= 30.0
        assert push._pause_after(pooler, 1) == 300.0
        assert push.state == "unavailable"
    assert len([record for record in caplog.records if "push" in record.getMessage()]) == 1


def test_a_store_that_cannot_push_is_refused(migrated_sqlite_url: str, migrated_postgres_url: str) -> None:
    with SqlStore(migrated_sqlite_url) as store, pytest.raises(ConfigurationError, match="PostgreSQL"):
        CircuitBreaker(store, store_timeout=None, push=True)
    with SqlStore(migrated_sqlite_url) as store, pytest.raises(ConfigurationError, match="PostgreSQL"):
        AsyncCircuitBreaker(ThreadedStore(store), push=True)
    with pytest.raises(ConfigurationError, match="push"):
        CircuitBreaker(InMemoryStore(), push=True)
    with SqlStore(migrated_postgres_url) as store, pytest.raises(ConfigurationError, match="max_staleness"):
        CircuitBreaker(store, store_timeout=None, push=True, max_staleness=0.0)
    with pytest.raises(ConfigurationError, match="URL"):
        AsyncCircuitBreaker(AsyncSqlStore(create_async_engine(migrated_postgres_url)), push=True)
