"""Functions that make an engine for a URL, and functions that check the application's own engine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine, make_url

from cbstore_sql.errors import ConfigurationError
from cbstore_sql.extras import needs_extra
from cbstore_sql.stores.sql.connections.host_order import try_last_host_first
from cbstore_sql.stores.sql.connections.pg_options import pg_arguments
from cbstore_sql.stores.sql.connections.sqlite_file import SqliteFile, absolute, path_of
from cbstore_sql.stores.sql.connections.sqlite_fork import SqliteForks

EngineT = TypeVar("EngineT")

Durability = Literal["full", "relaxed"]

_MIN_SQLITE = (3, 35, 0)

# For each driver: what needs the driver, and the extra that installs the driver. psycopg is always installed, but its
# import fails where there is no libpq.
_EXTRAS = {
    "psycopg": ("PostgreSQL without a libpq on this machine", "binary"),
    "aiosqlite": ("AsyncSqlStore on SQLite", "aiosqlite"),
}

# libpq's own form, //a:5432,b:5432/app, which SQLAlchemy cannot read.
_SEVERAL_HOSTS = re.compile(r"^\w+(?:\+\w+)?://(?:[^/?]*@)?[^/?@,]+:\d+,")
_WRITE_HOSTS = (
    "write several hosts in the query of the URL: "
    "postgresql://user@/app?host=a:5432&host=b:5432&target_session_attrs=read-write"
)

# These pools give one connection to several users at once, or again to a thread that holds the connection already.
_SHARING_POOLS = (sa.StaticPool, sa.SingletonThreadPool)


@dataclass(frozen=True, slots=True)
class Drivers:
    """The database drivers that a store supports: those of a synchronous store, or those of an asynchronous store.

    Attributes:
        by_database: The name of the driver for each database. The keys are ``"postgresql"`` and ``"sqlite"``.
        awaited: Whether the drivers are asynchronous.
    """

    by_database: Mapping[str, str]
    awaited: bool

    def __str__(self) -> str:
        return " or ".join(f"{database}+{driver}" for database, driver in self.by_database.items())

    @property
    def kind(self) -> str:
        """The word for these drivers in messages: ``"synchronous"`` or ``"asynchronous"``."""
        return "asynchronous" if self.awaited else "synchronous"


SYNC_DRIVERS = Drivers({"postgresql": "psycopg", "sqlite": "pysqlite"}, awaited=False)
ASYNC_DRIVERS = Drivers({"postgresql": "psycopg", "sqlite": "aiosqlite"}, awaited=True)


def one_database(*choices: str | URL | EngineT | None) -> str | URL | EngineT:
    """Check that the caller gave exactly one database, and return this database.

    Args:
        *choices: URLs and engines; ``None`` stands for an argument that the caller did not give.

    Raises:
        ConfigurationError: No database was given, or more than one.
    """
    given = [choice for choice in choices if choice is not None]
    if len(given) != 1:
        raise ConfigurationError("a store needs one database: a URL or an engine")
    return given[0]


def parse_url(url: str | URL, drivers: Drivers = SYNC_DRIVERS) -> URL:
    """Parse and check a database URL. The result names a driver, and has an absolute path for SQLite.

    Args:
        url: ``postgresql://…``, ``postgresql+psycopg://…`` or ``sqlite:///file``.
        drivers: The drivers that the URL may name.

    Raises:
        ConfigurationError: The URL is invalid, or names an unsupported database or driver, or names an in-memory SQLite
            database. The message does not show the URL.
    """
    if not isinstance(url, (str, URL)):
        raise ConfigurationError(f"expected a URL or an engine ({drivers.kind}), got {type(url).__name__}")
    if isinstance(url, str) and _SEVERAL_HOSTS.search(url):
        raise ConfigurationError(_WRITE_HOSTS)
    with _reading():
        parsed = make_url(url)
    hosts = parsed.query.get("host", ())
    if isinstance(hosts, str) and "," in hosts and ":" in hosts:
        raise ConfigurationError(_WRITE_HOSTS)
    database, _, driver = parsed.drivername.partition("+")
    database = "postgresql" if database == "postgres" else database
    known = drivers.by_database.get(database)
    if known is None or driver not in ("", known):
        raise ConfigurationError(f"this store does not work with {parsed.drivername!r}; use {drivers}")
    if database == "sqlite" and not path_of(parsed):
        raise ConfigurationError("an in-memory SQLite database is private to one connection: use InMemoryStore")
    chosen = parsed.set(drivername=f"{database}+{known}")
    with _reading():
        # SQLAlchemy checks the options of the URL only in this call.
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
            "the store URL cannot be read; it is not shown, since it may hold a password. "
            "Write one like postgresql://user@host/database or sqlite:///file.db"
        ) from None


def open_engine(url: str | URL, *, relaxed: bool = False) -> Engine:
    """Make an engine for a URL, whose connections commit after each statement. The engine does not connect yet.

    Args:
        url: The URL of the database; see `parse_url`.
        relaxed: Whether commits must not wait for the disk (``synchronous_commit=off``). SQLite ignores this argument.

    Raises:
        ConfigurationError: The URL cannot be used, or the driver is not installed.
    """
    parsed, options = engine_settings(parse_url(url), relaxed=relaxed)
    with importing_driver(parsed):
        engine = sa.create_engine(parsed, **options)
    prepare_own(engine)
    return engine


def engine_settings(url: URL, *, relaxed: bool) -> tuple[URL, dict[str, Any]]:
    """Return the URL and the keyword arguments for SQLAlchemy's ``create_engine`` or ``create_async_engine``.

    Args:
        url: The URL as `parse_url` returned it.
        relaxed: Whether commits must not wait for the disk (``synchronous_commit=off``). SQLite ignores this argument.
    """
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "hide_parameters": True}
    if url.get_backend_name() == "postgresql":
        url, arguments = pg_arguments(url, relaxed=relaxed)
        options |= {"connect_args": arguments, "use_native_hstore": False}
    else:
        options["connect_args"] = {"factory": SqliteForks(SqliteFile(url)).connect}
    return url, options


def open_single_use_engine(url: str | URL) -> Engine:
    """Make an engine that keeps no connection open, for a migration or another task that runs once.

    Args:
        url: The URL of the database; see `parse_url`.

    Raises:
        ConfigurationError: The URL cannot be used, the driver is not installed, or the SQLite version is not supported.
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


def prepare_own(engine: Engine) -> None:
    """Prepare an engine that a store made, if the engine is for PostgreSQL.

    SQLAlchemy then sends no queries about the server over the first connection. It uses the answers to compile
    statements. The store compiles its statements without them, and no timeout of the driver limits these round trips.
    For the order of several hosts, see `try_last_host_first`.

    Args:
        engine: The engine; for an asynchronous store, the sync engine behind the ``AsyncEngine``.
    """
    if engine.dialect.name == "postgresql":
        engine.dialect.initialize = lambda connection: None  # type: ignore[method-assign] # of this one engine
        try_last_host_first(engine)


def wants_relaxed(durability: Durability, engine: Engine, *, owned: bool) -> bool:
    """Check the durability of a store, and return whether counts need a second engine that does not wait for the disk.

    Args:
        durability: ``"full"`` or ``"relaxed"``; see `SqlStore`.
        engine: The engine of the store.
        owned: Whether the store made the engine from a URL.

    Raises:
        ConfigurationError: The durability is unknown, or is ``"relaxed"`` with the application's own engine.
    """
    if durability not in get_args(Durability):
        raise ConfigurationError(f"durability must be one of {', '.join(get_args(Durability))}")
    if durability == "relaxed" and not owned:
        raise ConfigurationError("relaxed durability needs a URL: its connections are opened in their own way")
    return durability == "relaxed" and engine.dialect.name == "postgresql"


def importing_driver(url: URL) -> AbstractContextManager[None]:
    """Return a context manager that raises a `MissingExtraError` in place of an `ImportError`.

    Args:
        url: A URL that names the driver which is imported in the block.

    Raises:
        MissingExtraError: In the block: the driver is not installed, or psycopg does not find libpq.
    """
    needed = _EXTRAS.get(url.get_driver_name())
    return needs_extra(*needed) if needed else nullcontext()


def check_engine(engine: Engine, drivers: Drivers = SYNC_DRIVERS) -> None:
    """Check that a store can use an engine.

    Args:
        engine: The engine; for an asynchronous store, the sync engine behind the ``AsyncEngine``.
        drivers: The drivers that the store supports.

    Raises:
        ConfigurationError: The store does not support the engine's database, driver, pool or SQLite version.
    """
    dialect = engine.dialect
    if drivers.by_database.get(dialect.name) != dialect.driver:
        raise ConfigurationError(
            f"this store does not work with {dialect.name}+{dialect.driver}; use {drivers}, "
            "or give the store a URL: it then opens its own connections, and your engine stays as it is"
        )
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
    """Run a block in which a SQLite connection commits after each statement; restore the previous mode afterwards.

    Args:
        driver: The connection of sqlite3 or aiosqlite.
    """
    # From Python 3.12 on, sqlite3 has two settings for this. If `autocommit` is set, `isolation_level` has no effect.
    way, wanted = ("isolation_level", None) if getattr(driver, "autocommit", -1) == -1 else ("autocommit", True)
    before = getattr(driver, way)
    setattr(driver, way, wanted)
    try:
        yield
    finally:
        setattr(driver, way, before)
