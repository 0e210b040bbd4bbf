"""Tests of the statements of docs/deployment.md about PgBouncer."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from cbstore_sql import BreakerPolicy, SqlStore
from tests.stores.sql.pooler import needs_pgbouncer, transaction_pooler

pytestmark = needs_pgbouncer

NEVER = BreakerPolicy(failure_threshold=10**6)
THREADS, REPORTS = 6, 120


@pytest.fixture(scope="module")
def pooled(migrated_postgres_url: str) -> Iterator[str]:
    with transaction_pooler(migrated_postgres_url) as url:
        yield url


def count_from_threads(store: SqlStore) -> None:
    """Report more failures at once than PgBouncer has connections to the server."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda number: store.record_failure(f"b{number % 3}", NEVER), range(REPORTS)))


def test_in_transaction_mode_an_engine_without_prepared_statements_works(pooled: str) -> None:
    engine = sa.create_engine(pooled, connect_args={"prepare_threshold": None})
    store = SqlStore(engine, namespace=uuid.uuid4().hex)
    count_from_threads(store)
    assert sum(store.read(f"b{number}").failure_count for number in range(3)) == REPORTS
    engine.dispose()
