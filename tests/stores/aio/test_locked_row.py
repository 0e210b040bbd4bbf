"""Tests of a server that does not answer for a while, because another session locks the row."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import uuid
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from cbstore_sql import AsyncSqlStore, SqlStore, StoreConflictError
from tests.stores.aio.turns import checked_out, landed, take_turns

MOMENT = 0.05
"""Seconds that no statement on a locked row takes."""

LockRows = Callable[[], AbstractContextManager[None]]
Wait = Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]]


@contextmanager
def locked_on_postgresql(url: str, namespace: str) -> Iterator[None]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("SELECT 1 FROM cbstore.breakers WHERE namespace = %s FOR UPDATE", [namespace])
        yield


@contextmanager
def locked_on_sqlite(url: str, namespace: str) -> Iterator[None]:
    connection = sqlite3.connect(make_url(url).database or "", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


@pytest.fixture
def namespace(sql_url: str) -> str:
    """A namespace with one breaker."""
    with SqlStore(sql_url, namespace=uuid.uuid4().hex) as store:
        store.reset("b")
        return store.namespace


@pytest.fixture
def locked(sql_url: str, namespace: str) -> LockRows:
    """A context manager that locks the rows of the namespace."""
    hold = locked_on_sqlite if sql_url.startswith("sqlite") else locked_on_postgresql
    return partial(hold, sql_url, namespace)


async def by_timeout(operation: Coroutine[Any, Any, Any]) -> None:
    async with asyncio.timeout(MOMENT):  # type: ignore[attr-defined,unused-ignore] # new in Python 3.11
        await operation


async def by_wait_for(operation: Coroutine[Any, Any, Any]) -> None:
    await asyncio.wait_for(operation, MOMENT)


needs_timeout = pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout came with Python 3.11")


@pytest.mark.parametrize("wait", [pytest.param(by_timeout, marks=needs_timeout), by_wait_for])
def test_the_failure_of_a_caller_that_stops_waiting_is_counted(
    sql_url: str, namespace: str, locked: LockRows, wait: Wait
) -> None:
    async def main() -> None:
        async with AsyncSqlStore(sql_url, namespace=namespace) as store:
            with locked():
                with pytest.raises(asyncio.TimeoutError):
                    await wait(store.record_failure("b"))
                assert checked_out(store) == 1
            await landed(store)
            assert checked_out(store) == 0
            assert (await store.read("b")).failure_count == 1

    asyncio.run(main())


def test_closing_waits_for_running_operations_and_leaves_no_task(
    sql_url: str, namespace: str, locked: LockRows
) -> None:
    async def main() -> None:
        store = AsyncSqlStore(sql_url, namespace=namespace)
        with locked():
            failing = asyncio.ensure_future(store.record_failure("b"))
            await take_turns(3)
            failing.cancel()
            closing = asyncio.ensure_future(store.close())
            await asyncio.wait([closing], timeout=MOMENT)
            assert not closing.done()
        await closing
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    with SqlStore(sql_url, namespace=namespace) as store:
        assert store.read("b").failure_count == 1


def test_the_end_of_an_event_loop_closes_its_connection(sql_url: str, namespace: str, locked: LockRows) -> None:
    # SQLite's thread cannot be interrupted while it waits; it gives up by itself.
    store = AsyncSqlStore(sql_url + ("?timeout=0.2" if sql_url.startswith("sqlite") else ""), namespace=namespace)

    async def first() -> None:
        await store.read("b")
        failing = asyncio.ensure_future(store.record_failure("b"))
        await asyncio.wait([failing], timeout=MOMENT)
        assert checked_out(store) == 1

    async def second() -> None:
        failed = await store.record_failure("b")
        assert failed is not None
        # The server may have continued the statement of the event loop that ended.
        assert failed.snapshot.failure_count in (1, 2)
        await store.close()

    with locked():
        asyncio.run(first())
    assert checked_out(store) == 0
    asyncio.run(second())


def test_a_lock_that_outlasts_every_retry_raises_a_conflict_error(migrated_sqlite_url: str) -> None:
    async def main() -> None:
        async with AsyncSqlStore(f"{migrated_sqlite_url}?timeout=0.001") as store:
            with locked_on_sqlite(migrated_sqlite_url, ""), pytest.raises(StoreConflictError):
                await store.record_failure("b")
            assert checked_out(store) == 0

    asyncio.run(main())
