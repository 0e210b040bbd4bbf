"""One statement on a connection of the application's own engine, taken from its pool and given back at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.engine import Engine

from cbstore_sql.stores.sql.engine import is_idle, is_spoilt, sqlite_mode
from cbstore_sql.stores.sql.psycopg_sync import execute_on
from cbstore_sql.stores.sql.queries import Query, Values


class Checkouts:
    """The connections of the application's engine, none of which is kept between two statements.

    The pool's events come for each statement, and the application finds all its connections there.

    Args:
        engine: The application's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def execute(self, query: Query) -> list[Values]:
        """Execute one statement in a transaction of its own and return its rows."""
        with autocommitting(self._engine) as driver:
            cursor = driver.cursor()
            try:
                return _EXECUTE[self._engine.dialect.name](cursor, query)
            finally:
                cursor.close()

    def close(self) -> None:
        """Leave the engine as it is: it is the application's."""


@contextmanager
def autocommitting(engine: Engine) -> Iterator[Any]:
    """Lend a driver connection of the engine's pool on which each statement is a transaction of its own.

    It is never the connection the caller is working on, and it goes back as it came: no setting of the session is
    changed, only whether the driver sends BEGIN. One that broke is thrown away instead.
    """
    fairy = engine.raw_connection()
    driver: Any = fairy.driver_connection
    try:
        with _MODES[engine.dialect.name](driver):
            yield driver
    except BaseException as error:
        if is_spoilt(engine.dialect, driver, error):
            fairy.invalidate(error)
        raise
    finally:
        fairy.close()


@contextmanager
def _psycopg_mode(driver: Any) -> Iterator[None]:
    if driver.autocommit:
        yield
    elif is_idle(driver):
        driver.autocommit = True
        try:
            yield
        finally:
            if is_idle(driver):
                driver.autocommit = False
    else:
        # A listener of the application's engine has begun a transaction on check-out.
        yield
        driver.commit()


_MODES = {"postgresql": _psycopg_mode, "sqlite": sqlite_mode}


def _execute_sqlite(cursor: Any, query: Query) -> list[Values]:
    # Unfetched rows of a RETURNING keep SQLite's write lock.
    rows: list[Values] = cursor.execute(query.statement, query.parameters).fetchall()
    return rows


_EXECUTE = {"postgresql": execute_on, "sqlite": _execute_sqlite}
