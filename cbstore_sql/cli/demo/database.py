"""The database of one run of the demo: its setup, and the removal of the breaker at the end."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory

from cbstore_sql import migrate
from cbstore_sql.cli.demo.records import BREAKER
from cbstore_sql.cli.demo.signals import SignalRecorder
from cbstore_sql.errors import SchemaError
from cbstore_sql.stores.sql import SqlStore
from cbstore_sql.stores.sql.connections.engine import parse_url


@dataclass(frozen=True, slots=True)
class DemoDatabase:
    """The database of one run of the demo.

    Attributes:
        url: The URL of the database.
        schema: The schema of the table.
        place: The kind of database in words, such as ``"a SQLite file"``.
        store: A store in a new namespace, which only this run of the demo uses.
        leaves: The objects that remain in the database after the demo, in words.
    """

    url: str = field(repr=False)
    schema: str
    place: str
    store: SqlStore
    leaves: str = "nothing"


@contextmanager
def prepare_database(url: str | None, schema: str, signals: SignalRecorder) -> Iterator[DemoDatabase]:
    """Set up the database for the demo. When the block ends, delete the demo's breaker from the database.

    If the breaker table is missing, this function creates the table. The table remains in the database afterwards.

    Args:
        url: The URL of the database. ``None`` means a temporary SQLite file, which is deleted when the block ends.
        schema: The schema of the table.
        signals: The recorder of signals. A signal during the setup interrupts a connection attempt that hangs.

    Yields:
        The database, ready for use.

    Raises:
        KeyboardInterrupt: A signal arrived during the setup.
        CircuitBreakerError: The database cannot be used.
    """
    with ExitStack() as stack:
        temporary = url is None
        if url is None:
            url = f"sqlite:///{stack.enter_context(TemporaryDirectory(prefix='cbstore-demo-'))}/breakers.db"
        store = stack.enter_context(SqlStore(url, schema=schema, namespace=f"demo-{secrets.token_hex(4)}"))
        with signals.at_once():
            made = _migrate_if_missing(store, url, schema)
        stack.callback(store.clear, BREAKER)
        leaves = "the breaker table, which did not exist before; it is empty" if made else "nothing"
        place = _PLACES[parse_url(url).get_backend_name()]
        yield DemoDatabase(url, schema, place, store, "nothing" if temporary else leaves)


def _migrate_if_missing(store: SqlStore, url: str, schema: str) -> bool:
    """Create the table if it is missing.

    Args:
        store: A store over the database.
        url: The URL of the database.
        schema: The schema of the table.

    Returns:
        Whether the table was missing.
    """
    try:
        store.read(BREAKER)
    except SchemaError:
        migrate(url, schema=schema)
        return True
    return False


_PLACES = {"sqlite": "a SQLite file", "postgresql": "PostgreSQL"}
