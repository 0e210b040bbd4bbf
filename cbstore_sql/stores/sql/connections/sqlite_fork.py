"""SQLite connections that this process closes before a fork.

A POSIX lock belongs to one process and one file. A child process that inherits an open SQLite connection does not hold
the locks that the connection has recorded. When the child closes the inherited file descriptor, the child loses all its
locks on the file. This can corrupt the database.
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
"""Seconds for which a fork waits for running statements. After this time, the fork interrupts the statements."""

GRACE = 1.0
"""Seconds for which a fork waits until an interrupted statement has ended."""


class ForkAwareConnection(sqlite3.Connection):
    """A SQLite connection that can be closed before the process forks.

    Attributes:
        forks: The `SqliteForks` that opened the connection.
        lock: A lock that a caller holds while SQLite executes a statement.
        is_closed: Whether `close_for_fork` has closed the connection.
    """

    forks: SqliteForks

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.lock = threading.Lock()
        self.is_closed = False

    def close_for_fork(self, deadline: float) -> None:
        """Wait until the running statement has ended, then close the connection.

        If the statement does not end in time, interrupt it. If it does not end even then, the connection stays open.

        Args:
            deadline: When to interrupt the statement, in seconds of `time.monotonic`.
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
    """Opens SQLite connections to one file, and closes all of them before the process forks.

    Args:
        file: The SQLite database file.

    Attributes:
        file: The SQLite database file.
        is_forking: Whether this process is forking now.
    """

    def __init__(self, file: SqliteFile) -> None:
        self.file = file
        self._connections: WeakSet[ForkAwareConnection] = WeakSet()
        self._is_inherited = False
        self._is_told = False
        self.is_forking = False
        # A thread holds this lock while it opens a connection, and a fork holds the lock until the fork has ended.
        self._gate = threading.RLock()
        self._is_shut = False
        before_fork(self._before)
        after_fork_in_parent(self._in_parent)
        after_fork_in_child(self._in_child)

    def connect(self, *arguments: Any, **options: Any) -> ForkAwareConnection:
        """Open a SQLite connection that is closed before a fork. `sqlite3.connect` calls this as its ``factory``.

        Args:
            *arguments: The positional arguments of `sqlite3.Connection`.
            **options: The keyword arguments of `sqlite3.Connection`.

        Raises:
            SchemaError: The file is missing.
            StoreUnavailableError: The parent process had the file open when it forked this process.
        """
        with self._gate:
            self.check()
            connection = ForkAwareConnection(*arguments, **options)
            connection.forks = self
            self._connections.add(connection)
        return connection

    def check(self) -> None:
        """Check that this process may open the SQLite file.

        Raises:
            SchemaError: The file is missing.
            StoreUnavailableError: The parent process had the file open when it forked this process.
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
                # The child process finds the file open (see `is_open_here`) and does not use the store.
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


# The parent's connections stay referenced here: garbage collection in the child would close them.
_inherited: list[ForkAwareConnection] = []
