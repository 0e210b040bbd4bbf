"""Closes SQLite connections before a fork.

POSIX locks belong to a process and a file: a child that inherits an open SQLite connection believes in locks it does
not hold, and drops its own when it closes the parent's descriptor. Databases were corrupted that way.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from time import monotonic
from typing import Any
from weakref import WeakSet

from cbstore_sql.core.validation import DEFAULT_STORE_TIMEOUT
from cbstore_sql.errors import StoreUnavailableError
from cbstore_sql.runtime.fork import after_fork_in_child, after_fork_in_parent, before_fork
from cbstore_sql.stores.sql.connections.sqlite_file import SqliteFile

log = logging.getLogger("cbstore_sql")

WAIT = DEFAULT_STORE_TIMEOUT
"""Seconds that a fork waits for the statements at work; then they are interrupted."""

GRACE = 1.0
"""Seconds that it waits for an interrupted statement."""


class ForkAwareConnection(sqlite3.Connection):
    """A SQLite connection that can be closed before a fork.

    Attributes:
        forks: Whose it is.
        lock: To be held while SQLite is at work.
        is_closed: Whether it was closed before a fork.
    """

    forks: SqliteForks

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lock = threading.Lock()
        self.is_closed = False

    def close_for_fork(self, deadline: float) -> None:
        """Close the connection when its statement has ended, or leave it open if that does not end.

        Args:
            deadline: When to interrupt the statement, by the monotonic clock.
        """
        if not self.lock.acquire(timeout=max(0.0, deadline - monotonic())):
            self.interrupt()
            if not self.lock.acquire(timeout=GRACE):
                return
        try:
            self.is_closed = True
            self.close()
        finally:
            self.lock.release()


class SqliteForks:
    """One store's SQLite file, and its connections across forks.

    Args:
        file: The file.

    Attributes:
        file: The file.
        is_forking: Whether a fork waits for the statements at work.
    """

    def __init__(self, file: SqliteFile) -> None:
        self.file = file
        self._connections: WeakSet[ForkAwareConnection] = WeakSet()
        self._is_inherited = False
        self._is_told = False
        self.is_forking = False
        # Held while a connection is opened, and during a fork.
        self._gate = threading.RLock()
        self._is_shut = False
        before_fork(self._before)
        after_fork_in_parent(self._in_parent)
        after_fork_in_child(self._in_child)

    def connect(self, *arguments: Any, **options: Any) -> ForkAwareConnection:
        """Open a connection that is closed before a fork; the ``factory`` of `sqlite3.connect`.

        Raises:
            SchemaError: See `check`.
            StoreUnavailableError: See `check`.
        """
        with self._gate:
            self.check()
            connection = ForkAwareConnection(*arguments, **options)
            connection.forks = self
            self._connections.add(connection)
        return connection

    def check(self) -> None:
        """Find out whether the file may be opened in this process.

        Raises:
            SchemaError: There is no file.
            StoreUnavailableError: The parent had the file open at the fork.
        """
        if self._is_inherited:
            if not self._is_told:
                self._is_told = True
                log.error(
                    "this process does without its SQLite breaker store: its parent had the file open at the fork"
                )
            raise StoreUnavailableError(
                "table breakers: the SQLite file was open in the parent process at the fork; "
                "close it before, or use PostgreSQL",
                applied=False,
            )
        self.file.check_exists()

    def _before(self) -> None:
        deadline = monotonic() + WAIT
        self.is_forking = True
        self._is_shut = self._gate.acquire(timeout=WAIT)
        for connection in list(self._connections):
            try:
                connection.close_for_fork(deadline)
            except sqlite3.Error as error:
                # The child finds the file open and does without it.
                log.debug("a SQLite connection was not closed before the fork: %s", type(error).__name__)

    def _in_parent(self) -> None:
        self.is_forking = False
        if self._is_shut:
            self._is_shut = False
            self._gate.release()

    def _in_child(self) -> None:
        self._gate = threading.RLock()
        self._is_shut = self.is_forking = False
        _inherited.extend(self._connections)
        self._connections = WeakSet()
        self._is_inherited = self._is_inherited or self.file.is_open_here()


# Collected in the child, they would be closed there.
_inherited: list[ForkAwareConnection] = []
