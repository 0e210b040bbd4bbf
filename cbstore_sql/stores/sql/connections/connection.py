"""One driver connection that stays checked out between statements, of each kind."""

from __future__ import annotations

from typing import Any

from sqlalchemy.pool import Pool, PoolProxiedConnection

from cbstore_sql.deadline import remaining
from cbstore_sql.stores.sql.connections.libpq import PgSession, drive
from cbstore_sql.stores.sql.operations import Query, Values

PREPARED_AT_ONCE = 0
"""After how many uses: each of the few statements comes again and again."""


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
        """Whether the server has ended the connection; costs no round trip."""
        return False

    def is_sound(self) -> bool:
        """Whether the connection can be used again after an error."""
        return True

    def cut(self) -> None:
        """End the connection without waiting for anything."""

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """Execute one statement and return its rows, or what is awaited for them."""
        raise NotImplementedError

    def discard(self) -> None:
        """Throw the connection away; the pool opens another one in its place."""
        self.cut()
        self.connection.invalidate()
        self.connection.close()


class PsycopgConnection(Lease):
    """A lease of either colour on PostgreSQL."""

    __slots__ = ("session",)

    def __init__(self, pool: Pool, connection: PoolProxiedConnection) -> None:
        super().__init__(pool, connection)
        self.session = PgSession(self.driver, PREPARED_AT_ONCE)

    def is_dead(self) -> bool:
        """See `Lease`."""
        return self.session.is_dead()

    def is_sound(self) -> bool:
        """See `Lease`."""
        return self.session.is_sound()

    def cut(self) -> None:
        """See `Lease`."""
        self.session.cut()

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """Execute one statement and fetch its rows."""
        return drive(self.session, self.session.steps(query, prepare=prepare))


class SqliteConnection(Lease):
    """A lease of a synchronous connection to SQLite."""

    __slots__ = ("_cursor", "_patience")

    def __init__(self, pool: Pool, connection: PoolProxiedConnection) -> None:
        super().__init__(pool, connection)
        self._cursor = self.driver.cursor()
        self._patience = BusyTimeout(self._cursor.execute(BusyTimeout.QUESTION).fetchone()[0])

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """Execute one statement and fetch its rows."""
        if setting := self._patience.setting():
            self._cursor.execute(setting).fetchall()
        # Unfetched rows of a RETURNING keep SQLite's write lock.
        rows: list[Values] = self._cursor.execute(query.statement.text, query.parameters).fetchall()
        return rows


class BusyTimeout:
    """How long SQLite waits for other writers: as the connection was opened, or until the deadline where it is nearer.

    Args:
        milliseconds: As it was opened.
    """

    QUESTION = "PRAGMA busy_timeout"

    def __init__(self, milliseconds: int) -> None:
        self._usual = self._now = milliseconds

    def setting(self) -> str | None:
        """Return the statement that sets what has to hold now, ``None`` where it holds already."""
        left = remaining()
        # In steps, so that the operations of one deadline share one setting.
        wanted = self._usual if left is None else min(self._usual, 10 * int(left * 100.0 + 1.0))
        if wanted == self._now:
            return None
        self._now = wanted
        return f"{self.QUESTION} = {wanted}"
