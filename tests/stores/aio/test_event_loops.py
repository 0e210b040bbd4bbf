"""Tests of stores across event loops that end one after the other."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest
import redis.asyncio
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from cbstore_sql import (
    AsyncRedisStore,
    AsyncSqlStore,
    AsyncStore,
    BreakerPolicy,
    ConfigurationError,
    SqlStore,
    StoreUnavailableError,
)
from cbstore_sql.deadline import within
from cbstore_sql.stores.sql.operations import Query
from cbstore_sql.stores.sql.statements.statement import TEXT, Statement
from tests.stores.aio.conftest import OpenStore
from tests.stores.aio.turns import checked_out, numbers_of_turns, take_turns
from tests.system.faults.proxy import FaultProxy

TASKS = 30
"""More than a pool of our own has connections."""

NEVER = BreakerPolicy(failure_threshold=1000)
OWN_BACKEND = Statement("SELECT pg_backend_pid()::text", (), [TEXT])


async def fail_often(store: AsyncStore) -> None:
    await asyncio.gather(*[store.record_failure("b", NEVER) for _ in range(TASKS)])


async def fail_often_and_close(store: AsyncStore) -> None:
    async with store:
        await fail_often(store)


async def failures(store: AsyncStore) -> int:
    async with store:
        return (await store.read("b")).failure_count


def test_a_store_closed_at_the_end_of_each_event_loop_works_in_the_next_loop(open_store: OpenStore) -> None:
    store = open_store(uuid.uuid4().hex)
    for _ in range(3):
        asyncio.run(fail_often_and_close(store))
    assert asyncio.run(failures(store)) == 3 * TASKS


def test_a_store_made_from_a_url_works_in_the_next_loop_without_being_closed(sql_url: str) -> None:
    store = AsyncSqlStore(sql_url, namespace=uuid.uuid4().hex)
    for _ in range(3):
        asyncio.run(fail_often(store))
    assert asyncio.run(failures(store)) == 3 * TASKS


def test_an_engine_of_another_event_loop_is_refused_until_it_is_disposed_of(async_url: str) -> None:
    engine = create_async_engine(async_url)
    store = AsyncSqlStore(engine, namespace=uuid.uuid4().hex)
    asyncio.run(fail_often(store))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"engine\.dispose"):
            asyncio.run(fail_often(store))
    asyncio.run(engine.dispose())
    asyncio.run(fail_often(store))
    asyncio.run(engine.dispose())


def test_an_engine_without_a_pool_works_in_every_event_loop(async_url: str) -> None:
    store = AsyncSqlStore(create_async_engine(async_url, poolclass=sa.NullPool), namespace=uuid.uuid4().hex)
    for _ in range(2):
        asyncio.run(fail_often(store))
    assert asyncio.run(failures(store)) == 2 * TASKS


async def fail_once(store: AsyncRedisStore) -> int:
    failed = await store.record_failure("b", NEVER)
    assert failed is not None
    return failed.snapshot.failure_count


def test_a_redis_client_closed_at_the_end_of_each_loop_works_in_the_next_loop(redis_url: str) -> None:
    client = redis.asyncio.Redis.from_url(redis_url)
    store = AsyncRedisStore(client, namespace=uuid.uuid4().hex)

    async def fail_and_close() -> int:
        async with client:
            return await fail_once(store)

    assert [asyncio.run(fail_and_close()) for _ in range(3)] == [1, 2, 3]


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning", "ignore:loop is closed:ResourceWarning")
def test_a_redis_client_of_another_event_loop_is_refused_until_it_is_closed(redis_url: str) -> None:
    store = AsyncRedisStore(redis.asyncio.Redis.from_url(redis_url))
    asyncio.run(fail_once(store))
    with pytest.raises(StoreUnavailableError, match=r"client\.aclose") as caught:
        asyncio.run(fail_once(store))
    assert caught.value.applied is None


def test_a_forked_child_opens_new_connections_and_does_not_use_the_parent_s(migrated_postgres_url: str) -> None:
    store = AsyncSqlStore(migrated_postgres_url, namespace=uuid.uuid4().hex)

    async def backend() -> str:
        await store.record_failure("b", NEVER)
        return str((await store._execute(Query(OWN_BACKEND, {})))[0][0])

    async def main() -> None:
        own = await backend()
        child = os.fork()
        if child == 0:
            in_child(lambda: asyncio.run(backend()) != own)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert await backend() == own, "the parent's session goes on"
        assert (await store.read("b")).failure_count == 3
        await store.close()

    asyncio.run(main())


def in_child(is_well: Callable[[], bool]) -> NoReturn:
    """Run a function in a forked process and end the process, which must not continue the parent's tests or loop."""
    asyncio.events._set_running_loop(None)
    try:
        well = is_well()
    except BaseException:  # noqa: BLE001 - whatever it is, the process ends here
        well = False
    os._exit(not well)


def test_a_store_in_two_event_loops_at_once_is_refused(sql_url: str) -> None:
    async def main() -> None:
        async with AsyncSqlStore(sql_url) as store:
            await store.read("b")
            with ThreadPoolExecutor(1) as pool, pytest.raises(ConfigurationError, match="another event loop"):
                pool.submit(asyncio.run, store.read("b")).result()
            await store.read("b")

    asyncio.run(main())


@pytest.mark.parametrize("connected", [False, True])
def test_an_event_loop_that_ends_at_any_moment_leaves_no_connection(sql_url: str, connected: bool) -> None:
    store = AsyncSqlStore(sql_url, namespace=uuid.uuid4().hex)

    async def begin(name: str, turns: int) -> bool:
        if connected or sql_url.startswith("sqlite"):
            # If opening the file is cancelled, aiosqlite's thread answers to an event loop that has ended.
            await store.read(name)
        task = asyncio.ensure_future(store.record_failure(name))
        await take_turns(turns)
        return task.done()

    for turns in numbers_of_turns():
        name = f"{turns}"
        done = asyncio.run(begin(name, turns))
        assert checked_out(store) == 0, turns
        with SqlStore(sql_url, namespace=store.namespace) as other:
            assert other.read(name).failure_count in ((1,) if done else (0, 1)), turns
        if done:
            break
    asyncio.run(store.close())


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_connections_that_closed_event_loops_were_opening_use_no_place_in_the_pool(migrated_postgres_url: str) -> None:
    async def read(store: AsyncSqlStore) -> int:
        with within(0.02):
            return (await store.read("b")).failure_count

    def in_a_loop_that_is_closed(store: AsyncSqlStore) -> None:
        loop = asyncio.new_event_loop()
        try:
            with pytest.raises(StoreUnavailableError):
                loop.run_until_complete(read(store))
        finally:
            # Celery tasks and web handlers do the same: they do not finish what the event loop had begun.
            loop.close()

    with FaultProxy(migrated_postgres_url) as proxy:
        store = AsyncSqlStore(proxy.url(migrated_postgres_url), namespace=uuid.uuid4().hex)
        proxy.switch("hole")
        for _ in range(TASKS):
            in_a_loop_that_is_closed(store)
        proxy.heal()
        assert asyncio.run(failures(store)) == 0
