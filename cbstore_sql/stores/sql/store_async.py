"""The store that keeps breakers in PostgreSQL or SQLite, for callers in an event loop."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

from cbstore_sql.core.commands import Command
from cbstore_sql.core.model import Permit, Snapshot, Transition
from cbstore_sql.core.policy import DEFAULT_POLICY, BreakerPolicy
from cbstore_sql.core.validation import DEFAULT_MAX_BREAKERS
from cbstore_sql.runtime import environment, sansio
from cbstore_sql.runtime.tasks import InFlight, run_to_completion
from cbstore_sql.stores.base_async import AsyncStore
from cbstore_sql.stores.sql.connections.checkout_async import AsyncCheckouts, open_async_engine
from cbstore_sql.stores.sql.connections.engine import (
    ASYNC_DRIVERS,
    Durability,
    check_engine,
    one_database,
    wants_relaxed,
)
from cbstore_sql.stores.sql.connections.pool_async import AsyncStickyPool
from cbstore_sql.stores.sql.connections.prepare import Preparing
from cbstore_sql.stores.sql.connections.session_setup import session_setup
from cbstore_sql.stores.sql.operations import Query, QuerySteps, SqlOperations, T, Values
from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA


class AsyncSqlStore(AsyncStore):
    """An asynchronous store that keeps its breakers in one table of a PostgreSQL or SQLite database, like `SqlStore`.

    If a caller is cancelled during an operation, the operation continues in the background: no connection leaks, and
    the effect of the operation is not lost. One event loop at a time may use the store. When that event loop has ended,
    another event loop may use a store that was made with a URL.

    Args:
        url_or_engine: ``postgresql://…`` (psycopg), ``sqlite:///file`` (aiosqlite, an extra), or the application's own
            ``AsyncEngine``. The store takes connections from the pool of an engine and never disposes of the engine.
        url: The database as a URL, by keyword. Give only one of ``url_or_engine``, ``url`` and ``engine``.
        engine: The database as an engine, by keyword.
        namespace: The name that separates the breakers of this application from others in the table; at most 512 bytes
            of UTF-8.
        schema: The PostgreSQL schema of the table. SQLite ignores this argument.
        durability: ``"full"`` (every commit waits for the disk) or ``"relaxed"`` (commits of counts do not wait); see
            `SqlStore`.
        max_breakers: How many breakers the namespace may hold; ``None`` means any number. An operation that would add
            one more breaker raises `TooManyBreakersError`.

    Raises:
        ConfigurationError: No database or more than one database was given, or the database is not supported, or a
            driver is not installed, or an argument is out of range. Every operation also raises this error in a second
            event loop if the first event loop still runs, or if the application did not dispose of the engine in
            between.
        InvalidNameError: The namespace is too long or has characters that a store cannot keep.
    """

    def __init__(
        self,
        url_or_engine: str | URL | AsyncEngine | None = None,
        *,
        url: str | URL | None = None,
        engine: AsyncEngine | None = None,
        namespace: str = "default",
        schema: str = DEFAULT_SCHEMA,
        durability: Durability = "full",
        max_breakers: int | None = DEFAULT_MAX_BREAKERS,
    ) -> None:
        super().__init__(namespace)
        database = one_database(url_or_engine, url, engine)
        self._owned = owned = not isinstance(database, AsyncEngine)
        self._engine = database if isinstance(database, AsyncEngine) else open_async_engine(database)
        check_engine(self._engine.sync_engine, ASYNC_DRIVERS)
        self._queries = SqlOperations(self._engine.dialect.name, schema, self.namespace, max_breakers)
        self._in_flight = InFlight()
        self.keeps_deadlines = owned
        preparing = Preparing()
        setup = session_setup(self._engine.sync_engine, schema, own=owned)
        connections = AsyncStickyPool if owned else AsyncCheckouts
        self._connections: AsyncStickyPool | AsyncCheckouts = connections(self._engine, preparing, setup)
        self._counting = self._connections
        if wants_relaxed(durability, self._engine.sync_engine, owned=owned):
            self._counting = AsyncStickyPool(open_async_engine(self._engine.url, relaxed=True), preparing, setup)
        # The pool that sends successes, if there is one: a connection that still owes an answer must not return to the
        # application's pool, and SQLite has no server to send to.
        self._sender: AsyncStickyPool | None = None
        if self._engine.dialect.name == "postgresql" and isinstance(self._counting, AsyncStickyPool):
            self._sender = self._counting

    @classmethod
    def from_env(cls, **kwargs: Any) -> AsyncSqlStore:
        """Make a store from the environment variables ``CBSTORE_URL``, ``CBSTORE_NAMESPACE`` and ``CBSTORE_SCHEMA``.

        Args:
            **kwargs: The keyword arguments of the class, without the database. ``namespace`` and ``schema`` are used in
                place of the environment variables.

        Raises:
            ConfigurationError: ``CBSTORE_URL`` is not set or cannot be used.
        """
        names = {
            "namespace": environment.namespace_name("default"),
            "schema": environment.schema_name(DEFAULT_SCHEMA),
        }
        return cls(environment.required_url(), **{**names, **kwargs})

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._engine.dialect.name}, namespace={self.namespace!r})"

    async def read_all(self) -> list[tuple[str, Snapshot]]:
        """Read all breakers of all namespaces in one statement.

        Returns:
            Pairs of namespace and snapshot, ordered by namespace and name.

        Raises:
            StoreError: The database cannot be reached, or the table cannot be read.
        """
        return await self._ask(self._queries.read_all())

    async def close(self) -> None:
        """Wait until the running operations have ended, then close the connections that the store opened for a URL.

        The application's own engine stays open.
        """
        await run_to_completion(self._close())

    async def _read(self, name: str, now: float | None) -> Snapshot:
        return await self._ask(self._queries.read(name, now))

    async def _read_many(self, names: list[str], now: float | None) -> dict[str, Snapshot]:
        return await self._ask(self._queries.read_many(names, now))

    async def _apply(self, command: Command) -> Transition | None:
        return await self._ask(self._queries.apply(command))

    def send_success(self, permit: Permit, policy: BreakerPolicy = DEFAULT_POLICY) -> bool:
        """Send a success without waiting, if an idle connection can send at once; see `Store.send_success`."""
        return self._sender is not None and self._sender.send(self._queries.success(permit, policy))

    async def _history(self, name: str) -> str:
        return await self._ask(self._queries.history(name))

    async def _delete(self, name: str) -> None:
        await self._ask(self._queries.delete(name))

    async def _ask(self, steps: QuerySteps[T]) -> T:
        # The first statement is sent before the task exists, so the server works while this method makes the task.
        query = next(steps)
        begun = query.begun = await self._connections_for(query).begin(query)
        work = sansio.run_async(sansio.resume(query, steps), self._execute)
        # A read has no effect, so it need not run to its end. A separate task would take a large part of its time.
        if begun is not None and query.reads:
            return await self._in_flight.carry_in_own_task(work)
        return await self._in_flight.carry(work, None if begun is None else begun.end)

    async def _execute(self, query: Query) -> list[Values]:
        if query.pause:
            await asyncio.sleep(query.pause)
        return await self._connections_for(query).execute(query)

    def _connections_for(self, query: Query) -> AsyncStickyPool | AsyncCheckouts:
        return self._connections if query.durable else self._counting

    async def _close(self) -> None:
        await self._in_flight.landed()
        await self._counting.close()
        await self._connections.close()
