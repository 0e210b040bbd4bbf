"""From a URL or the application's own engine to driver connections that commit by themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from psycopg.pq import TransactionStatus
from sqlalchemy.engine import URL, Engine, make_url

from cbstore_sql.errors import ConfigurationError

_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg", "sqlite": "sqlite+pysqlite"}
_DIALECTS = {"postgresql": "psycopg", "sqlite": "pysqlite"}
_MIN_SQLITE = (3, 35, 0)


def parse_url(url: str | URL) -> URL:
    """Read a database URL and choose the driver where it names none.

    Args:
        url: ``postgresql://…``, ``postgresql+psycopg://…`` or ``sqlite:///file``.

    Raises:
        ConfigurationError: It is no such URL, or an in-memory SQLite database. The message does not repeat it.
    """
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError(
            "the store URL cannot be read; it is not shown, since it may hold a password"
        ) from None
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.drivername not in _DRIVERS.values():
        raise ConfigurationError(f"no store for {parsed.drivername!r}; use postgresql+psycopg or sqlite")
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigurationError("an in-memory SQLite database is private to one connection: use InMemoryStore")
    return parsed


def open_engine(url: str | URL) -> Engine:
    """Make an engine of our own for a URL; its connections commit each statement by itself.

    Raises:
        ConfigurationError: See `parse_url`.
    """
    engine = sa.create_engine(parse_url(url), isolation_level="AUTOCOMMIT", hide_parameters=True)
    check_engine(engine)
    return engine


def check_engine(engine: Engine) -> None:
    """Find out whether the store can work with an engine.

    Raises:
        ConfigurationError: Its database, driver or SQLite version is none the store knows.
    """
    dialect = engine.dialect
    if _DIALECTS.get(dialect.name) != dialect.driver:
        raise ConfigurationError(f"no store for {dialect.name}+{dialect.driver}; use postgresql+psycopg or sqlite")
    if dialect.name == "sqlite" and dialect.dbapi is not None and _sqlite_version(dialect.dbapi) < _MIN_SQLITE:
        raise ConfigurationError("SQLite 3.35 or newer is needed for RETURNING")


def _sqlite_version(dbapi: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in dbapi.sqlite_version.split("."))


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
        # Interrupted half-way, a connection may have a reply on its way that belongs to nobody.
        if not isinstance(error, Exception) or engine.dialect.is_disconnect(error, driver, None):  # type: ignore[arg-type]
            fairy.invalidate(error)
        raise
    finally:
        fairy.close()


@contextmanager
def _psycopg_mode(driver: Any) -> Iterator[None]:
    if driver.autocommit:
        yield
    elif driver.info.transaction_status == TransactionStatus.IDLE:
        driver.autocommit = True
        yield
        driver.autocommit = False
    else:
        # A listener of the application's engine has begun a transaction on check-out.
        yield
        driver.commit()


@contextmanager
def _sqlite_mode(driver: Any) -> Iterator[None]:
    before = driver.isolation_level
    driver.isolation_level = None
    try:
        yield
    finally:
        driver.isolation_level = before


_MODES = {"postgresql": _psycopg_mode, "sqlite": _sqlite_mode}
