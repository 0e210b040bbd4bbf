"""The asynchronous twin of ``pool.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
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


class Begun:
    """A statement that has been sent before anybody waits for its answer.

    Args:
        lease: The lease to use; no other caller uses it meanwhile.
        answer: Is awaited for the rows.
        give_back: Called with the lease if the answer is never awaited.
    """

    def __init__(
        self, lease: Lease, answer: Coroutine[Any, Any, list[Values]], give_back: Callable[[Lease], None]
    ) -> None:
        self.lease = lease
        self._answer = answer
        self._give_back = give_back
        self._is_taken = False

    def take(self) -> Coroutine[Any, Any, list[Values]]:
        """Return what is to be awaited, which is then done."""
        self._is_taken = True
        return self._answer

    def end(self) -> None:
        """Give the connection back where whoever should have waited was cancelled before."""
        if not self._is_taken:
            self._answer.close()
            self._give_back(self.lease)


class AsyncStickyPool(BasePool[Any]):
    """The connections of an asynchronous engine of our own, one for each task at work at a time.

    They serve one event loop at a time: those who wait for a connection cannot wait in another. When a new loop
    comes, they are replaced.

    Args:
        engine: An engine of the store's own, in driver-level autocommit.
        preparing: See `Preparing`.
        setup: What sessions begin with on PostgreSQL.
    """

    def __init__(self, engine: AsyncEngine, preparing: Preparing, setup: SessionSetup | None = None) -> None:
        super().__init__(engine.sync_engine, preparing)
        self._async_engine = engine
        self._connect = _connector(engine, setup)

    def _begin(self) -> None:
        self._slots = asyncio.Semaphore(self._limit())
        self._opening: set[asyncio.Task[Any]] = set()
        self._loop = OneLoop()

    async def begin(self, query: Query) -> Begun | None:
        """Send a statement if that is possible without waiting; `execute` then takes it from there.

        It never gives way to another task.

        Raises:
            ConfigurationError: The connections are another event loop's that still runs.
        """
        if self._loop.is_new() or self._slots.locked() or not self._free:
            return None
        lease = self._free[-1]
        if not self._is_usable(lease) or (answer := lease.begin(query, prepare=self._preparing.wanted)) is None:
            return None
        await self._slots.acquire()
        return Begun(self._free.pop(), answer, self._drop)

    async def execute(self, query: Query) -> list[Values]:
        """Execute one statement in its own transaction and return its rows.

        Raises:
            ConfigurationError: The connections are another event loop's that still runs.
            NotSentError: It failed before the statement was sent.
            LateError: The deadline passed.
        """
        if query.begun is None:
            await self._take_turn()
        # Empty once something else has to give the slot back.
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
        lease = await self._take() if begun is None else begun.lease
        try:
            rows: list[Values] = await (
                lease.execute(query, prepare=self._preparing.wanted) if begun is None else begun.take()
            )
        except BaseException as error:
            await self._after_error(lease, error, slot)
            raise
        self._free.append(lease)
        return rows

    async def _after_error(self, lease: Lease, error: BaseException, slot: list[asyncio.Semaphore]) -> None:
        if not self._is_over(lease, error):
            self._free.append(lease)
        elif lease.end_in_background(_releasing(slot[0])):
            # The server may still be at the statement: the slot comes back when its session has ended.
            slot.clear()
        else:
            await greenlet_spawn(lease.discard)
        if classify_error(error) in ON_ALL_CONNECTIONS:
            await self._async_engine.dispose()
        elif lease.is_shared():
            self._preparing.give_up()

    async def close(self) -> None:
        """Put back what is not at work and close the pool."""
        for lease in self._taken_back():
            # See `StickyPool.close`.
            await greenlet_spawn(lease.connection.close if self._is_usable(lease) else lease.discard)
        await self._async_engine.dispose()

    def _drop(self, lease: Lease) -> None:
        """Close a connection whose answer is not awaited."""
        if not lease.end_in_background(_releasing(self._slots)):
            lease.discard()
            self._slots.release()

    async def _enter_loop(self) -> None:
        stale = [*self._taken_back()]
        self._engine.dispose(close=False)
        self._slots = asyncio.Semaphore(self._limit())
        # Tasks of a loop that was closed never end, so they must not count any more.
        self._opening = set()
        self._loop.entered()
        for lease in stale:
            await greenlet_spawn(lease.discard)

    async def _take(self) -> Any:
        while self._free:
            lease = self._free.pop()
            if self._is_usable(lease):
                return lease
            await greenlet_spawn(lease.discard)
        left = remaining()
        return await (self._open() if left is None else self._open_within(left))

    async def _open(self) -> Any:
        try:
            return await self._connect()
        except Exception as error:
            raise NotSentError(error) from error

    async def _open_within(self, seconds: float) -> Any:
        """Open a connection in a task that may take longer: its caller does not wait, and the next one has it."""
        opening = self._opening
        if len(opening) >= self._limit():
            raise LateError(sent=False)
        opened = in_background(self._open())
        opening.add(opened)
        opened.add_done_callback(opening.discard)
        in_time, _ = await asyncio.wait({opened}, timeout=seconds)
        if not in_time:
            opened.add_done_callback(self._keep)
            raise LateError(sent=False)
        return opened.result()

    def _keep(self, opened: asyncio.Task[Any]) -> None:
        if not opened.cancelled() and opened.exception() is None:
            lease = opened.result()
            if lease.pool is self._engine.pool:
                self._free.append(lease)
            else:
                in_background(greenlet_spawn(lease.discard))


def _connector(engine: AsyncEngine, setup: SessionSetup | None) -> Callable[[], Awaitable[Any]]:
    """Return what opens a connection of the right kind."""
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
    """Return what gives a slot back from any thread."""
    loop = asyncio.get_running_loop()

    def release() -> None:
        # A loop that has ended has no slots: the next one makes its own.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(slots.release)

    return release
