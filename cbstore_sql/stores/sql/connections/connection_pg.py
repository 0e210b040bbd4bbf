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
        pool: See `Lease`.
        connection: See `Lease`.
        setup: The first statement of the session, or ``None`` for no such statement.
    """

    __slots__ = ("session",)

    def __init__(self, pool: Pool, connection: PoolProxiedConnection, setup: SessionSetup | None = None) -> None:
        super().__init__(pool, connection)
        self.session = PgSession(self.driver, PREPARED_AT_ONCE, setup)

    def is_dead(self) -> bool:
        """See `Lease.is_dead`."""
        return self.session.is_dead()

    def is_sound(self) -> bool:
        """See `Lease.is_sound`."""
        return self.session.is_sound()

    def is_shared(self) -> bool:
        """See `Lease.is_shared`."""
        return self.session.is_shared

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """See `Lease.execute`."""
        return drive(self.session, self.session.steps(query, prepare=prepare))

    def discard(self) -> None:
        """See `Lease.discard`. This method does not block, so an event loop may call it."""
        self.connection.detach()
        self.session.cut()

    def end_in_background(self, ended: Callable[[], None]) -> bool:
        """See `Lease.end_in_background`."""
        if not self.session.is_busy():
            return False
        self.connection.detach()
        abandoned.end(self.driver, ended)
        return True


class AsyncPsycopgConnection(PsycopgConnection):
    """A psycopg connection that is checked out of a pool, for callers in an event loop."""

    __slots__ = ()

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """See `Lease.execute`."""
        return drive_async(self.session, self.session.steps(query, prepare=prepare))

    def begin(self, query: Query, *, prepare: bool) -> Coroutine[Any, Any, list[Values]] | None:
        """Send one statement at once, without waiting.

        Args:
            query: See `Lease.execute`.
            prepare: See `Lease.execute`.

        Returns:
            An awaitable that returns the rows, or ``None`` if the statement cannot be sent now.
        """
        steps = self.session.steps(query, prepare=prepare)
        try:
            return go_on_async(self.session, steps, next(steps))
        except Exception:  # noqa: BLE001 - `execute` meets the same error and judges it
            return None
