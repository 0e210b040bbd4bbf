"""One driver connection that stays checked out between statements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.pool import Pool, PoolProxiedConnection

from cbstore_sql.stores.sql.operations import Query


class Lease:
    """One connection, checked out.

    Args:
        pool: The pool it comes from.
        connection: The connection.
    """

    __slots__ = ("connection", "driver", "pool")

    def __init__(self, pool: Pool, connection: PoolProxiedConnection) -> None:
        self.pool = pool
        self.connection = connection
        self.driver: Any = connection.driver_connection

    def is_dead(self) -> bool:
        """Whether the connection leads nowhere any more; costs no round trip."""
        return False

    def is_sound(self) -> bool:
        """Whether the connection can be used again after an error."""
        return True

    def is_shared(self) -> bool:
        """Whether a transaction pooler moves the connection between server sessions."""
        return False

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """Run one statement and return its rows, or an awaitable of them."""
        raise NotImplementedError

    def discard(self) -> None:
        """Close the connection; the pool opens another one in its place."""
        self.connection.invalidate()
        self.connection.close()

    def end_in_background(self, ended: Callable[[], None]) -> bool:
        """Close a connection whose statement was abandoned, if the server must be told.

        Args:
            ended: Called once, in any thread, when the server's session has ended or cannot be reached.

        Returns:
            ``False``: there is nothing to tell; the connection is still open and ``ended`` is never called.
        """
        return False
