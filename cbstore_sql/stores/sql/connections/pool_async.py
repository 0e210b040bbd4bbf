"""The asynchronous form of ``pool.py``: connections that stay checked out between statements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util.concurrency import greenlet_spawn

from cbstore_sql.deadline import remaining
from cbstore_sql.runtime.tasks import OneLoop, in_background
from cbstore_sql.stores.sql.connections.connection import Lease
from cbstore_sql.stores.sql.connections.connection_sqlite import AiosqliteConnection
from cbstore_sql.stores.sql.connections.pool import BasePool
from cbstore_sql.stores.sql.connections.prepare import Preparing
from cbstore_sql.stores.sql.connections.session_setup import SessionSetup
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.retry import ON_ALL_CONNECTIONS, LateError, NotSentError, classify_error

_ABANDONED = (asyncio.CancelledError, GeneratorExit)
"""The exceptions that end the coroutine of a caller that no longer wants the answer."""


class Begun:
    """A statement that was already sent, and whose answer no task awaits yet.

    Args:
        lease: The connection of the statement. No other caller uses the connection meanwhile.
        answer: A coroutine that returns the rows.
        give_back: A function that receives the connection if no task ever awaits the answer.

    Attributes:
        lease: The connection of the statement.
    """

    def __init__(
        self, lease: Lease, answer: Coroutine[Any, Any, list[Values]], give_back: Callable[[Lease], None]
    ) -> None:
        self.lease = lease
        self._answer = answer
        self._give_back = give_back
        self._is_taken = False

    def take(self) -> Coroutine[Any, Any, list[Values]]:
        """Return the coroutine that returns the rows. The caller must await it."""
        self._is_taken = True
        return self._answer

    def end(self) -> None:
        """Give the connection back if no task has called `take`, for example because the task was cancelled before."""
        if not self._is_taken:
            self._answer.close()
            self._give_back(self.lease)


class AsyncStickyPool(BasePool[Any]):
    """A set of connections that stay open between statements, for tasks. Each task uses one during a statement.

    One event loop at a time may use the pool. In a new event loop, the pool replaces its connections.

    Args:
        engine: An asynchronous engine that the store made, whose connections commit after each statement.
        preparing: Whether to prepare statements on the server; see `Preparing`.
        setup: The first statement of a PostgreSQL session, or ``None`` if the session needs no such statement.
    """

    def __init__(self, engine: AsyncEngine, preparing: Preparing, setup: SessionSetup | None = None) -> None:
        super().__init__(engine.sync_engine, preparing)
        self._async_engine = engine
        self._connect = _connector(engine, setup)

    def _begin(self) -> None:
        self._slots = asyncio.Semaphore(self._limit())
        self._loop = OneLoop()

    async def begin(self, query: Query) -> Begun | None:
        """Send a statement now if an idle connection can send it at once. No other task runs during this method.

        Args:
            query: The statement with its parameters.

        Returns:
            The sent statement, which the caller stores in ``query.begun`` for `execute`; ``None`` if the statement was
            not sent.

        Raises:
            ConfigurationError: The pool was used in another event loop, which still runs.
        """
        if self._loop.is_new() or self._slots.locked() or not self._free:
            return None
        lease = self._free[-1]
        if not self._is_usable(lease) or (answer := lease.begin(query, prepare=self._preparing.wanted)) is None:
            return None
        await self._slots.acquire()
        return Begun(self._free.pop(), answer, self._drop)

    def send(self, query: Query) -> bool:
        """Send one statement on an idle connection without waiting for its answer; see `PgSession.send`.

        Args:
            query: The statement with its parameters.

        Returns:
            Whether the statement was sent. ``False`` means that no idle connection can send it at once; the statement
            then had no effect.

        Raises:
            ConfigurationError: The pool was used in another event loop, which still runs.
        """
        if self._loop.is_new() or not self._free or not self._preparing.wanted:
            return False
        lease = self._free[-1]
        return self._is_usable(lease) and lease.send(query)

    async def execute(self, query: Query) -> list[Values]:
        """Run one statement in its own transaction and return the rows. If all connections are in use, wait for one.

        Args:
            query: The statement with its parameters. If `begin` sent the statement, this method only awaits the rows.

        Raises:
            ConfigurationError: The pool was used in another event loop, which still runs.
            NotSentError: An error occurred before the statement was sent, or no connection became free in time.
            LateError: The statement did not end by the caller's deadline.
        """
        if query.begun is None:
            await self._take_turn()
        # This list becomes empty when another thread takes over the duty to free the slot.
        slot = [self._slots]
        try:
            return await self._execute(query, slot)
        finally:
            for slots in slot:
                slots.release()

    async def _take_turn(self) -> None:
        if self._loop.is_new():
            await self._enter_loop()
        if self._slots.locked():
            await self._wait_for_turn()
        else:
            await self._slots.acquire()

    async def _wait_for_turn(self) -> None:
        try:
            await asyncio.wait_for(self._slots.acquire(), self._patience())
        except asyncio.TimeoutError:
            raise self._none_free() from None

    async def _execute(self, query: Query, slot: list[asyncio.Semaphore]) -> list[Values]:
        begun: Begun | None = query.begun
        lease = await self._take(slot) if begun is None else begun.lease
        try:
            rows: list[Values] = await (
                lease.execute(query, prepare=self._preparing.wanted) if begun is None else begun.take()
            )
        except BaseException as error:
            if query.reads and isinstance(error, _ABANDONED) and lease.leave_unread():
                self._free.append(lease)
            else:
                await self._after_error(lease, error, slot)
            raise
        self._free.append(lease)
        return rows

    async def _after_error(self, lease: Lease, error: BaseException, slot: list[asyncio.Semaphore]) -> None:
        if not self._is_over(lease, error):
            self._free.append(lease)
        elif lease.end_in_background(_releasing(slot[0])):
            # The server may still execute the statement. The slot becomes free when the server session has ended.
            slot.clear()
        else:
            await greenlet_spawn(lease.discard)
        if classify_error(error) in ON_ALL_CONNECTIONS:
            await self._async_engine.dispose()
        elif lease.is_shared():
            self._preparing.give_up()

    async def close(self) -> None:
        """Close the idle connections and SQLAlchemy's pool. A connection that runs a statement stays open."""
        for lease in self._taken_back():
            # If the engine's pool was replaced, nothing closes a connection that returns to the old pool.
            usable = self._is_usable(lease) and lease.is_idle()
            await greenlet_spawn(lease.connection.close if usable else lease.discard)
        await self._async_engine.dispose()

    def _drop(self, lease: Lease) -> None:
        """Close a connection whose answer no task awaits, and free the slot.

        Args:
            lease: The connection.
        """
        if not lease.end_in_background(_releasing(self._slots)):
            lease.discard()
            self._slots.release()

    async def _enter_loop(self) -> None:
        stale = [*self._taken_back()]
        self._engine.dispose(close=False)
        self._slots = asyncio.Semaphore(self._limit())
        self._loop.entered()
        for lease in stale:
            await greenlet_spawn(lease.discard)

    async def _take(self, slot: list[asyncio.Semaphore]) -> Any:
        while self._free:
            lease = self._free.pop()
            if self._is_usable(lease):
                return lease
            await greenlet_spawn(lease.discard)
        left = remaining()
        return await (self._open() if left is None else self._open_within(left, slot))

    async def _open(self) -> Any:
        try:
            return await self._connect()
        except Exception as error:
            raise NotSentError(error) from error

    async def _open_within(self, seconds: float, slot: list[asyncio.Semaphore]) -> Any:
        """Open a connection in a background task; see `StickyPool`, which does the same in a thread.

        Args:
            seconds: The longest time to wait, seconds.
            slot: The caller's slot. The list becomes empty if the opening goes on after the deadline.

        Raises:
            LateError: The connection was not open in time.
            NotSentError: The connection could not be opened.
        """
        opened = in_background(self._open())
        in_time = False
        try:
            in_time = bool((await asyncio.wait({opened}, timeout=seconds))[0])
        finally:
            if not in_time:
                opened.add_done_callback(partial(self._keep, slot.pop()))
        if not in_time:
            raise LateError(sent=False)
        return opened.result()

    def _keep(self, slots: asyncio.Semaphore, opened: asyncio.Task[Any]) -> None:
        if not opened.cancelled() and opened.exception() is None:
            lease = opened.result()
            if lease.pool is self._engine.pool:
                self._free.append(lease)
            else:
                in_background(greenlet_spawn(lease.discard))
        slots.release()


def _connector(engine: AsyncEngine, setup: SessionSetup | None) -> Callable[[], Awaitable[Any]]:
    """Return a function that opens a connection and returns the lease for the dialect of the engine.

    Args:
        engine: The engine that opens the connections.
        setup: The first statement of a PostgreSQL session, or ``None`` if the session needs none.
    """
    if engine.dialect.name == "sqlite":

        async def connect_aiosqlite() -> Any:
            pool = engine.pool
            return AiosqliteConnection(pool, await engine.raw_connection())

        return connect_aiosqlite
    from cbstore_sql.stores.sql.connections.connection_pg import AsyncPsycopgConnection

    async def connect_psycopg() -> Any:
        pool = engine.pool
        return AsyncPsycopgConnection(pool, await engine.raw_connection(), setup)

    return connect_psycopg


def _releasing(slots: asyncio.Semaphore) -> Callable[[], None]:
    """Return a function that any thread may call to free a slot.

    Args:
        slots: The slots of the pool in the event loop that is running now.
    """
    loop = asyncio.get_running_loop()

    def release() -> None:
        # If the event loop has ended, there is no slot to free: the pool creates new slots for the next event loop.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(slots.release)

    return release
