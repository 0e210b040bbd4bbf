"""One statement on a connection of the application's own engine, taken from its pool and given back at once."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import Engine
from sqlalchemy.pool import PoolProxiedConnection

from cbstore_sql.stores.sql.connections.engine import sqlite_mode
from cbstore_sql.stores.sql.connections.libpq import PgSession, drive
from cbstore_sql.stores.sql.connections.prepare import Preparing
from cbstore_sql.stores.sql.operations import Query, Values
from cbstore_sql.stores.sql.retry import ON_ALL_CONNECTIONS, LateError, NotSentError, StatementOutcome, classify_error

_SESSION = "cbstore_session"


class Checkouts:
    """The connections of the application's engine, none of which is kept between two statements.

    It is never the connection the caller is working on, and it goes back as it came: no setting of the session is
    changed. One that broke is thrown away instead. The pool's events come for each statement, and the application
    finds all its connections there.

    Args:
        engine: The application's.
        preparing: See `Preparing`.
    """

    def __init__(self, engine: Engine, preparing: Preparing) -> None:
        self._engine = engine
        self._preparing = preparing

    def execute(self, query: Query) -> list[Values]:
        """Execute one statement in a transaction of its own and return its rows.

        Raises:
            NotSentError: It failed before the statement was sent.
            LateError: The deadline passed.
        """
        try:
            fairy = self._engine.raw_connection()
        except Exception as error:
            raise NotSentError(error) from error
        try:
            return self._execute(fairy, query)
        except BaseException as error:
            if is_over(fairy, error):
                fairy.invalidate(error)
            learn(fairy, error, self._preparing)
            raise
        finally:
            fairy.close()

    def close(self) -> None:
        """Leave the engine as it is: it is the application's."""

    def _execute(self, fairy: PoolProxiedConnection, query: Query) -> list[Values]:
        if self._engine.dialect.name == "postgresql":
            session = session_of(fairy)
            return drive(session, session.steps(query, prepare=self._preparing.wanted))
        driver: Any = fairy.driver_connection
        with sqlite_mode(driver):
            # Unfetched rows of a RETURNING keep SQLite's write lock.
            rows: list[Values] = driver.execute(query.statement.text, query.parameters).fetchall()
            return rows


def session_of(fairy: PoolProxiedConnection) -> PgSession:
    """Return what speaks on a psycopg connection of either colour, the same one each time."""
    session: PgSession | None = fairy.info.get(_SESSION)
    driver: Any = fairy.driver_connection
    if session is None or session.driver is not driver:
        session = fairy.info[_SESSION] = PgSession(driver, driver.prepare_threshold)
    return session


def is_over(fairy: PoolProxiedConnection, error: BaseException) -> bool:
    """Whether nobody should work on a connection any more after an error."""
    if not isinstance(error, Exception) or isinstance(error, LateError):
        return True
    session: PgSession | None = fairy.info.get(_SESSION)
    return session is not None and not session.is_sound()


def learn(fairy: PoolProxiedConnection, error: BaseException, preparing: Preparing) -> None:
    """See to it that the same error does not come again and again."""
    verdict = classify_error(error)
    if verdict in ON_ALL_CONNECTIONS:
        # Those in use are left to whoever uses them.
        fairy._pool._invalidate(fairy)  # what SQLAlchemy itself does on a disconnect
    elif verdict is StatementOutcome.SHARED_SESSION:
        preparing.give_up()
