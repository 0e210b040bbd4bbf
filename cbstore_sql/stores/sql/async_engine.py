"""The asynchronous twin of ``engine.py`` and ``checkout.py``: one statement on a connection of an engine's pool."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util.concurrency import greenlet_spawn

from cbstore_sql.errors import ConfigurationError
from cbstore_sql.stores.one_loop import OneLoop
from cbstore_sql.stores.sql.engine import (
    ASYNC_DRIVERS,
    BEGIN_PINNED,
    COMMIT,
    ROLLBACK,
    engine_settings,
    importing_driver,
    is_idle,
    is_spoilt,
    parse_url,
    sqlite_mode,
)
from cbstore_sql.stores.sql.queries import Query, Values


def open_async_engine(url: str | URL, *, relaxed: bool = False) -> AsyncEngine:
    """Make an engine of our own for a URL; its connections commit each statement by itself.

    Args:
        url: See `parse_url`.
        relaxed: See `open_engine`.

    Raises:
        ConfigurationError: See `parse_url` and `importing_driver`.
    """
    parsed, options = engine_settings(parse_url(url, ASYNC_DRIVERS), relaxed=relaxed)
    with importing_driver(parsed):
        # There is never anything to roll back, and aiosqlite would make a trip to its thread for it.
        return create_async_engine(parsed, pool_reset_on_return=None, **options)


class AsyncConnections:
    """The connections of an engine's pool, none of which is kept between two statements.

    A pool serves one event loop at a time: those who wait for a connection cannot wait in another.

    Args:
        engine: Whose pool.
        owned: Whether the pool is the store's own: replaced when a new event loop comes, and closed with the store.
    """

    def __init__(self, engine: AsyncEngine, *, owned: bool) -> None:
        self._engine = engine
        self._owned = owned
        self._pool = engine.pool
        self._loop = OneLoop()

    async def execute(self, query: Query) -> list[Values]:
        """Execute one statement in a transaction of its own and return its rows.

        The connection is never the one the caller is working on, and it goes back as it came; see `autocommitting`.

        Raises:
            ConfigurationError: The pool is another event loop's: one that runs, or the pool is the application's own.
        """
        if query.pause:
            await asyncio.sleep(query.pause)
        await self._enter_loop()
        fairy = await self._engine.raw_connection()
        driver: Any = fairy.driver_connection
        try:
            return await _EXECUTE[self._engine.dialect.name](driver, query)
        except BaseException as error:
            if is_spoilt(self._engine.dialect, driver, error):
                await greenlet_spawn(fairy.invalidate, error)
            raise
        finally:
            await greenlet_spawn(fairy.close)

    async def close(self) -> None:
        """Close the pool; the application's own is left as it is."""
        if self._owned:
            await self._engine.dispose()

    async def _enter_loop(self) -> None:
        if not self._loop.is_new():
            return
        stale = self._pool
        if self._owned:
            self._engine.sync_engine.dispose(close=False)
        elif stale is self._engine.pool and not isinstance(stale, sa.NullPool):
            raise ConfigurationError("the engine was used in another event loop: await engine.dispose() at its end")
        self._pool = self._engine.pool
        self._loop.entered()
        if self._owned:
            await greenlet_spawn(stale.dispose)


async def _execute_psycopg(driver: Any, query: Query) -> list[Values]:
    async with _psycopg_mode(driver), driver.cursor(binary=True) as cursor:
        if not query.pinned:
            return await _execute_on(cursor, query)
        await cursor.execute(BEGIN_PINNED)
        try:
            rows = await _execute_on(cursor, query)
            await cursor.execute(COMMIT)
        except Exception:
            with suppress(Exception):
                await cursor.execute(ROLLBACK)
            raise
        return rows


async def _execute_on(cursor: Any, query: Query) -> list[Values]:
    await cursor.execute(query.statement, query.parameters)
    # Its description would be put together anew each time, column by column.
    rows: list[Values] = [] if cursor.rownumber is None else await cursor.fetchall()
    return rows


async def _execute_aiosqlite(driver: Any, query: Query) -> list[Values]:
    with sqlite_mode(driver):
        rows: list[Values] = await driver.execute_fetchall(query.statement, query.parameters)
        return rows


@asynccontextmanager
async def _psycopg_mode(driver: Any) -> AsyncIterator[None]:
    if driver.autocommit:
        yield
    elif is_idle(driver):
        await driver.set_autocommit(True)
        try:
            yield
        finally:
            if is_idle(driver):
                await driver.set_autocommit(False)
    else:
        # A listener of the application's engine has begun a transaction on check-out.
        yield
        await driver.commit()


_EXECUTE = {"postgresql": _execute_psycopg, "sqlite": _execute_aiosqlite}
