"""The asynchronous twin of ``engine.py`` and ``checkout.py``: one statement on a connection of an engine's pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util.concurrency import greenlet_spawn

from cbstore_sql.errors import ConfigurationError
from cbstore_sql.runtime.tasks import OneLoop, in_background
from cbstore_sql.stores.sql.connections.checkout import CheckoutHealth, busy_session, close_broken, is_over
from cbstore_sql.stores.sql.connections.engine import (
    ASYNC_DRIVERS,
    engine_settings,
    importing_driver,
    parse_url,
    sqlite_mode,
    without_questions,
)
from cbstore_sql.stores.sql.connections.prepare import Preparing
from cbstore_sql.stores.sql.connections.session_setup import SessionSetup
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.retry import NotSentError


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
        engine = create_async_engine(parsed, pool_reset_on_return=None, **options)
    without_questions(engine.dialect)
    return engine


class AsyncCheckouts:
    """The connections of the application's own engine, none of which is kept between two statements; see `Checkouts`.

    A pool serves one event loop at a time: those who wait for a connection cannot wait in another.

    Args:
        engine: The application's.
        preparing: See `Preparing`.
        setup: What a session is asked first on PostgreSQL.
    """

    def __init__(self, engine: AsyncEngine, preparing: Preparing, setup: SessionSetup | None = None) -> None:
        self._engine = engine
        self._health = CheckoutHealth(engine.sync_engine, preparing, setup)
        self._pool = engine.pool
        self._loop = OneLoop()

    async def begin(self, query: Query) -> None:
        """Begin nothing: the pool has its events."""

    async def execute(self, query: Query) -> list[Values]:
        """Execute one statement in its own transaction and return its rows.

        Raises:
            ConfigurationError: The pool is another event loop's.
            NotSentError: It failed before the statement was sent.
            LateError: The deadline passed.
        """
        self._health.check_file()
        if self._loop.is_new():
            self._enter_loop()
        try:
            fairy = await self._engine.raw_connection()
        except Exception as error:
            raise NotSentError(error) from error
        try:
            rows = await self._execute(fairy, query)
        except BaseException as error:
            await self._give_back(fairy, error)
            raise
        await greenlet_spawn(fairy.close)
        return rows

    async def close(self) -> None:
        """Leave the engine as it is: it is the application's."""

    async def _give_back(self, fairy: PoolProxiedConnection, error: BaseException) -> None:
        over, session = is_over(fairy, error), busy_session(fairy)
        await greenlet_spawn(self._health.learn, fairy, error)
        if not over:
            await greenlet_spawn(fairy.close)
        elif session is not None:
            from cbstore_sql.stores.sql.connections.cancel import abandoned

            # Checked out until the server has ended it: the pool must not open another one meanwhile.
            abandoned.end(session.driver, _in_loop(greenlet_spawn(close_broken, fairy)))
        else:
            await greenlet_spawn(close_broken, fairy)

    async def _execute(self, fairy: PoolProxiedConnection, query: Query) -> list[Values]:
        if self._engine.dialect.name == "postgresql":
            from cbstore_sql.stores.sql.connections.libpq import drive_async

            session = self._health.session_of(fairy)
            return await drive_async(session, session.steps(query, prepare=self._health.preparing.wanted))
        self._health.check_connection(fairy)
        driver: Any = fairy.driver_connection
        with sqlite_mode(driver):
            rows: list[Values] = await driver.execute_fetchall(query.statement.text, query.parameters)
            return rows

    def _enter_loop(self) -> None:
        if self._pool is self._engine.pool and not isinstance(self._pool, sa.NullPool):
            raise ConfigurationError("the engine was used in another event loop: await engine.dispose() at its end")
        self._pool = self._engine.pool
        self._loop.entered()


def _in_loop(work: Coroutine[Any, Any, None]) -> Callable[[], None]:
    """Return what starts some work in the running event loop, from any thread."""
    loop = asyncio.get_running_loop()

    def start() -> None:
        try:
            loop.call_soon_threadsafe(in_background, work)
        except RuntimeError:
            # The loop has ended. The connection is closed already, so the work needs no loop.
            with suppress(StopIteration):
                work.send(None)

    return start
