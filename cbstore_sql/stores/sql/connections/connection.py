"""One driver connection that stays checked out between statements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.pool import Pool, PoolProxiedConnection

from cbstore_sql.stores.sql.operations import Query


class Lease:
    """A driver connection that the store keeps checked out of SQLAlchemy's pool between statements.

    Subclasses exist for each driver.

    Args:
        pool: SQLAlchemy's pool of the connection.
        connection: The connection as the pool returned it.

    Attributes:
        pool: SQLAlchemy's pool of the connection.
        connection: The connection as the pool returned it.
        driver: The connection object of the driver.
    """

    __slots__ = ("connection", "driver", "pool")

    def __init__(self, pool: Pool, connection: PoolProxiedConnection) -> None:
        self.pool = pool
        self.connection = connection
        self.driver: Any = connection.driver_connection

    def is_dead(self) -> bool:
        """Return whether the connection no longer leads to the database. This method sends nothing to the server."""
        return False

    def is_sound(self) -> bool:
        """Return whether the connection can run another statement after an error."""
        return True

    def is_shared(self) -> bool:
        """Return whether this connection found a transaction pooler, which does not allow prepared statements."""
        return False

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """Run one statement and return the rows. Asynchronous subclasses return an awaitable of the rows.

        Args:
            query: The statement with its parameters.
            prepare: Whether the statement may be prepared on the server.

        Raises:
            NotSentError: An error occurred before the statement was sent.
            LateError: The statement did not end by the caller's deadline.
        """
        raise NotImplementedError

    def leave_unread(self) -> bool:
        """Stop waiting for a statement that only reads, if the connection can wait for its answer later.

        Returns:
            Whether the connection may be used again.
        """
        return False

    def is_idle(self) -> bool:
        """Return whether the database owes no answer on this connection."""
        return True

    def discard(self) -> None:
        """Close the connection, so that the pool opens another connection when it needs one."""
        self.connection.invalidate()
        self.connection.close()

    def end_in_background(self, ended: Callable[[], None]) -> bool:
        """If the server still executes a statement, cancel the statement and close the connection, in the background.

        The caller stopped waiting for the statement at its deadline.

        Args:
            ended: A function that is called once, in any thread, when the server session has ended or cannot be
                reached. The function must not raise.

        Returns:
            Whether the connection is being closed. If ``False``, the server executes no statement, the connection is
            still open, and ``ended`` is never called.
        """
        return False
