"""A psycopg connection that stays checked out between statements; imported only for PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy.pool import Pool, PoolProxiedConnection

from cbstore_sql.stores.sql.connections.cancel import abandoned
from cbstore_sql.stores.sql.connections.connection import Lease
from cbstore_sql.stores.sql.connections.libpq import PgSession, drive, drive_async, go_on_async
from cbstore_sql.stores.sql.connections.session_setup import SessionSetup
from cbstore_sql.stores.sql.operations import Query, Values

PREPARED_AT_ONCE = 0
"""The number of executions before a statement is prepared. A store runs only a few statements, each many times."""


class PsycopgConnection(Lease):
    """A psycopg connection that is checked out of a pool.

    Args:
        pool: The pool of the connection.
        connection: The connection as the pool returned it.
        setup: The first statement of the session, or ``None`` if the session needs none.
    """

    __slots__ = ("session",)

    def __init__(self, pool: Pool, connection: PoolProxiedConnection, setup: SessionSetup | None = None) -> None:
        super().__init__(pool, connection)
        self.session = PgSession(self.driver, PREPARED_AT_ONCE, setup)

    def is_dead(self) -> bool:
        """Whether the connection is closed, or the server has ended the session; see `Lease.is_dead`."""
        return self.session.is_dead()

    def is_sound(self) -> bool:
        """Whether the session can run another statement; see `Lease.is_sound`."""
        return self.session.is_sound()

    def is_shared(self) -> bool:
        """Whether the connection has detected a transaction pooler; see `Lease.is_shared`."""
        return self.session.is_shared

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """Run one statement and return the rows; see `Lease.execute`."""
        return drive(self.session, self.session.steps(query, prepare=prepare))

    def discard(self) -> None:
        """Close the connection without waiting, so an event loop may call this method; see `Lease.discard`."""
        self.connection.detach()
        self.session.cut()

    def end_in_background(self, ended: Callable[[], None]) -> bool:
        """Close the connection in the background if the server is still busy; see `Lease.end_in_background`."""
        if not self.session.is_busy():
            return False
        self.connection.detach()
        abandoned.end(self.driver, ended)
        return True


class AsyncPsycopgConnection(PsycopgConnection):
    """A psycopg connection that is checked out of a pool, for callers in an event loop."""

    __slots__ = ()

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """Run one statement and return the rows; see `Lease.execute`."""
        return drive_async(self.session, self.session.steps(query, prepare=prepare))

    def begin(self, query: Query, *, prepare: bool) -> Coroutine[Any, Any, list[Values]] | None:
        """Send one statement at once, without waiting.

        Args:
            query: The statement with its parameters.
            prepare: Whether the statement may be prepared.

        Returns:
            An awaitable that returns the rows, or ``None`` if the statement cannot be sent now.
        """
        steps = self.session.steps(query, prepare=prepare)
        try:
            return go_on_async(self.session, steps, next(steps))
        except Exception:  # noqa: BLE001 - `execute` meets the same error and judges it
            return None
