from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from cbstore_sql import (
    AsyncRedisStore,
    AsyncSqlStore,
    ConfigurationError,
    RedisStore,
    SchemaError,
    SqlStore,
    StoreUnavailableError,
)

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no url at all",
        f"mysql+aiomysql://u:{SECRET}@h/db",
        f"postgresql+asyncpg://u:{SECRET}@h/db",
        f"postgresql://u:{SECRET}@h:port/db",
        "sqlite+pysqlite:///x.db",
        "sqlite://",
        "sqlite+aiosqlite:///:memory:",
    ],
)
def test_an_invalid_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AsyncSqlStore(url)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("scheme", "driver"),
    [
        ("postgres", "psycopg"),
        ("postgresql", "psycopg"),
        ("postgresql+psycopg", "psycopg"),
        ("sqlite", "aiosqlite"),
        ("sqlite+aiosqlite", "aiosqlite"),
    ],
)
def test_a_url_needs_no_driver(scheme: str, driver: str) -> None:
    dialect = AsyncSqlStore(f"{scheme}:///some/database")._engine.dialect
    assert (dialect.driver, dialect.is_async) == (driver, True)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: AsyncSqlStore(sa.create_engine("sqlite:///x.db")), id="AsyncSqlStore"),  # type: ignore[arg-type] # the wrong type is the point
        pytest.param(lambda: AsyncSqlStore(engine=sa.create_engine("postgresql+psycopg://h/d")), id="engine"),  # type: ignore[arg-type] # the wrong type is the point
        pytest.param(lambda: SqlStore(create_async_engine("postgresql+psycopg://h/d")), id="SqlStore"),  # type: ignore[arg-type] # the wrong type is the point
        pytest.param(lambda: SqlStore(create_async_engine("postgresql+psycopg://h/d").sync_engine), id="sync_engine"),
    ],
)
def test_a_synchronous_engine_is_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigurationError, match="synchronous"):
        make()


def test_a_redis_client_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"AsyncRedisStore needs a client from redis\.asyncio"):
        AsyncRedisStore(redis.Redis())
    with pytest.raises(ConfigurationError, match="RedisStore needs a client from redis"):
        RedisStore(redis.asyncio.Redis())
    with pytest.raises(ConfigurationError, match="redis_client is required"):
        AsyncRedisStore(None)


def test_exactly_one_database_is_needed() -> None:
    with pytest.raises(ConfigurationError):
        AsyncSqlStore()
    with pytest.raises(ConfigurationError):
        AsyncSqlStore("sqlite:///x.db", engine=create_async_engine("sqlite+aiosqlite:///x.db"))


def test_an_engine_with_a_static_pool_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="StaticPool"):
        AsyncSqlStore(create_async_engine("sqlite+aiosqlite://"))


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiosqlite", None)
    with pytest.raises(ConfigurationError, match=r"cbstore_sql\[aiosqlite\]"):
        AsyncSqlStore("sqlite:///x.db")


def test_a_missing_table_names_the_command(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncSqlStore(f"sqlite:///{tmp_path}/empty.db") as store:
            with pytest.raises(SchemaError, match="cbstore migrate"):
                await store.record_failure("b")

    asyncio.run(main())


@pytest.mark.parametrize(
    "make",
    [
        lambda: AsyncSqlStore(f"postgresql://u:{SECRET}@127.0.0.1:1/db?sslpassword={SECRET}"),
        lambda: AsyncRedisStore.from_url(f"redis://u:{SECRET}@127.0.0.1:1/0"),
    ],
)
def test_a_store_and_its_errors_show_no_secret(make: Callable[[], Any]) -> None:
    async def main() -> None:
        async with make() as store:
            assert SECRET not in repr(store)
            with pytest.raises(StoreUnavailableError) as caught:
                await store.read("b")
        assert SECRET not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)

    asyncio.run(main())


def test_read_all_returns_the_breakers_of_every_namespace(sql_url: str) -> None:
    async def main() -> None:
        async with AsyncSqlStore(sql_url, namespace="read_all") as store:
            await store.record_failure("b")
            snapshots = await store.read_all()
            assert ("read_all", "b") in [(namespace, snapshot.name) for namespace, snapshot in snapshots]

    asyncio.run(main())
