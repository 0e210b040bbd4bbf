"""The store that a subcommand works on, and its deadline."""

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
from cbstore_sql.runtime.environment import database_url, schema_name, url_is_set
from cbstore_sql.stores.dict_protocol import ProtocolStore

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

T = TypeVar("T")

Breakers = Sequence[tuple[str, Snapshot]]
"""Snapshots, each with its namespace."""

# A store that keeps deadlines gives up by itself, and tidies up on the server; only then is it given up from outside.
_GRACE = 1.0


class ReadableStore(Protocol):
    """A store that can list every breaker of every namespace."""

    def read_all(self) -> list[tuple[str, Snapshot]]:
        """Return every breaker of every namespace, with its namespace."""


def open_store(arguments: argparse.Namespace, namespace: str = "default") -> ProtocolStore:
    """Open a database that is there already.

    Args:
        arguments: With ``url`` and ``schema``.
        namespace: Whose breakers.

    Raises:
        ConfigurationError: The URL, the schema or the namespace cannot be used.
        SchemaError: There is no such SQLite file.
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
    """Open the store of the breaker that a subcommand names, use it within ``--timeout``, and close it.

    Raises:
        CircuitBreakerError: See `open_store`; or the store did not do it.
    """

    def work() -> T:
        with open_store(arguments, arguments.namespace) as store:
            return use(store)

    return in_time(arguments.timeout, work)


def read_all(arguments: argparse.Namespace) -> Breakers:
    """Read every breaker of a database within ``--timeout``.

    Raises:
        CircuitBreakerError: See `open_store`; or the database cannot be read.
    """

    def read() -> Breakers:
        with open_store(arguments) as store:
            return cast("ReadableStore", store).read_all()

    return in_time(arguments.timeout, read)


def url_of(arguments: argparse.Namespace) -> str:
    """Return ``--url``, else ``CBSTORE_URL``, else the default."""
    return arguments.url or database_url()


def is_redis(url: str) -> bool:
    """Whether a URL names a Redis server."""
    return url.partition(":")[0] in ("redis", "rediss", "unix")


def existing(url: str) -> URL:
    """Read the URL of an SQL database that is there already; see `open_store`."""
    from cbstore_sql.stores.sql.connections.engine import parse_url

    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not sqlite_file(parsed).exists():
        # Connecting would create the file.
        hint = "" if url_is_set() else "; CBSTORE_URL is not set"
        raise SchemaError(f"there is no such SQLite file: run 'cbstore migrate' to create it{hint}")
    return parsed


def sqlite_file(url: URL) -> Path:
    """Return the file of a SQLite URL, ``file:`` URIs included."""
    database = str(url.database)
    if database.startswith("file:"):
        from urllib.parse import unquote, urlsplit

        database = unquote(urlsplit(database).path)
    return Path(database)


def schema_of(given: str | None) -> str:
    """Return the schema that was given, else ``CBSTORE_SCHEMA``, else the default."""
    from cbstore_sql.stores.sql.schema.table import DEFAULT_SCHEMA

    return given or schema_name(DEFAULT_SCHEMA)


def in_time(seconds: float, work: Callable[[], T]) -> T:
    """Do something with a database, and give up when it takes too long, whatever it hangs in.

    The work runs in a thread, under a deadline that stores keep by themselves. Name resolution, a frozen server or a
    driver without timeouts is left behind in that thread, which does not keep the process alive.

    Args:
        seconds: How long it may take.
        work: What to do.

    Raises:
        StoreUnavailableError: It took too long.
    """
    outcomes: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            with within(seconds):
                outcomes.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            outcomes.put((None, error))

    threading.Thread(target=run, name="cbstore-command", daemon=True).start()
    try:
        result, error = outcomes.get(timeout=seconds + _GRACE)
    except queue.Empty:
        raise StoreUnavailableError(f"the database did not answer within {duration(seconds)}") from None
    if error is not None:
        raise error
    return cast("T", result)
