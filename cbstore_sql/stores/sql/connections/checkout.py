"""One statement on a connection of the application's own engine, taken from its pool and given back at once."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Engine
from sqlalchemy.pool import PoolProxiedConnection

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
"""Seconds between two times at which the application's pool is emptied: a read-only server may stay so for hours."""


class CheckoutHealth:
    """What is learned from errors on the application's connections, for stores of both colours.

    Args:
        engine: The application's.
        preparing: See `Preparing`.
        setup: What a session is asked first on PostgreSQL.
    """

    def __init__(self, engine: Engine, preparing: Preparing, setup: SessionSetup | None) -> None:
        self._forks = SqliteForks(SqliteFile(engine.url)) if engine.dialect.name == "sqlite" else None
        self.preparing = preparing
        self._setup = setup
        self._may_empty_at = 0.0

    def session_of(self, fairy: PoolProxiedConnection) -> PgSession:
        """Return the `PgSession` of a psycopg connection, the same one each time."""
        from cbstore_sql.stores.sql.connections.libpq import PgSession

        session: PgSession | None = fairy.info.get(_SESSION)
        driver: Any = fairy.driver_connection
        if session is None or session.driver is not driver:
            session = fairy.info[_SESSION] = PgSession(driver, driver.prepare_threshold, self._setup)
        else:
            session.look_at_encoding()
        return session

    def check_file(self) -> None:
        """Find out whether the store may open its SQLite file here; see `SqliteForks.check`."""
        if self._forks is not None:
            self._forks.check()

    def check_connection(self, fairy: PoolProxiedConnection) -> None:
        """Find out whether a SQLite connection leads to the file that stands there now.

        Raises:
            NotSentError: It leads to one that was deleted or replaced. The pool replaces its idle connections.
        """
        if self._forks is None:
            return
        now = self._forks.file.identity()
        if fairy.info.setdefault(_FILE, now) != now:
            fairy._pool._invalidate(fairy)
            raise NotSentError(StaleConnectionError("the SQLite file was replaced"))

    def learn(self, fairy: PoolProxiedConnection, error: BaseException) -> None:
        """Prevent the same error on the next connection."""
        session: PgSession | None = fairy.info.get(_SESSION)
        if classify_error(error) in ON_ALL_CONNECTIONS:
            if monotonic() >= self._may_empty_at:
                self._may_empty_at = monotonic() + EMPTIED_AT_MOST_EVERY
                # As SQLAlchemy does on a disconnect; connections in use are left to their users.
                fairy._pool._invalidate(fairy)
        elif session is not None and session.is_shared:
            self.preparing.give_up()


def is_over(fairy: PoolProxiedConnection, error: BaseException) -> bool:
    """Whether a connection must be closed after an error."""
    if not isinstance(error, Exception) or isinstance(error, LateError) or classify_error(error) in ON_ALL_CONNECTIONS:
        return True
    session: PgSession | None = fairy.info.get(_SESSION)
    return session is not None and not session.is_sound()


def busy_session(fairy: PoolProxiedConnection) -> PgSession | None:
    """Return the session of a connection where the server is still at a statement."""
    session: PgSession | None = fairy.info.get(_SESSION)
    return session if session is not None and session.is_busy() else None


class Checkouts:
    """Connections of the application's engine; none is kept between two statements.

    It is never the connection the caller is working on, and it goes back as it came: no setting of the session is
    changed. A broken one is closed instead. The pool's events fire for each statement, and the application
    finds all its connections there.

    Args:
        engine: The application's.
        preparing: See `Preparing`.
        setup: What a session is asked first on PostgreSQL.
    """

    def __init__(self, engine: Engine, preparing: Preparing, setup: SessionSetup | None = None) -> None:
        self._engine = engine
        self._health = CheckoutHealth(engine, preparing, setup)

    def execute(self, query: Query) -> list[Values]:
        """Run one statement in its own transaction and return its rows.

        Raises:
            NotSentError: It failed before the statement was sent.
            LateError: The deadline passed.
        """
        self._health.check_file()
        try:
            fairy = self._engine.raw_connection()
        except Exception as error:
            raise NotSentError(error) from error
        try:
            rows = self._execute(fairy, query)
        except BaseException as error:
            self._give_back(fairy, error)
            raise
        fairy.close()
        return rows

    def close(self) -> None:
        """Leave the engine as it is: it is the application's."""

    def _give_back(self, fairy: PoolProxiedConnection, error: BaseException) -> None:
        over, session = is_over(fairy, error), busy_session(fairy)
        self._health.learn(fairy, error)
        if not over:
            fairy.close()
        elif session is not None:
            from cbstore_sql.stores.sql.connections.cancel import abandoned

            # Checked out until the server has ended it: the pool must not open another one meanwhile.
            abandoned.end(session.driver, lambda: close_broken(fairy))
        else:
            close_broken(fairy)

    def _execute(self, fairy: PoolProxiedConnection, query: Query) -> list[Values]:
        if self._engine.dialect.name == "postgresql":
            from cbstore_sql.stores.sql.connections.libpq import drive

            session = self._health.session_of(fairy)
            return drive(session, session.steps(query, prepare=self._health.preparing.wanted))
        self._health.check_connection(fairy)
        driver: Any = fairy.driver_connection
        with sqlite_mode(driver):
            # Unfetched rows of a RETURNING keep SQLite's write lock.
            rows: list[Values] = driver.execute(query.statement.text, query.parameters).fetchall()
            return rows


def close_broken(fairy: PoolProxiedConnection) -> None:
    """Close a connection and give its place in the pool back."""
    if fairy.is_valid:
        fairy.invalidate()
    fairy.close()
