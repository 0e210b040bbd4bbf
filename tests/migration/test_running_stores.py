"""Stores run while the table is migrated. Their prepared statements belong to the old table."""

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
from cbstore_sql.stores.dict_protocol import ProtocolStore
from tests.migration.release_0_1 import as_release_0_1
from tests.stores.contract.blocking import Blocking
from tests.waiting import eventually

NEVER = BreakerPolicy(failure_threshold=1000)
THREADS = 4
BEFORE = 6
"""How often each thread fails before, so that engines of the application prepare too."""


@contextmanager
def on_a_url(url: str) -> Iterator[ProtocolStore]:
    with SqlStore(url) as store:
        as_release_0_1(store)
        yield store


@contextmanager
def asynchronous_on_a_url(url: str) -> Iterator[ProtocolStore]:
    with Blocking(lambda: AsyncSqlStore(url)) as store:
        as_release_0_1(store.store)
        yield store


@contextmanager
def on_an_engine(url: str) -> Iterator[ProtocolStore]:
    engine = sa.create_engine(url)
    store = SqlStore(engine)
    as_release_0_1(store)
    yield store
    engine.dispose()


@contextmanager
def on_an_asynchronous_engine(url: str) -> Iterator[ProtocolStore]:
    engine = create_async_engine(url)
    store = Blocking(lambda: AsyncSqlStore(engine))
    as_release_0_1(store.store)
    yield store
    store.loop.wait(engine.dispose())
    store.close()


STORES: dict[str, Callable[[str], AbstractContextManager[ProtocolStore]]] = {
    "a URL": on_a_url,
    "a URL, asynchronous": asynchronous_on_a_url,
    "an engine": on_an_engine,
    "an engine, asynchronous": on_an_asynchronous_engine,
}
"""Stores of the previous release: they work at both revisions."""


@pytest.mark.parametrize("kind", STORES)
def test_a_migration_causes_no_error_in_a_running_store(postgresql_url: str, kind: str) -> None:
    migrate(postgresql_url)
    with STORES[kind](postgresql_url) as store, ThreadPoolExecutor(THREADS) as pool:
        at_once(pool, lambda: [store.record_failure("b", NEVER) for _ in range(BEFORE)])
        expected = THREADS * BEFORE
        for change in (partial(downgrade, revision="0002"), partial(downgrade, revision="0001"), migrate):
            change(postgresql_url)
            at_once(pool, lambda: store.record_failure("b", NEVER))
            expected += THREADS
            assert store.read("b").failure_count == expected


@pytest.mark.parametrize("kind", ["a URL", "a URL, asynchronous"])
def test_the_first_refused_statement_after_a_migration_closes_all_old_connections(
    postgresql_url: str, kind: str
) -> None:
    migrate(postgresql_url)
    url = sa.make_url(postgresql_url).update_query_dict({"application_name": "counted"})
    with (
        sa.create_engine(postgresql_url, poolclass=sa.NullPool).connect() as other,
        STORES[kind](url.render_as_string(hide_password=False)) as store,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        store.reset("b")
        # A locked row makes each thread use a separate connection.
        other.execute(sa.text("SELECT FROM cbstore.breakers FOR UPDATE"))
        held = [pool.submit(store.record_failure, "b", NEVER) for _ in range(THREADS)]
        assert eventually(lambda: sessions(other) == THREADS)
        other.commit()
        for each in held:
            each.result()
        # The next revision changes the types of the columns that the prepared statements return.
        downgrade(postgresql_url, "0001")
        store.record_failure("b", NEVER)
        assert eventually(lambda: sessions(other) == 1), "the server ends a session some time after it was closed"


def sessions(connection: sa.Connection) -> int:
    """Return the number of the store's sessions."""
    connection.execute(sa.text("SELECT pg_stat_clear_snapshot()"))
    counting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'counted'"
    return int(connection.execute(sa.text(counting)).scalar_one())


def at_once(pool: ThreadPoolExecutor, work: Callable[[], object]) -> None:
    """Run a function in every thread of a pool at the same time."""
    barrier = Barrier(THREADS)

    def begin() -> None:
        barrier.wait()
        work()

    for done in [pool.submit(begin) for _ in range(THREADS)]:
        done.result()
