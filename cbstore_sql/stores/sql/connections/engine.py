"""From a URL or the application's own engine to driver connections that commit by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import sqlalchemy as sa
from sqlalchemy.engine import URL, Dialect, Engine, make_url

from cbstore_sql.errors import ConfigurationError
from cbstore_sql.stores.sql.connections.pg_options import pg_arguments
from cbstore_sql.stores.sql.connections.sqlite_file import SqliteFile, absolute, path_of
from cbstore_sql.stores.sql.connections.sqlite_fork import SqliteForks

EngineT = TypeVar("EngineT")

Durability = Literal["full", "relaxed"]

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
        ConfigurationError: No database was given, or more than one.
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
        ConfigurationError: The URL is invalid, or names an in-memory SQLite database. The message does not repeat it.
    """
    if not isinstance(url, (str, URL)):
        raise ConfigurationError(f"expected a URL or an engine ({drivers.kind}), got {type(url).__name__}")
    with _reading():
        parsed = make_url(url)
    database, _, driver = parsed.drivername.partition("+")
    database = "postgresql" if database == "postgres" else database
    known = drivers.by_database.get(database)
    if known is None or driver not in ("", known):
        raise ConfigurationError(f"this store does not work with {parsed.drivername!r}; use {drivers}")
    if database == "sqlite" and not path_of(parsed):
        raise ConfigurationError("an in-memory SQLite database is private to one connection: use InMemoryStore")
    chosen = parsed.set(drivername=f"{database}+{known}")
    with _reading():
        # Only here are the options looked at.
        chosen.get_dialect()().create_connect_args(chosen)
    if database == "postgresql":
        pg_arguments(chosen)
    return absolute(chosen) if database == "sqlite" else chosen


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError(
            "the store URL cannot be read; it is not shown, since it may hold a password"
        ) from None


def open_engine(url: str | URL, *, relaxed: bool = False) -> Engine:
    """Make an engine of our own for a URL; its connections commit each statement by itself.

    Args:
        url: See `parse_url`.
        relaxed: Whether commits do not wait for the disk; for PostgreSQL only.

    Raises:
        ConfigurationError: See `parse_url` and `importing_driver`.
    """
    parsed, options = engine_settings(parse_url(url), relaxed=relaxed)
    with importing_driver(parsed):
        engine = sa.create_engine(parsed, **options)
    without_questions(engine.dialect)
    return engine


def engine_settings(url: URL, *, relaxed: bool) -> tuple[URL, dict[str, Any]]:
    """Return the URL and the options for an engine of our own, synchronous or not."""
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "hide_parameters": True}
    if url.get_backend_name() == "postgresql":
        url, arguments = pg_arguments(url, relaxed=relaxed)
        options |= {"connect_args": arguments, "use_native_hstore": False}
    else:
        options["connect_args"] = {"factory": SqliteForks(SqliteFile(url)).connect}
    return url, options


def open_single_use_engine(url: str | URL) -> Engine:
    """Make an engine that keeps no connection, for a migration or another task that happens once.

    Args:
        url: See `parse_url`.

    Raises:
        ConfigurationError: See `parse_url` and `importing_driver`.
    """
    parsed = parse_url(url)
    options: dict[str, Any] = {"poolclass": sa.NullPool, "hide_parameters": True}
    with importing_driver(parsed):
        if parsed.get_backend_name() == "postgresql":
            parsed, arguments = pg_arguments(parsed)
            options |= {"connect_args": arguments, "use_native_hstore": False}
        engine = sa.create_engine(parsed, **options)
    check_engine(engine)
    return engine


def without_questions(dialect: Dialect) -> None:
    """Let the first connection of a pool be ready as soon as it is open.

    SQLAlchemy asks it about the server, for the statements it would compile: round trips that nothing here needs, and
    that no timeout of the driver's bounds.
    """
    if dialect.name == "postgresql":
        dialect.initialize = lambda connection: None  # type: ignore[method-assign] # of this one engine


def wants_relaxed(durability: Durability, engine: Engine, *, owned: bool) -> bool:
    """Whether counts are to go over their own connections that do not wait for the disk.

    Raises:
        ConfigurationError: The durability is unknown, or relaxed with the application's own engine.
    """
    if durability not in get_args(Durability):
        raise ConfigurationError(f"durability must be one of {', '.join(get_args(Durability))}")
    if durability == "relaxed" and not owned:
        raise ConfigurationError("relaxed durability needs a URL: its connections are opened in their own way")
    return durability == "relaxed" and engine.dialect.name == "postgresql"


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
        ConfigurationError: The store does not support its database, driver, pool or SQLite version.
    """
    dialect = engine.dialect
    if drivers.by_database.get(dialect.name) != dialect.driver:
        raise ConfigurationError(f"this store does not work with {dialect.name}+{dialect.driver}; use {drivers}")
    if dialect.is_async is not drivers.awaited:
        raise ConfigurationError(f"this store needs an engine that is {drivers.kind}")
    if isinstance(engine.pool, _SHARING_POOLS):
        raise ConfigurationError(f"a {type(engine.pool).__name__} has no connection to spare for the store")
    if dialect.name == "sqlite" and dialect.dbapi is not None and _sqlite_version(dialect.dbapi) < _MIN_SQLITE:
        raise ConfigurationError("SQLite 3.35 or newer is needed for RETURNING")


def _sqlite_version(dbapi: Any) -> tuple[int, ...]:
    return tuple(int(part) for part in dbapi.sqlite_version.split("."))


@contextmanager
def sqlite_mode(driver: Any) -> Iterator[None]:
    """Let a SQLite connection, synchronous or not, commit each statement by itself."""
    # From Python 3.12 on there are two ways to say it; where one is used the other means nothing.
    way, wanted = ("isolation_level", None) if getattr(driver, "autocommit", -1) == -1 else ("autocommit", True)
    before = getattr(driver, way)
    setattr(driver, way, wanted)
    try:
        yield
    finally:
        setattr(driver, way, before)
