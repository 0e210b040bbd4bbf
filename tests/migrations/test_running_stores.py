"""Stores that are at work while the table is migrated: what they have prepared is of the table before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from threading import Barrier

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from cbstore_sql import AsyncSqlStore, BreakerPolicy, SqlStore, migrate
from cbstore_sql.migration import downgrade
from cbstore_sql.protocol import ProtocolStore
from tests.contract.blocking import Blocking

NEVER = BreakerPolicy(failure_threshold=1000)
THREADS = 4
BEFORE = 6
"""How often each thread fails before, so that engines of the application prepare too."""


@contextmanager
def on_an_engine(url: str) -> Iterator[ProtocolStore]:
    engine = sa.create_engine(url)
    yield SqlStore(engine)
    engine.dispose()


@contextmanager
def on_an_asynchronous_engine(url: str) -> Iterator[ProtocolStore]:
    engine = create_async_engine(url)
    store = Blocking(lambda: AsyncSqlStore(engine))
    yield store
    store.loop.wait(engine.dispose())
    store.close()


STORES: dict[str, Callable[[str], AbstractContextManager[ProtocolStore]]] = {
    "a URL": SqlStore,
    "a URL, asynchronous": lambda url: Blocking(lambda: AsyncSqlStore(url)),
    "an engine": on_an_engine,
    "an engine, asynchronous": on_an_asynchronous_engine,
}


@pytest.mark.parametrize("kind", STORES)
def test_a_migration_under_a_store_at_work_reaches_no_caller(postgresql_url: str, kind: str) -> None:
    migrate(postgresql_url)
    with STORES[kind](postgresql_url) as store, ThreadPoolExecutor(THREADS) as pool:
        at_once(pool, lambda: [store.record_failure("b", NEVER) for _ in range(BEFORE)])
        expected = THREADS * BEFORE
        for change in (partial(downgrade, revision="-1"), migrate):
            change(postgresql_url)
            at_once(pool, lambda: store.record_failure("b", NEVER))
            expected += THREADS
            assert store.read("b").failure_count == expected


def at_once(pool: ThreadPoolExecutor, work: Callable[[], object]) -> None:
    """Do something in every thread of a pool at the same time."""
    barrier = Barrier(THREADS)

    def begin() -> None:
        barrier.wait()
        work()

    for done in [pool.submit(begin) for _ in range(THREADS)]:
        done.result()
