"""How a store runs its statements on connections from the pool of the application's own engine.

The connection returns to the pool after each statement.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Engine
from sqlalchemy.pool import PoolProxiedConnection

from cbstore_sql.deadline import remaining
from cbstore_sql.stores.sql.connections.engine import sqlite_mode
from cbstore_sql.stores.sql.connections.prepare import Preparing
from cbstore_sql.stores.sql.connections.session_setup import SessionSetup
from cbstore_sql.stores.sql.connections.sqlite_file import SqliteFile
from cbstore_sql.stores.sql.connections.sqlite_fork import SqliteForks
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.retry import (
    ON_ALL_CONNECTIONS,
    LateError,
    NotSentError,
    StaleConnectionError,
    classify_error,
)

if TYPE_CHECKING:
    from cbstore_sql.stores.sql.connections.libpq import PgSession

_SESSION = "cbstore_session"
_FILE = "cbstore_file"

EMPTIED_AT_MOST_EVERY = 30.0
"""Seconds that must pass before the store invalidates the application's pool again.

A server may be read-only for hours, and each invalidation makes the application reconnect.
"""


class CheckoutHealth:
    """Checks the connections of the application's own engine, before a statement and after an error.

    The synchronous and the asynchronous store share this class.

    Args:
        engine: The application's engine.
        preparing: Whether to prepare statements on the server; see `Preparing`.
        setup: The first statement of a PostgreSQL session, or ``None`` if the session needs no such statement.
    """

    def __init__(self, engine: Engine, preparing: Preparing, setup: SessionSetup | None) -> None:
        self._forks = SqliteForks(SqliteFile(engine.url)) if engine.dialect.name == "sqlite" else None
        self.preparing = preparing
        self._setup = setup
        self._may_empty_at = 0.0

    def session_of(self, fairy: PoolProxiedConnection) -> PgSession:
        """Return the `PgSession` through which the store uses a psycopg connection.

        Each call for the same connection returns the same object.

        Args:
            fairy: The connection, checked out of SQLAlchemy's pool.

        Raises:
            NotSentError: The server has ended the session, for example because it was restarted or demoted.
        """
        from cbstore_sql.stores.sql.connections.libpq import PgSession

        session: PgSession | None = fairy.info.get(_SESSION)
        driver: Any = fairy.driver_connection
        if session is None or session.driver is not driver:
            session = fairy.info[_SESSION] = PgSession(driver, driver.prepare_threshold, self._setup)
        else:
            session.look_at_encoding()
        if session.is_lost():
            # No server would receive a statement on this connection, so nothing could tell whether it had an effect.
            raise NotSentError(StaleConnectionError("the server ended the session"))
        return session

    def check_file(self) -> None:
        """Check that this process may open the SQLite file. On PostgreSQL, this method does nothing.

        Raises:
            SchemaError: The file is missing.
            StoreUnavailableError: The parent process had the file open when it forked this process.
        """
        if self._forks is not None:
            self._forks.check()

    def check_connection(self, fairy: PoolProxiedConnection) -> None:
        """Check that a SQLite connection leads to the file that is at the path now. On PostgreSQL, do nothing.

        Args:
            fairy: The connection, checked out of SQLAlchemy's pool.

        Raises:
            NotSentError: The connection leads to a file that was deleted or replaced. The pool then replaces its idle
                connections.
        """
        if self._forks is None:
            return
        now = self._forks.file.identity()
        if fairy.info.setdefault(_FILE, now) != now:
            fairy._pool._invalidate(fairy)
            raise NotSentError(StaleConnectionError("the SQLite file was replaced"))

    def learn(self, fairy: PoolProxiedConnection, error: BaseException) -> None:
        """After an error on one connection, spare the other connections the same error.

        If the error concerns all connections, the pool replaces its idle connections. If the error shows that a
        transaction pooler is in between, the store no longer prepares statements.

        Args:
            fairy: The connection on which the error occurred.
            error: The error.
        """
        session: PgSession | None = fairy.info.get(_SESSION)
        if classify_error(error) in ON_ALL_CONNECTIONS:
            if monotonic() >= self._may_empty_at:
                self._may_empty_at = monotonic() + EMPTIED_AT_MOST_EVERY
                # SQLAlchemy does the same after a disconnect. Connections in use stay open until their users end.
                fairy._pool._invalidate(fairy)
        elif session is not None and session.is_shared:
            self.preparing.give_up()


def check_deadline() -> None:
    """Check that the deadline has not passed, after the pool of the application has given a connection.

    The pool knows no deadline, and a connection may take long to open if a host does not answer. The connection then
    stays in the pool for the next statement.

    Raises:
        LateError: The deadline has passed.
    """
    if remaining() == 0.0:
        raise LateError(sent=False)


def is_over(fairy: PoolProxiedConnection, error: BaseException) -> bool:
    """Return whether an error makes a connection unusable, so that the caller must close the connection.

    Args:
        fairy: The connection, checked out of SQLAlchemy's pool.
        error: The error that was raised on the connection.
    """
    late = isinstance(error, LateError) and error.sent
    if not isinstance(error, Exception) or late or classify_error(error) in ON_ALL_CONNECTIONS:
        return True
    session: PgSession | None = fairy.info.get(_SESSION)
    return session is not None and not session.is_sound()


def busy_session(fairy: PoolProxiedConnection) -> PgSession | None:
    """Return the session of a connection if the server still executes a statement on it.

    Args:
        fairy: The connection, checked out of SQLAlchemy's pool.

    Returns:
        The session, or ``None`` if the server executes no statement on the connection.
    """
    session: PgSession | None = fairy.info.get(_SESSION)
    return session if session is not None and session.is_busy() else None


class Checkouts:
    """Executes the store's SQL statements on connections from the pool of the application's own engine.

    Each statement takes an unused connection from the pool and returns it afterwards; a broken connection is closed. No
    setting of a session changes. SQLAlchemy's pool events fire for each statement.

    Args:
        engine: The application's engine.
        preparing: Whether to prepare statements on the server; see `Preparing`.
        setup: The first statement of a PostgreSQL session, or ``None`` if the session needs no such statement.
    """

    def __init__(self, engine: Engine, preparing: Preparing, setup: SessionSetup | None = None) -> None:
        self._engine = engine
        self._health = CheckoutHealth(engine, preparing, setup)

    def execute(self, query: Query) -> list[Values]:
        """Run one statement in its own transaction and return the rows.

        Args:
            query: The statement with its parameters.

        Raises:
            NotSentError: An error occurred before the statement was sent.
            LateError: The statement did not end by the caller's deadline.
            StoreError: This process may not open the SQLite file.
        """
        self._health.check_file()
        try:
            fairy = self._engine.raw_connection()
        except Exception as error:
            raise NotSentError(error) from error
        try:
            check_deadline()
            rows = self._execute(fairy, query)
        except BaseException as error:
            self._give_back(fairy, error)
            raise
        fairy.close()
        return rows

    def close(self) -> None:
        """Do nothing. The application closes its own engine."""

    def _give_back(self, fairy: PoolProxiedConnection, error: BaseException) -> None:
        over, session = is_over(fairy, error), busy_session(fairy)
        self._health.learn(fairy, error)
        if not over:
            fairy.close()
        elif session is not None:
            from cbstore_sql.stores.sql.connections.cancel import abandoned

            # The connection stays checked out until the server has ended the session. So the pool does not open another
            # connection meanwhile.
            abandoned.end(session.driver, lambda: close_broken(fairy))
        else:
            close_broken(fairy)

    def _execute(self, fairy: PoolProxiedConnection, query: Query) -> list[Values]:
        if self._engine.dialect.name == "postgresql":
            from cbstore_sql.stores.sql.connections.drive import drive

            session = self._health.session_of(fairy)
            return drive(session, session.steps(query, prepare=self._health.preparing.wanted))
        self._health.check_connection(fairy)
        driver: Any = fairy.driver_connection
        with sqlite_mode(driver):
            # SQLite keeps the write lock while rows of a RETURNING clause are not fetched.
            rows: list[Values] = driver.execute(query.statement.text, query.parameters).fetchall()
            return rows


def close_broken(fairy: PoolProxiedConnection) -> None:
    """Close a broken connection, so that the pool can open another connection.

    Args:
        fairy: The connection.
    """
    if fairy.is_valid:
        fairy.invalidate()
    fairy.close()
