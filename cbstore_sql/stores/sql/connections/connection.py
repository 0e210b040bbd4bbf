"""One driver connection that stays checked out between statements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.pool import Pool, PoolProxiedConnection

from cbstore_sql.deadline import remaining
from cbstore_sql.stores.sql.operations import Query, Values


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
        """Close a connection whose statement was abandoned, where the server has to be told so.

        Args:
            ended: Called once, in any thread, when the server's session has ended or cannot be reached.

        Returns:
            ``False``: there is nothing to tell; the connection is still open and ``ended`` is never called.
        """
        return False


class SqliteConnection(Lease):
    """A synchronous connection to SQLite."""

    __slots__ = ("_busy_timeout", "_cursor")

    def __init__(self, pool: Pool, connection: PoolProxiedConnection) -> None:
        super().__init__(pool, connection)
        self._cursor = self.driver.cursor()
        self._busy_timeout = BusyTimeout(self._cursor.execute(BusyTimeout.QUESTION).fetchone()[0])

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """Run one statement and fetch its rows."""
        if setting := self._busy_timeout.setting():
            self._cursor.execute(setting).fetchall()
        # Unfetched rows of a RETURNING keep SQLite's write lock.
        rows: list[Values] = self._cursor.execute(query.statement.text, query.parameters).fetchall()
        return rows


class BusyTimeout:
    """How long SQLite waits for other writers: as the connection was opened, or until a nearer deadline.

    Args:
        milliseconds: As the connection was opened.
    """

    QUESTION = "PRAGMA busy_timeout"

    def __init__(self, milliseconds: int) -> None:
        self._usual = self._now = milliseconds

    def setting(self) -> str | None:
        """Return the statement that sets the time for the present deadline, ``None`` if it is set already."""
        left = remaining()
        # In steps of 10 ms, so that the operations of one deadline share one setting.
        wanted = self._usual if left is None else min(self._usual, 10 * int(left * 100.0 + 1.0))
        if wanted == self._now:
            return None
        self._now = wanted
        return f"{self.QUESTION} = {wanted}"
