"""A SQLite connection that stays checked out between statements, sync and async."""

from __future__ import annotations

import sqlite3
from time import monotonic
from typing import Any

from sqlalchemy.pool import Pool, PoolProxiedConnection

from cbstore_sql.deadline import remaining
from cbstore_sql.stores.sql.connections.connection import Lease
from cbstore_sql.stores.sql.connections.sqlite_fork import ForkAwareConnection
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.retry import NotSentError, StaleConnectionError, is_busy

BUSY_SLICE = 0.025
"""Seconds for which SQLite itself waits for another writer. Neither a deadline nor a fork can interrupt a wait inside
SQLite, so a longer wait consists of several short waits."""


class SqliteConnection(Lease):
    """A SQLite connection that the store keeps checked out of SQLAlchemy's pool between statements."""

    __slots__ = ("_file", "_opened", "_patience", "_raw")

    def __init__(self, pool: Pool, connection: PoolProxiedConnection) -> None:
        super().__init__(pool, connection)
        self._raw = self._raw_connection()
        self._file = self._raw.forks.file
        self._opened = self._file.identity()
        # Seconds to wait for other writers, at most: the busy_timeout with which the connection was opened.
        self._patience: float | None = None

    def is_dead(self) -> bool:
        """Return whether the connection is closed or leads to a deleted or replaced file.

        This process closes its SQLite connections before a fork.
        """
        return self._raw.is_closed or self._file.identity() != self._opened

    def execute(self, query: Query, *, prepare: bool) -> Any:
        """Run one statement and return the rows. Wait for other writers until the deadline or SQLite's own timeout.

        Args:
            query: The statement with its parameters.
            prepare: Not used; SQLite prepares statements by itself.

        Raises:
            NotSentError: This process closed the connection before a fork.
        """
        return self._run(query.statement.text, query.parameters, remaining())

    def _raw_connection(self) -> ForkAwareConnection:
        raw: ForkAwareConnection = self.driver
        return raw

    def _run(self, text: str, parameters: Any, left: float | None) -> list[Values]:
        raw = self._raw
        with raw.lock:
            if raw.is_closed:
                raise NotSentError(StaleConnectionError("the connection was closed before a fork"))
            if self._patience is None:
                self._patience = raw.execute("PRAGMA busy_timeout").fetchone()[0] / 1000.0
                raw.execute(f"PRAGMA busy_timeout = {BUSY_SLICE * 1000.0:.0f}").fetchall()
            patience = self._patience if left is None else min(left, self._patience)
            end = monotonic() + patience
            while True:
                began = monotonic()
                try:
                    # SQLite keeps the write lock while rows of a RETURNING clause are not fetched.
                    return raw.execute(text, parameters).fetchall()
                except sqlite3.OperationalError as error:
                    if not self._is_worth_waiting(error, began, end):
                        raise

    def _is_worth_waiting(self, error: sqlite3.OperationalError, began: float, end: float) -> bool:
        now = monotonic()
        # If SQLite raised without waiting (to avoid a deadlock), a repetition does not help.
        waited = now - began >= 0.8 * BUSY_SLICE
        return waited and is_busy(error) and now < end and not self._raw.forks.is_forking


class AiosqliteConnection(SqliteConnection):
    """A SQLite connection that an asynchronous store keeps checked out of SQLAlchemy's pool between statements.

    aiosqlite runs the statements of each connection in a thread.
    """

    __slots__ = ()

    def begin(self, query: Query, *, prepare: bool) -> None:
        """Do nothing and return ``None``: aiosqlite cannot send a statement without waiting for its thread.

        Args:
            query: Not used.
            prepare: Not used.
        """

    async def execute(self, query: Query, *, prepare: bool) -> list[Values]:
        """Run one statement in aiosqlite's thread and return the rows.

        The statement waits for other writers until the deadline or SQLite's own timeout.

        Args:
            query: The statement with its parameters.
            prepare: Not used; SQLite prepares statements by itself.

        Raises:
            NotSentError: This process closed the connection before a fork.
        """
        run = self._run, query.statement.text, query.parameters, remaining()
        rows: list[Values] = await self.driver._execute(*run)
        return rows

    def _raw_connection(self) -> ForkAwareConnection:
        raw: ForkAwareConnection = self.driver._conn
        return raw
