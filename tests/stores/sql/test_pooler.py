"""Tests behind a pooler in transaction mode, which gives each transaction any session of the server."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from cbstore_sql import BreakerPolicy, SqlStore
from cbstore_sql.stores.dict_protocol import ProtocolStore
from tests.stores.contract.backends import open_store
from tests.stores.sql.pooler import needs_pgbouncer, transaction_pooler

NEVER = BreakerPolicy(failure_threshold=10**6)
OPERATIONS = 240


@pytest.fixture(scope="module")
def pooled(migrated_postgres_url: str) -> Iterator[str]:
    with transaction_pooler(migrated_postgres_url) as pooled:
        yield pooled


def work(store: ProtocolStore) -> None:
    """Run operations in four threads at once."""
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(operate, store, number) for number in range(OPERATIONS)]:
            done.result()


def operate(store: ProtocolStore, number: int) -> None:
    store.record_failure("b", NEVER) if number % 2 else store.read("b")


@needs_pgbouncer
@pytest.mark.parametrize("backend", ["postgresql", "async-postgresql"])
def test_a_store_made_from_a_url_works_behind_a_transaction_pooler(
    pooled: str, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "cbstore_sql"), open_store(backend, pooled, uuid.uuid4().hex) as store:
        work(store)
        assert store.read("b").failure_count == OPERATIONS // 2
    said = [record.getMessage() for record in caplog.records if "pooler" in record.getMessage()]
    assert len(said) <= 1


@needs_pgbouncer
def test_an_application_s_engine_with_its_defaults_works_behind_a_transaction_pooler(pooled: str) -> None:
    engine = sa.create_engine(pooled, pool_size=4)
    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    work(store)
    assert store.read("b").failure_count == OPERATIONS // 2
    engine.dispose()


def prepared(store: SqlStore) -> int:
    """Return how many of the library's statements are prepared in the session that the store uses next."""
    with store._engine.connect() as connection:
        question = "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'cbstore_%'"
        return int(connection.exec_driver_sql(question.replace("%", "%%")).scalar_one())


def test_the_prepare_threshold_of_the_application_s_engine_applies(migrated_postgres_url: str) -> None:
    for threshold, expected in ((None, 0), (0, 1), (3, 1), (100, 0)):
        connect_args = {"prepare_threshold": threshold}
        engine = sa.create_engine(migrated_postgres_url, pool_size=1, max_overflow=0, connect_args=connect_args)
        store = SqlStore(engine)
        for _ in range(5):
            store.read("b")
        assert prepared(store) == expected, threshold
        engine.dispose()


def test_deallocated_statements_are_prepared_again_without_a_log_line_about_a_pooler(
    migrated_postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = sa.create_engine(migrated_postgres_url, pool_size=1, max_overflow=0, connect_args={"prepare_threshold": 0})
    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    with caplog.at_level(logging.INFO, "cbstore_sql"):
        for failures in (1, 2):
            store.record_failure("b", NEVER)
            with engine.connect() as connection:
                connection.exec_driver_sql("DEALLOCATE ALL")
            assert store.read("b").failure_count == failures
        assert prepared(store) == 1
        for failures in range(3, 9):
            store.record_failure("b", NEVER)
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("DISCARD ALL")
            assert store.read("b").failure_count == failures
    assert prepared(store) == 0, "a session that is reset again and again prepares nothing"
    assert not caplog.records
    engine.dispose()


def test_the_deallocate_all_of_psycopg_is_not_mistaken_for_a_pooler(
    migrated_postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    engine = sa.create_engine(migrated_postgres_url, pool_size=1, max_overflow=0, connect_args={"prepare_threshold": 0})
    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    with caplog.at_level(logging.INFO, "cbstore_sql"):
        store.record_failure("b", NEVER)
        with engine.begin() as connection:
            for statement in ("SELECT 1", "CREATE TEMPORARY TABLE mine (n int)", "DROP TABLE mine", "SELECT 2"):
                connection.exec_driver_sql(statement)
        store.record_failure("b", NEVER)
    assert store.read("b").failure_count == 2
    assert prepared(store) == 2
    assert not caplog.records
    engine.dispose()
