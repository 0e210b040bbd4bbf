"""A psycopg connection that stays checked out between statements; imported only for PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy.pool import Pool, PoolProxiedConnection

from cbstore_sql.stores.sql.connections.cancel import abandoned
from cbstore_sql.stores.sql.connections.connection import Lease
from cbstore_sql.stores.sql.connections.drive import drive, drive_async, go_on_async
from cbstore_sql.stores.sql.connections.libpq import PgSession
from cbstore_sql.stores.sql.connections.session_setup import SessionSetup
from cbstore_sql.stores.sql.operations import Query, Values

PREPARED_AT_ONCE = 0
"""The number of executions before a statement is prepared. A store runs only a few statements, each many times."""


class PsycopgConnection(Lease):
    """A psycopg connection that the store keeps checked out of SQLAlchemy's pool between statements.

    Args:
        pool: SQLAlchemy's pool of the connection.
        connection: The connection as the pool returned it.
        setup: The first statement of the session, or ``None`` if the session needs no such statement.
    """

    __slots__ = ("session",)

    def __init__(self, pool: Pool, connection: PoolProxiedConnection, setup: SessionSetup | None = None) -> None:
        super().__init__(pool, connection)
        self.session = PgSession(self.driver, PREPARED_AT_ONCE, setup)

    def is_dead(self) -> bool:
        """Return whether the connection is closed, or the server has ended the session. This method sends nothing."""
        return self.session.is_dead()

    def is_sound(self) -> bool:
        """Return whether the session can run another statement after an error."""
        return self.session.is_sound()

    def is_shared(self) -> bool:
        """Return whether this connection found a transaction pooler, which does not allow prepared statements."""
        return self.session.is_shared

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """Run one statement and return the rows.

        Args:
            query: The statement with its parameters.
            prepare: Whether the statement may be prepared on the server.

        Raises:
            NotSentError: An error occurred before the statement was sent.
            LateError: The statement did not end by the caller's deadline.
        """
        return drive(self.session, self.session.steps(query, prepare=prepare))

    def send(self, query: Query) -> bool:
        """Send one statement without waiting for its answer; see `PgSession.send`.

        Args:
            query: The statement with its parameters.

        Returns:
            Whether the statement was sent.
        """
        return self.session.send(query)

    def is_idle(self) -> bool:
        """Return whether the server owes no answer on this connection."""
        return not self.session.is_busy()

    def discard(self) -> None:
        """Close the connection without waiting, so that an event loop may call this method."""
        self.connection.detach()
        self.session.cut()

    def end_in_background(self, ended: Callable[[], None]) -> bool:
        """If the server still executes a statement, cancel the statement and close the connection, in the background.

        Args:
            ended: A function that is called once, in any thread, when the server session has ended or cannot be
                reached. The function must not raise.

        Returns:
            Whether the connection is being closed. If ``False``, the server executes no statement, the connection is
            still open, and ``ended`` is never called.
        """
        if not self.session.is_busy():
            return False
        self.connection.detach()
        abandoned.end(self.driver, ended)
        return True


class AsyncPsycopgConnection(PsycopgConnection):
    """A psycopg connection that an asynchronous store keeps checked out of SQLAlchemy's pool between statements."""

    __slots__ = ("_steps",)

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """Return an awaitable that runs one statement and returns the rows.

        Args:
            query: The statement with its parameters.
            prepare: Whether the statement may be prepared on the server.

        Raises:
            NotSentError: An error occurred before the statement was sent.
            LateError: The statement did not end by the caller's deadline.
        """
        self._steps = self.session.steps(query, prepare=prepare)
        return drive_async(self.session, self._steps)

    def begin(self, query: Query, *, prepare: bool) -> Coroutine[Any, Any, list[Values]]:
        """Send one statement at once, without waiting for the answer.

        Args:
            query: The statement with its parameters.
            prepare: Whether the statement may be prepared on the server.

        Returns:
            An awaitable that returns the rows, or raises what `execute` would raise.
        """
        self._steps = steps = self.session.steps(query, prepare=prepare)
        try:
            wants_write = next(steps)
        except StopIteration as done:
            return _returned(done.value)
        except Exception as error:  # noqa: BLE001 - raised again, where the pool judges it
            return _failed(error)
        return go_on_async(self.session, steps, wants_write)

    def leave_unread(self) -> bool:
        """Stop waiting for a statement that only reads; see `PgSession.leave_unread`.

        Returns:
            Whether the connection may be used again.
        """
        return self.session.leave_unread(self._steps)


async def _returned(rows: list[Values]) -> list[Values]:
    return rows


async def _failed(error: Exception) -> list[Values]:
    raise error
