"""How an asynchronous store opens an engine, and runs its statements on the application's own engine."""

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
from cbstore_sql.stores.sql.connections.checkout import (
    CheckoutHealth,
    busy_session,
    check_deadline,
    close_broken,
    is_over,
)
from cbstore_sql.stores.sql.connections.engine import (
    ASYNC_DRIVERS,
    engine_settings,
    importing_driver,
    parse_url,
    prepare_own,
    sqlite_mode,
)
from cbstore_sql.stores.sql.connections.prepare import Preparing
from cbstore_sql.stores.sql.connections.session_setup import SessionSetup
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.retry import NotSentError


def open_async_engine(url: str | URL, *, relaxed: bool = False) -> AsyncEngine:
    """Make an asynchronous engine for a URL, whose connections commit after each statement. It does not connect yet.

    Args:
        url: The URL of the database; see `parse_url`.
        relaxed: Whether commits must not wait for the disk (``synchronous_commit=off``). SQLite ignores this argument.

    Raises:
        ConfigurationError: The URL cannot be used, or the driver is not installed.
    """
    parsed, options = engine_settings(parse_url(url, ASYNC_DRIVERS), relaxed=relaxed)
    with importing_driver(parsed):
        # No connection ever has a transaction to roll back, and a rollback in aiosqlite would wait for its thread.
        engine = create_async_engine(parsed, pool_reset_on_return=None, **options)
    prepare_own(engine.sync_engine)
    return engine


class AsyncCheckouts:
    """Executes an asynchronous store's statements on connections from the pool of the application's own engine.

    Each statement takes a connection from the pool and returns it afterwards. One event loop at a time may use the
    pool.

    Args:
        engine: The application's engine.
        preparing: Whether to prepare statements on the server; see `Preparing`.
        setup: The first statement of a PostgreSQL session, or ``None`` if the session needs no such statement.
    """

    def __init__(self, engine: AsyncEngine, preparing: Preparing, setup: SessionSetup | None = None) -> None:
        self._engine = engine
        self._health = CheckoutHealth(engine.sync_engine, preparing, setup)
        self._pool = engine.pool
        self._loop = OneLoop()

    async def begin(self, query: Query) -> None:
        """Do nothing and return ``None``: here, only `execute` sends a statement.

        Args:
            query: Not used.
        """

    async def execute(self, query: Query) -> list[Values]:
        """Run one statement in its own transaction and return the rows.

        Args:
            query: The statement with its parameters.

        Raises:
            ConfigurationError: The engine was used in another event loop and not disposed of.
            NotSentError: An error occurred before the statement was sent.
            LateError: The statement did not end by the caller's deadline.
            StoreError: This process may not open the SQLite file.
        """
        self._health.check_file()
        if self._loop.is_new():
            self._enter_loop()
        try:
            fairy = await self._engine.raw_connection()
        except Exception as error:
            raise NotSentError(error) from error
        try:
            check_deadline()
            rows = await self._execute(fairy, query)
        except BaseException as error:
            await self._give_back(fairy, error)
            raise
        await greenlet_spawn(fairy.close)
        return rows

    async def close(self) -> None:
        """Do nothing. The application closes its own engine."""

    async def _give_back(self, fairy: PoolProxiedConnection, error: BaseException) -> None:
        over, session = is_over(fairy, error), busy_session(fairy)
        await greenlet_spawn(self._health.learn, fairy, error)
        if not over:
            await greenlet_spawn(fairy.close)
        elif session is not None:
            from cbstore_sql.stores.sql.connections.cancel import abandoned

            # The connection stays checked out until the server has ended the session. So the pool does not open another
            # connection meanwhile.
            abandoned.end(session.driver, _in_loop(greenlet_spawn(close_broken, fairy)))
        else:
            await greenlet_spawn(close_broken, fairy)

    async def _execute(self, fairy: PoolProxiedConnection, query: Query) -> list[Values]:
        if self._engine.dialect.name == "postgresql":
            from cbstore_sql.stores.sql.connections.drive import drive_async

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
    """Return a function that any thread may call to start a coroutine in the event loop that is running now.

    Args:
        work: The coroutine to start.
    """
    loop = asyncio.get_running_loop()

    def start() -> None:
        try:
            loop.call_soon_threadsafe(in_background, work)
        except RuntimeError:
            # The loop has ended. The connection is closed already, so the work needs no loop.
            with suppress(StopIteration):
                work.send(None)

    return start
