"""The store does not change the application's transaction, settings and engine."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from cbstore_sql import AsyncSqlStore, BreakerPolicy, SchemaError, SqlStore
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.statements.statement import TEXT, Statement
from tests.stores.aio.turns import checked_out

NEVER = BreakerPolicy(failure_threshold=1000)
SHOWN = Statement("SHOW synchronous_commit", (), [TEXT])

Work = Callable[[AsyncEngine], Coroutine[Any, Any, None]]


def beside(work: Work, url: str, **options: Any) -> None:
    """Run a coroutine function with an engine of the application."""

    async def main() -> None:
        engine = create_async_engine(url, **options)
        try:
            await work(engine)
        finally:
            await engine.dispose()

    asyncio.run(main())


async def driver_of(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return (await connection.get_raw_connection()).driver_connection


def test_the_store_shares_the_application_s_engine_and_does_not_close_it(async_url: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        driver = await driver_of(engine)
        async with AsyncSqlStore(engine) as store:
            await store.read("b")
        assert checked_out(store) == 0
        assert await driver_of(engine) is driver

    beside(work, async_url)


@pytest.mark.parametrize("schema", ["cbstore", "nowhere"])
def test_a_connection_returns_to_the_pool_with_its_settings_unchanged(migrated_postgres_url: str, schema: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        store = AsyncSqlStore(engine, schema=schema)
        outcome = (await asyncio.gather(store.record_failure("b"), return_exceptions=True))[0]
        assert isinstance(outcome, SchemaError) is (schema == "nowhere")
        assert not (await driver_of(engine)).autocommit

    beside(work, migrated_postgres_url)


def test_a_sqlite_connection_returns_to_the_pool_with_its_settings_unchanged(migrated_sqlite_url: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        before = (await driver_of(engine)).isolation_level
        await AsyncSqlStore(engine).record_failure("b")
        assert before is not None
        assert (await driver_of(engine)).isolation_level == before

    beside(work, migrated_sqlite_url.replace("sqlite:", "sqlite+aiosqlite:"))


def test_a_rolled_back_application_transaction_loses_no_count(migrated_postgres_url: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        store = AsyncSqlStore(engine, namespace=uuid.uuid4().hex)
        async with engine.connect() as connection:
            await connection.execute(sa.text("SET LOCAL application_name = 'mine'"))
            await store.record_failure("b", NEVER)
            assert connection.in_transaction()
            assert await connection.scalar(sa.text("SHOW application_name")) == "mine"
            await connection.rollback()
        assert (await store.read("b")).failure_count == 1

    beside(work, migrated_postgres_url)


def test_a_listener_that_begins_a_transaction_on_check_out_loses_no_count(async_url: str, sql_url: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        @sa.event.listens_for(engine.sync_engine, "checkout")
        def begin(connection: Any, _record: Any, _proxy: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("SELECT 1" if engine.dialect.name == "postgresql" else "BEGIN")

        store = AsyncSqlStore(engine, namespace=uuid.uuid4().hex)
        await store.record_failure("b", NEVER)
        with SqlStore(sql_url, namespace=store.namespace) as other:
            assert other.read("b").failure_count == 1

    beside(work, async_url)


@pytest.mark.parametrize("level", ["repeatable\\ read", "serializable"])
def test_a_stricter_default_isolation_level_loses_no_count(migrated_postgres_url: str, level: str) -> None:
    async def work(engine: AsyncEngine) -> None:
        store = AsyncSqlStore(engine, namespace=uuid.uuid4().hex)
        await store.reset("b")
        await asyncio.gather(*[store.record_failure("b", NEVER) for _ in range(100)])
        assert (await store.read("b")).failure_count == 100

    options = f"-c default_transaction_isolation={level}"
    beside(work, migrated_postgres_url, connect_args={"options": options}, pool_size=8)


def test_each_operation_is_one_statement(migrated_postgres_url: str) -> None:
    heard: list[str] = []

    async def work(engine: AsyncEngine) -> None:
        @sa.event.listens_for(engine.sync_engine, "connect")
        def listen(connection: Any, _record: Any) -> None:
            connection.driver_connection.add_notice_handler(lambda notice: heard.append(notice.message_primary))

        store = AsyncSqlStore(engine, namespace=uuid.uuid4().hex)
        await store.reset("b")
        heard.clear()
        await store.record_failure("b", NEVER)
        await store.read("b")
        assert [text.partition(": ")[2].split()[0] for text in heard] == ["UPDATE", "SELECT"]

    # These are start-up options, so that the log contains no SET statement of the test.
    options = "-c client_min_messages=log -c log_statement=all"
    beside(work, migrated_postgres_url, connect_args={"options": options})


def test_relaxed_durability_applies_only_to_counts(migrated_postgres_url: str) -> None:
    class Watched(AsyncSqlStore):
        async def _execute(self, query: Query) -> list[Values]:
            settings.extend(await super()._execute(Query(SHOWN, {}, query.durable)))
            return await super()._execute(query)

    async def main() -> None:
        async with Watched(migrated_postgres_url, namespace=uuid.uuid4().hex, durability="relaxed") as store:
            await store.reset("b")
            settings.clear()
            await store.record_failure("b", NEVER)
            await store.force_open("b", 0.0)

    settings: list[Values] = []
    asyncio.run(main())
    assert settings == [("off",), ("on",)]
