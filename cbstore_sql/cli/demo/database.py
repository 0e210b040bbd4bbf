"""The database of one run: made or joined at the start, left as it was found at the end."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory

from cbstore_sql import migrate
from cbstore_sql.cli.demo.records import BREAKER
from cbstore_sql.cli.demo.signals import Stopper
from cbstore_sql.errors import SchemaError
from cbstore_sql.stores.sql import SqlStore
from cbstore_sql.stores.sql.connections.engine import parse_url


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the breaker of one run is.

    Attributes:
        url: The database.
        schema: The schema of the table.
        place: What the database is called, for people.
        store: Our own view of it, in a namespace nobody else uses.
    """

    url: str = field(repr=False)
    schema: str
    place: str
    store: SqlStore


@contextmanager
def set_stage(url: str | None, schema: str, stopper: Stopper) -> Iterator[Stage]:
    """Prepare a database.

    Args:
        url: The database, whose table is made if it is missing; ``None`` means a SQLite file that is deleted at
            the end.
        schema: The schema of the table.
        stopper: Lets a signal break off a connection that does not come about.

    Raises:
        KeyboardInterrupt: A signal came while the database was prepared.
        CircuitBreakerError: The database cannot be used.
    """
    with ExitStack() as stack:
        if url is None:
            url = f"sqlite:///{stack.enter_context(TemporaryDirectory(prefix='cbstore-demo-'))}/breakers.db"
        store = stack.enter_context(SqlStore(url, schema=schema, namespace=f"demo-{secrets.token_hex(4)}"))
        with stopper.at_once():
            _migrate_if_missing(store, url, schema)
        stack.callback(store.clear, BREAKER)
        yield Stage(url, schema, _PLACES[parse_url(url).get_backend_name()], store)


def _migrate_if_missing(store: SqlStore, url: str, schema: str) -> None:
    try:
        store.read(BREAKER)
    except SchemaError:
        migrate(url, schema=schema)


_PLACES = {"sqlite": "a SQLite file", "postgresql": "PostgreSQL"}
