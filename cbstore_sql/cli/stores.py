"""The store of a subcommand, and the deadline for its work."""

from __future__ import annotations

import argparse
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from cbstore_sql.core.model import Snapshot
from cbstore_sql.core.validation import check_name
from cbstore_sql.core.wording import duration
from cbstore_sql.deadline import within
from cbstore_sql.errors import ConfigurationError, SchemaError, StoreUnavailableError
from cbstore_sql.runtime.environment import DEFAULT_URL, database_url, schema_name, url_is_set
from cbstore_sql.stores.dict_protocol import ProtocolStore

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

T = TypeVar("T")

Breakers = Sequence[tuple[str, Snapshot]]
"""Pairs of a namespace and the snapshot of a breaker in this namespace."""

# Seconds after the deadline. Within this time, a store that keeps deadlines gives up and cleans up on the server.
# After this time, the command no longer waits for the store.
_GRACE = 1.0


class ReadableStore(Protocol):
    """The interface of a store with a method that lists every breaker of every namespace."""

    def read_all(self) -> list[tuple[str, Snapshot]]:
        """Return every breaker of every namespace, each as a pair of its namespace and its snapshot (its state now)."""


def open_store(arguments: argparse.Namespace, namespace: str = "default") -> ProtocolStore:
    """Open a store over an existing database.

    Args:
        arguments: The parsed arguments with ``url`` and ``schema``.
        namespace: The namespace whose breakers the store reads and changes.

    Returns:
        The open store. The caller must close the store.

    Raises:
        ConfigurationError: The URL or the schema cannot be used.
        InvalidNameError: The namespace cannot be used.
        SchemaError: The SQLite file does not exist.
    """
    from cbstore_sql.stores.factory import make_store

    url = url_of(arguments)
    check_name("namespace", namespace)
    if is_redis(url):
        return make_store(url, namespace=namespace)
    if url.startswith("memory:"):
        raise ConfigurationError("a store in memory belongs to one process: name a database with --url or CBSTORE_URL")
    from cbstore_sql.stores.sql import SqlStore

    return SqlStore(existing(url), schema=schema_of(arguments.schema), namespace=namespace)


def with_store(arguments: argparse.Namespace, use: Callable[[ProtocolStore], T]) -> T:
    """Open a store for the namespace that the user named, call a function with the store, and close the store.

    Args:
        arguments: The parsed arguments with ``url``, ``schema``, ``namespace`` and ``timeout``. ``timeout`` is the
            greatest number of seconds for opening, calling and closing together.
        use: The function, which receives the store.

    Returns:
        The result of ``use``.

    Raises:
        CircuitBreakerError: The store cannot be opened (see `open_store`), ``use`` failed, or ``timeout`` has passed.
    """

    def work() -> T:
        with open_store(arguments, arguments.namespace) as store:
            return use(store)

    return in_time(arguments.timeout, work)


def read_all(arguments: argparse.Namespace) -> Breakers:
    """Read every breaker of a database.

    Args:
        arguments: The parsed arguments with ``url``, ``schema`` and ``timeout``. ``timeout`` is the greatest number of
            seconds for the whole read.

    Returns:
        The breakers of all namespaces, each as a pair of its namespace and its snapshot.

    Raises:
        CircuitBreakerError: The store cannot be opened (see `open_store`) or read, or ``timeout`` has passed.
    """

    def read() -> Breakers:
        with open_store(arguments) as store:
            return cast("ReadableStore", store).read_all()

    return in_time(arguments.timeout, read)


def url_of(arguments: argparse.Namespace) -> str:
    """Return the URL of the database: ``--url`` if given, otherwise ``CBSTORE_URL``, otherwise the default URL.

    Args:
        arguments: The parsed arguments with ``url``.
    """
    return arguments.url or database_url()


def is_redis(url: str) -> bool:
    """Return whether a URL names a Redis server.

    Args:
        url: The URL of a database.
    """
    return url.partition(":")[0] in ("redis", "rediss", "unix")


def existing(url: str) -> URL:
    """Parse the URL of an SQL database. If the URL names a SQLite file, check that the file exists.

    Args:
        url: The URL.

    Raises:
        ConfigurationError: The URL cannot be used.
        SchemaError: The SQLite file does not exist.
    """
    from cbstore_sql.stores.sql.connections.engine import parse_url

    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not sqlite_file(parsed).exists():
        # A connection would create the missing file.
        if url == DEFAULT_URL and not url_is_set():
            raise SchemaError(f"no database was named: give --url or set CBSTORE_URL ({DEFAULT_URL} does not exist)")
        raise SchemaError(f"there is no such SQLite file: {sqlite_file(parsed)}: run 'cbstore migrate' to create it")
    return parsed


def place_of(url: str) -> str:
    """Return which database a URL names, for a message about a database that cannot be used.

    Args:
        url: The URL of a database.

    Returns:
        The database, the host, the port and the role of a PostgreSQL URL, without the password and the options. ``""``
        for every other URL.
    """
    if not url.startswith("postgres"):
        return ""
    from cbstore_sql.stores.sql.connections.engine import parse_url

    parsed = parse_url(url)
    host = f" on {parsed.host}" if parsed.host else ""
    port = f":{parsed.port}" if parsed.host and parsed.port else ""
    role = f" as {parsed.username}" if parsed.username else ""
    return f"{parsed.database or 'the default database'}{host}{port}{role}"


def sqlite_file(url: URL) -> Path:
    """Return the path of the file that a SQLite URL names. The URL may contain a ``file:`` URI.

    Args:
        url: The parsed URL.
    """
    database = str(url.database)
    if database.startswith("file:"):
        from urllib.parse import unquote, urlsplit

        database = unquote(urlsplit(database).path)
    return Path(database)


def schema_of(given: str | None) -> str:
    """Return the schema of the table: the given schema, otherwise ``CBSTORE_SCHEMA``, otherwise the default schema.

    Args:
        given: The value of ``--schema``, or ``None`` if the user did not give the option.
    """
    from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA

    return given or schema_name(DEFAULT_SCHEMA)


def in_time(seconds: float, work: Callable[[], T]) -> T:
    """Call a function in a thread and return the function's result, or raise an error after a number of seconds.

    The stores that the function uses keep the deadline by themselves. If the function hangs nevertheless, for example
    in the name resolution or in a driver without timeouts, `in_time` raises `StoreUnavailableError` one second after
    the deadline. The thread continues to hang, but the process can exit.

    Args:
        seconds: The greatest number of seconds for the function.
        work: The function.

    Returns:
        The result of ``work``. If ``work`` raises an error, `in_time` raises the same error.

    Raises:
        StoreUnavailableError: The function did not return in time.
    """
    outcomes: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            with within(seconds):
                outcomes.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises the error
            outcomes.put((None, error))

    threading.Thread(target=run, name="cbstore-command", daemon=True).start()
    try:
        result, error = outcomes.get(timeout=seconds + _GRACE)
    except queue.Empty:
        raise StoreUnavailableError(f"the database did not answer within {duration(seconds)}") from None
    if error is not None:
        raise error
    return cast("T", result)
