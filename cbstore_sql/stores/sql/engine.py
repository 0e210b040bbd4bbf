"""From a URL or the application's own engine to driver connections that commit by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Dialect, Engine, make_url

from cbstore_sql.errors import ConfigurationError

EngineT = TypeVar("EngineT")

_MIN_SQLITE = (3, 35, 0)

# What brings a driver along, psycopg's with libpq.
_EXTRAS = {"psycopg": "binary", "aiosqlite": "aiosqlite"}

# They lend one connection to several users at once, or to a thread that holds it already.
_SHARING_POOLS = (sa.StaticPool, sa.SingletonThreadPool)


@dataclass(frozen=True, slots=True)
class Drivers:
    """The drivers that one colour of the store works with.

    Attributes:
        by_database: Their names.
        awaited: Whether they are asynchronous.
    """

    by_database: Mapping[str, str]
    awaited: bool

    def __str__(self) -> str:
        return " or ".join(f"{database}+{driver}" for database, driver in self.by_database.items())

    @property
    def kind(self) -> str:
        """What their engines are called."""
        return "asynchronous" if self.awaited else "synchronous"


SYNC_DRIVERS = Drivers({"postgresql": "psycopg", "sqlite": "pysqlite"}, awaited=False)
ASYNC_DRIVERS = Drivers({"postgresql": "psycopg", "sqlite": "aiosqlite"}, awaited=True)


def one_database(*choices: str | URL | EngineT | None) -> str | URL | EngineT:
    """Return the one database among what a caller gave.

    Raises:
        ConfigurationError: There is none, or more than one.
    """
    given = [choice for choice in choices if choice is not None]
    if len(given) != 1:
        raise ConfigurationError("a store needs one database: a URL or an engine")
    return given[0]


def parse_url(url: str | URL, drivers: Drivers = SYNC_DRIVERS) -> URL:
    """Read a database URL and choose the driver where it names none.

    Args:
        url: ``postgresql://…``, ``postgresql+psycopg://…`` or ``sqlite:///file``.
        drivers: Those it may name.

    Raises:
        ConfigurationError: It is no such URL, or an in-memory SQLite database. The message does not repeat it.
    """
    if not isinstance(url, (str, URL)):
        raise ConfigurationError(f"expected a URL or an engine ({drivers.kind}), got {type(url).__name__}")
    try:
        parsed = make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError(
            "the store URL cannot be read; it is not shown, since it may hold a password"
        ) from None
    database, _, driver = parsed.drivername.partition("+")
    database = "postgresql" if database == "postgres" else database
    known = drivers.by_database.get(database)
    if known is None or driver not in ("", known):
        raise ConfigurationError(f"this store does not work with {parsed.drivername!r}; use {drivers}")
    if database == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ConfigurationError("an in-memory SQLite database is private to one connection: use InMemoryStore")
    return parsed.set(drivername=f"{database}+{known}")


def open_engine(url: str | URL) -> Engine:
    """Make an engine of our own for a URL; its connections commit each statement by itself.

    Raises:
        ConfigurationError: See `parse_url` and `importing_driver`.
    """
    parsed = parse_url(url)
    with importing_driver(parsed):
        return sa.create_engine(parsed, isolation_level="AUTOCOMMIT", hide_parameters=True)


@contextmanager
def importing_driver(url: URL) -> Iterator[None]:
    """Say what to install where making an engine finds no driver.

    Raises:
        ConfigurationError: The driver is not installed, or psycopg finds no libpq.
    """
    try:
        yield
    except ImportError:
        driver = url.get_driver_name()
        raise ConfigurationError(f"{driver} cannot be imported: pip install 'cbstore_sql[{_EXTRAS[driver]}]'") from None


def check_engine(engine: Engine, drivers: Drivers = SYNC_DRIVERS) -> None:
    """Find out whether a store can work with an engine.

    Raises:
        ConfigurationError: Its database, driver, pool or SQLite version is none the store can work with.
    """
    dialect = engine.dialect
    if drivers.by_database.get(dialect.name) != dialect.driver:
        raise ConfigurationError(f"this store does not work with {dialect.name}+{dialect.driver}; use {drivers}")
    if dialect.is_async is not drivers.awaited:
        raise ConfigurationError(f"this store needs an engine that is {drivers.kind}")
    if isinstance(engine.pool, _SHARING_POOLS):
        raise ConfigurationError(f"a {type(engine.pool).__name__} has no connection that nobody else is working on")
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
        if is_spoilt(engine.dialect, driver, error):
            fairy.invalidate(error)
        raise
    finally:
        fairy.close()


def is_spoilt(dialect: Dialect, driver: Any, error: BaseException) -> bool:
    """Whether nobody should work on a connection any more after an error."""
    # Interrupted half-way, a connection may have a reply on its way that belongs to nobody.
    return not isinstance(error, Exception) or dialect.is_disconnect(error, driver, None)  # type: ignore[arg-type] # a driver's


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


def is_idle(driver: Any) -> bool:
    """Whether a psycopg connection is in no transaction, and in order."""
    return bool(driver.info.transaction_status.name == "IDLE")


@contextmanager
def sqlite_mode(driver: Any) -> Iterator[None]:
    """Let a SQLite connection, synchronous or not, commit each statement by itself."""
    before = driver.isolation_level
    driver.isolation_level = None
    try:
        yield
    finally:
        driver.isolation_level = before


_MODES = {"postgresql": _psycopg_mode, "sqlite": sqlite_mode}
